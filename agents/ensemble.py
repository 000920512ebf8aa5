"""An ensemble of networks as one: members with nothing in common but what they are shown.

The ensemble acts by the mean of its members' action probabilities, and values by the mean of their
values. What each member says is tapped, so that a mitigation can train members of their own
(:mod:`gmbench.mitigations.ensemble`) and a question can ask them one by one
(:mod:`gmbench.measure.members`).

Source: Lakshminarayanan et al. 2017, "Simple and Scalable Predictive Uncertainty Estimation using
Deep Ensembles", arXiv 1612.01474, section 2.4.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from gmbench.core import registry

from .layers import Observation, Outputs, Tap
from .networks import ConvMLP


class Ensemble(nn.Module):
    """Several networks as one.

    Attributes:
        num_actions: number of logits.
        members: how many.
    """

    num_actions: int
    members: int = 4

    @nn.compact
    def __call__(self, observation: Observation) -> Outputs:
        """Compute the logits of the mean policy, and the mean value."""
        said = [
            ConvMLP(self.num_actions, name=f"member_{number}")(observation)
            for number in range(self.members)
        ]
        logits = Tap(name="members")(jnp.stack([logits for logits, _ in said]))
        values = Tap(name="values")(jnp.stack([value for _, value in said]))
        total = jax.nn.logsumexp(jax.nn.log_softmax(logits, axis=1), axis=0)
        return total - jnp.log(jnp.float32(self.members)), jnp.mean(values, axis=0)


registry.network("ensemble")(Ensemble)

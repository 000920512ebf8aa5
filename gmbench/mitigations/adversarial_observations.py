"""Adversarial training against changed observations: SA-PPO's regulariser.

An adversary shifts every number of an observation by at most epsilon, so that the policy changes
most: it climbs the divergence KL(pi(. | seen) || pi(. | shifted)) for a few steps of projected
gradient ascent. What it reaches is added to the loss, at a scale. It costs no level and no
environment step, but the network runs forwards and backwards once more for each step of the ascent.

Source: Zhang et al. 2020, "Robust Deep Reinforcement Learning against Adversarial Perturbations on
State Observations", arXiv 2003.08938, section 3.3 (SA-PPO, equation 6, solved by gradient steps).
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gmbench.core import checks, registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Batch, Metrics, Mitigation, Recipe


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    epsilon: float = 0.1
    """By how much each number of an observation is shifted at most; planes are 0 or 1."""
    scale: float = 1.0
    """Of the divergence in the loss (the source's kappa)."""
    ascent: int = 2
    """Steps of the adversary."""

    def __post_init__(self) -> None:
        """Refuse a shift by more than there is between 0 and 1."""
        checks.probability("epsilon", self.epsilon)


def divergence(logits: Array, shifted: Array, weight: Array) -> Float[Array, ""]:
    """Return the mean KL divergence of the policy from what it becomes; the first is held fixed."""
    log_probs, others = jax.nn.log_softmax(logits, axis=0), jax.nn.log_softmax(shifted, axis=0)
    log_probs = jax.lax.stop_gradient(log_probs)
    apart = jnp.sum(jnp.exp(log_probs) * (log_probs - others), axis=0)
    return jnp.sum(apart * weight)


def adversarial_observations(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation."""
    del env

    def worst(batch: Batch) -> Array:
        """Climb from a random shift: without one, the divergence is flat."""

        def apart(shift: Array) -> Float[Array, ""]:
            return divergence(batch.logits, batch.shifted(shift)[0], batch.weight)

        shape, most = batch.observation.shape, config.epsilon
        shift = jax.random.uniform(batch.key, shape, jnp.float32, -1, 1) * most
        for _ in range(config.ascent):
            climbed = shift + 2 * most / config.ascent * jnp.sign(jax.grad(apart)(shift))
            shift = jnp.clip(climbed, -most, most)
        return jax.lax.stop_gradient(shift)

    def loss(weights: Any, batch: Batch) -> tuple[Float[Array, ""], Metrics]:
        del weights
        found = divergence(batch.logits, batch.shifted(worst(batch))[0], batch.weight)
        return config.scale * found, {"divergence": found}

    return Mitigation(loss=loss)


registry.mitigation("adversarial_observations")(
    Recipe(config=Config, make=adversarial_observations)
)

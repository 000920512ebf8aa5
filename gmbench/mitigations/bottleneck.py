"""An information bottleneck: what the heads read is noisy, and being louder than the noise costs.

Heads read z = mu + e, with mu the network's last features and e standard normal, while it learns;
what z tells of the observation is bounded by KL(N(mu, 1) || N(0, 1)) = |mu|^2 / 2 nats a step,
which is added to the loss at a price. The published bottleneck learns the noise's size as well; at
a fixed size the network can still whisper by shrinking mu. The agent acts, and is evaluated, on mu.

A proxy that can be told from less of the observation than the intended goal is cheaper here, so
that a bottleneck may make things worse: where the corner is the proxy, it costs no information.

Source: Igl et al. 2019, "Generalization in Reinforcement Learning with Selective Noise Injection
and Information Bottleneck", arXiv 1910.12911, sections 4.1 and 4.2, after Alemi et al. 2017, "Deep
Variational Information Bottleneck", arXiv 1612.00410, equation 17.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gmbench.core import checks, registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Batch, Metrics, Mitigation, Recipe


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    price: float = 1e-3
    """Of a nat a step."""


def bottleneck(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation."""
    del env

    def noise(key: PRNGKeyArray, features: Array) -> Array:
        return features + jax.random.normal(key, features.shape, features.dtype)

    def loss(weights: Any, batch: Batch) -> tuple[Float[Array, ""], Metrics]:
        del weights
        if batch.read is None:
            raise checks.Refused("bottleneck: needs a network that ends in Heads, this does not")
        nats = jnp.sum(jnp.square(batch.read.astype(jnp.float32)), axis=0) / 2
        mean = jnp.sum(nats * batch.weight)
        return config.price * mean, {"nats": mean}

    return Mitigation(noise=noise, loss=loss)


registry.mitigation("bottleneck")(Recipe(config=Config, make=bottleneck))

"""Weight decay: the squares of all weights are added to the loss. It costs nothing.

Source: Cobbe et al. 2019, arXiv 1812.02341, section 4.2, who find it to help agents to generalize.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gmbench.core import registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Batch, Metrics, Mitigation, Recipe


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    scale: float = 1e-4
    """Of the sum of squares."""


def l2(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation."""
    del env

    def loss(weights: Any, batch: Batch) -> tuple[Float[Array, ""], Metrics]:
        del batch
        squares = jnp.sum(jnp.stack([jnp.sum(leaf**2) for leaf in jax.tree.leaves(weights)]))
        return config.scale * squares, {"squares": squares}

    return Mitigation(loss=loss)


registry.mitigation("l2")(Recipe(config=Config, make=l2))

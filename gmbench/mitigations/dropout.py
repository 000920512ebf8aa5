"""Dropout: while the network learns, its heads read only some of its last features.

Each feature of each step is left out with a probability of its own draw, and the others are scaled
up to make up for it. The agent acts, and is evaluated, without. It costs no level and no step.

Source: Srivastava et al. 2014, "Dropout", JMLR 15; on generalization in reinforcement learning
Cobbe et al. 2019, arXiv 1812.02341, section 4.2. That rollouts are collected without noise is
selective noise injection: Igl et al. 2019, arXiv 1910.12911, section 4.1.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from gmbench.core import checks, registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Mitigation, Recipe


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    share: float = 0.1
    """Of the features that are left out; below 1."""

    def __post_init__(self) -> None:
        """Refuse what is no share, and leaving out all."""
        checks.probability("share", self.share)
        if self.share == 1:
            raise checks.Refused("share: 1 leaves no feature, allowed is [0, 1)")


def dropout(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation."""
    del env

    def noise(key: PRNGKeyArray, features: Array) -> Array:
        left_out = jax.random.uniform(key, features.shape) < config.share
        scaled = features / jnp.asarray(1 - config.share, features.dtype)
        return jnp.where(left_out, jnp.zeros((), features.dtype), scaled)

    return Mitigation(noise=noise)


registry.mitigation("dropout")(Recipe(config=Config, make=dropout))

"""A finite set of training levels, drawn once from the training distribution.

Procedural generation shows an agent a new level each time; here it sees the same few again and
again, as in the studies of generalization that count training levels. At a small ``alpha`` a set
may hold no distinguishing level at all, and then keeps holding none. It costs nothing.

Source: Cobbe et al. 2019, "Quantifying Generalization in Reinforcement Learning", arXiv
1812.02341, section 3.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from gmbench.core import pool, registry
from gmbench.core.env import Environment, Level
from gmbench.core.mitigation import Drawn, LevelSource, Mitigation, Recipe
from gmbench.core.params import EnvParams


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    levels: int = 200
    """Levels in the set."""


def finite(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation."""

    def init(key: PRNGKeyArray, params: EnvParams) -> Level:
        return pool.draw(env, params, key, (config.levels,))

    def draw(key: PRNGKeyArray, state: Level, params: Any, count: int) -> tuple[Drawn, Level]:
        del params
        place = jax.random.randint(key, (count,), 0, config.levels, jnp.int32)
        levels = jax.tree.map(lambda leaf: leaf[..., place], state)
        return Drawn(levels, place, jnp.ones(count, bool)), state

    return Mitigation(levels=LevelSource(init, draw))


registry.mitigation("finite")(Recipe(config=Config, make=finite))

"""Oversampling of distinguishing levels by one who knows which they are: a skyline.

Every level on which goals come apart is kept as it is met, and a share of all later levels is
drawn from those kept. It needs to know which levels distinguish, which no one does of a goal not
thought of: so it bounds from above what a curriculum could do. It costs an oracle call a level
drawn, and no further distinguishing level or step.

Source: ours, after the resampling of rare classes; Abdel Sadek et al. 2025, arXiv 2507.03068,
section 4, call the ideal that curricula approach an adversary that plays distinguishing levels
alone.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from gmbench.core import checks, pool, registry
from gmbench.core.env import Environment, Level
from gmbench.core.mitigation import Drawn, Experience, LevelSource, Metrics, Mitigation, Recipe
from gmbench.core.params import EnvParams


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    share: float = 0.5
    """Of levels on which goals come apart, once one has been met."""
    size: int = 512
    """Levels that are kept; the oldest goes first."""

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        checks.probability("share", self.share)


class State(NamedTuple):
    """Distinguishing levels met so far, the last ``size`` of them, and how many there were."""

    kept: Level
    met: Int[Array, ""]


def oversample(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation."""
    size = config.size

    def init(key: PRNGKeyArray, params: EnvParams) -> State:
        return State(pool.draw(env, params, key, (size,)), jnp.int32(0))

    def draw(key: PRNGKeyArray, state: State, params: Any, count: int) -> tuple[Drawn, State]:
        key_fresh, key_share, key_place = jax.random.split(key, 3)
        fresh = pool.draw(env, params, key_fresh, (count,))
        apart = pool.over_envs(env.distinguishing)(fresh)
        number = state.met + jnp.cumsum(apart, dtype=jnp.int32) - 1
        met = state.met + jnp.sum(apart, dtype=jnp.int32)
        # Of more than there is room for, the last are kept.
        place = jnp.where(apart & (number >= met - size), number % size, size)
        kept = jax.tree.map(
            lambda old, new: old.at[..., place].set(new, mode="drop"), state.kept, fresh
        )
        again = (jax.random.uniform(key_share, (count,)) < config.share) & (met > 0)
        drawn = jax.random.randint(key_place, (count,), 0, jnp.clip(met, 1, size), jnp.int32)
        levels = jax.tree.map(lambda new, old: jnp.where(again, old[..., drawn], new), fresh, kept)
        about = jnp.full(count, -1, jnp.int32), jnp.ones(count, bool)
        return Drawn(levels, *about), State(kept, met)

    def log(state: State, experience: Experience) -> Metrics:
        del experience
        return {"met": state.met.astype(jnp.float32)}

    return Mitigation(levels=LevelSource(init, draw), log=log)


def check(env: Environment[Any, Any], params: EnvParams) -> None:
    """Refuse a training that has no level on which goals come apart.

    Raises:
        Refused: naming the parameter.
    """
    del env
    if float(getattr(params, "alpha", 1.0)) == 0:
        raise checks.Refused("alpha: 0, but oversample needs distinguishing levels (allowed: more)")


registry.mitigation("oversample")(Recipe(config=Config, make=oversample, check=check))

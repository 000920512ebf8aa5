"""Early stopping: learn no more once the agent solves its training levels.

An agent that goes on training after it has become competent is only made surer of whatever goal it
has by then. Once the share of episodes in which the intended goal was earned has been high in some
rollouts in a row, weights and momentum rest for good; the steps of the budget are played all the
same, so that runs stay comparable. It costs nothing.

Source: early stopping as a regulariser is folklore (Prechelt 1998, "Early Stopping - But When?",
in Neural Networks: Tricks of the Trade); here competence takes the place of a validation error.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from gmbench.core import checks, pool, registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Drawn, Experience, LevelSource, Metrics, Mitigation, Recipe
from gmbench.core.params import EnvParams

Rollouts = Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    solved: float = 0.95
    """Share of the episodes that ended in a rollout in which the intended goal was earned."""
    patience: int = 5
    """Rollouts in a row with that share, before learning stops."""

    def __post_init__(self) -> None:
        """Refuse what is no share, and stopping before anything was seen."""
        checks.probability("solved", self.solved)
        checks.integer("patience", self.patience, 1)


def early_stop(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation."""

    def init(key: PRNGKeyArray, params: EnvParams) -> Rollouts:
        del key, params
        return jnp.int32(0)

    def draw(key: PRNGKeyArray, state: Rollouts, params: Any, count: int) -> tuple[Drawn, Rollouts]:
        learn = jnp.broadcast_to(state < config.patience, (count,))
        levels = pool.draw(env, params, key, (count,))
        return Drawn(levels, jnp.zeros(count, jnp.int32), learn), state

    def update(key: PRNGKeyArray, state: Rollouts, experience: Experience) -> Rollouts:
        del key
        ended = experience.ended
        earned = jnp.sum(ended & (experience.goals[0] > 0)).astype(jnp.float32)
        number = jnp.sum(ended).astype(jnp.float32)
        solved = (number > 0) & (earned >= config.solved * number)
        over = state >= config.patience
        return jnp.where(over, state, jnp.where(solved, state + 1, 0))

    def log(state: Rollouts, experience: Experience) -> Metrics:
        del experience
        return {"stopped": (state >= config.patience).astype(jnp.float32)}

    return Mitigation(levels=LevelSource(init, draw, update, rests=True), log=log)


registry.mitigation("early_stop")(Recipe(config=Config, make=early_stop))

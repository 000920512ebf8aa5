"""Hindsight: had the goal lain where the agent went later, its move would have been a right one.

For each step some cell that the agent stood on later in the same episode is taken, the intended
goal's object is moved there in what was seen, and the move that was made is imitated. That costs no
environment step and no level, but whoever relabels knows which object is meant and that it might
lie anywhere: as much as many distinguishing levels tell. The critic learns nothing from it, since
the steps were not chosen for that goal (off-policy to PPO).

Source: goal-conditioned supervised learning (Ghosh et al. 2019, arXiv 1912.06088, algorithm 1) as
an added loss; the relabelling is that of hindsight experience replay (Andrychowicz et al. 2017,
arXiv 1707.01495, section 3.3, strategy "future").
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gmbench.core import checks, registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Batch, Metrics, Mitigation, Recipe


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    scale: float = 1.0
    """Of the imitation in the loss."""
    within: int = 8
    """Steps after which the cell was reached at most; fewer at the end of a rollout."""

    def __post_init__(self) -> None:
        """Refuse to look no step ahead."""
        checks.integer("within", self.within, 1)


def hindsight(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation.

    Raises:
        Refused: where the agent does not see itself and the intended goal's object as planes of
            the whole grid.
    """
    goal, agent = _channel(env, env.goal_names[0]), _channel(env, "agent")

    def loss(weights: Any, batch: Batch) -> tuple[Float[Array, ""], Metrics]:
        del weights
        steps, rows, cols, _, envs = batch.observation.shape
        here = _cells(batch.observation[:, :, :, agent])
        ahead = jax.random.randint(batch.key, here.shape, 1, config.within + 1)
        cell, counts = reached(here, batch.ended, ahead)
        moved = jax.nn.one_hot(cell, rows * cols, axis=1).reshape(steps, rows, cols, envs)
        seen = batch.observation.at[:, :, :, goal].set(moved.astype(batch.observation.dtype))
        joined = jnp.moveaxis(seen, 0, -2).reshape(*seen.shape[1:-1], -1)
        logits = batch.apply(joined)[0].reshape(-1, steps, envs)
        log_probs = jax.nn.log_softmax(logits, axis=0)
        chosen = jnp.take_along_axis(log_probs, batch.action[None].astype(jnp.int32), axis=0)[0]
        weight = jnp.where(counts, batch.weight, jnp.float32(0))
        imitation = -jnp.sum(weight * chosen)
        return config.scale * imitation, {"imitation": imitation, "relabelled": jnp.sum(weight)}

    return Mitigation(loss=loss)


def reached(
    here: Int[Array, "steps envs"],
    ended: Bool[Array, "steps envs"],
    ahead: Int[Array, "steps envs"],
) -> tuple[Int[Array, "steps envs"], Bool[Array, "steps envs"]]:
    """Return the cell that the agent stood on later, and whether it is another, of one episode.

    Args:
        here: the agent's cell before each step.
        ended: whether the step was the last of its episode.
        ahead: how many steps later, 1 or more; past the end of the rollout its last step is taken.
    """
    last = here.shape[0] - 1
    later = jnp.minimum(jnp.arange(last + 1)[:, None] + ahead, last)
    episode = jnp.cumsum(ended, axis=0) - ended.astype(jnp.int32)
    cell, then = (jnp.take_along_axis(each, later, axis=0) for each in (here, episode))
    return cell, (then == episode) & (cell != here)


def _cells(plane: Array) -> Int[Array, "steps envs"]:
    """Return the number of the cell that is set in ``[steps, rows, cols, envs]``."""
    steps, _, _, envs = plane.shape
    return jnp.argmax(plane.reshape(steps, -1, envs), axis=1)


def _channel(env: Environment[Any, Any], thing: str) -> int:
    """Return the number of the channel that shows a thing."""
    if thing not in getattr(env, "places", ()) or _rearranged(env):
        raise checks.Refused(
            f"hindsight: {type(getattr(env, 'unwrapped', env)).__name__} as seen here has no plane "
            f"{thing!r} of the whole grid (allowed: tasks whose goal is an object, seen as planes)"
        )
    return list(env.observed).index(thing)


def _rearranged(env: Any) -> bool:
    """Whether a view (window, pixels) puts something else in the planes' place."""
    return getattr(env, "needs_planes", False) or (hasattr(env, "env") and _rearranged(env.env))


registry.mitigation("hindsight")(Recipe(config=Config, make=hindsight))

"""Episodes to look at: the same walls before and after the shift, as printed grids."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int8, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Environment
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure.evaluation import achievable, outcome
from gmbench.measure.rollouts import draw

PAIRS = 3
"""Levels recorded under each distribution."""
LONGEST = 256
"""Most steps recorded of an episode."""


class Recording(NamedTuple):
    """Episodes of one policy.

    Attributes:
        pictures: what is drawn before each step, and at the end.
        going: whether a picture belongs to the episode.
        outcome: as in :mod:`gmbench.measure.evaluation`.
    """

    pictures: Bool[Array, "time rows cols things pairs"]
    going: Bool[Array, "time pairs"]
    outcome: Int8[Array, " pairs"]


def record(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    key: PRNGKeyArray,
    steps: int,
) -> Recording:
    """Play on a few levels; equal keys draw the same walls under every distribution."""
    key_levels, key_play, key_best = jax.random.split(key, 3)
    levels = pool.draw(env, params, key_levels, (PAIRS,))
    picture = pool.over_envs(env.picture)
    act = pool.over_envs(policy.act)

    def step(carry: tuple[Any, ...], chance: Array) -> tuple[tuple[Any, ...], tuple[Any, Any]]:
        states, memory, live, total = carry
        seen = picture(states), live
        log_probs, memory = act(memory, states, pool.observe(env, states))
        moved = pool.step(env, params, states, draw(log_probs, chance))
        total = total + jnp.where(live[None], moved.goals, jnp.float32(0))
        return (moved.state, memory, live & ~moved.done, total), seen

    memory = pool.over_envs(policy.begin)(levels)
    nothing = jnp.zeros((len(env.goal_names), PAIRS), jnp.float32)
    start = (pool.begin(env, levels), memory, jnp.ones(PAIRS, bool), nothing)
    (last, _, _, total), (pictures, alive) = jax.lax.scan(
        step, start, jax.random.uniform(key_play, (steps, PAIRS))
    )
    # The picture on which an episode ended belongs to it: shift "was alive" by one.
    pictures = jnp.concatenate([pictures, picture(last)[None]])
    alive = jnp.concatenate([alive[:1], alive])
    _, at_most = achievable(env, params, levels, key_best, jnp.float32(1))
    return Recording(pictures, alive, outcome(total, at_most))


def printed(env: Any, recording: Recording) -> list[list[str]]:
    """Print the frames of each pair's episode."""
    pictures, going = np.asarray(recording.pictures), np.asarray(recording.going)
    return [
        [env.print_picture(frame) for frame in pictures[going[:, pair], ..., pair]]
        for pair in range(PAIRS)
    ]

"""Batches of environments, reset from a pool of levels drawn outside the step loop.

Drawing a level costs a hundred times a step, so a loop that regenerates levels at every step
spends its time there. Here a rollout first fills a pool of fresh levels; the step loop only copies
one where an episode has ended.

Batches live on the TRAILING axis: a level's walls are ``[rows, cols, envs]``. With the batch
innermost, comparisons and selections vectorise on CPU and coalesce on GPU.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray

from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.params import EnvParams


def over_envs(function: Callable[..., Any], in_axes: Any = -1) -> Callable[..., Any]:
    """Vmap a single-environment function over the trailing axis."""
    return jax.vmap(function, in_axes=in_axes, out_axes=-1)


class Transition(NamedTuple):
    """One step of a batch of environments.

    Attributes:
        state: the state reached, before any reset.
        reward: f32[envs], what training rewards.
        goals: f32[goals, envs], what each goal paid.
        terminated: the episode ended by itself.
        truncated: the time limit ended it.
    """

    state: EnvState
    reward: Float[Array, " envs"]
    goals: Float[Array, "goals envs"]
    terminated: Bool[Array, " envs"]
    truncated: Bool[Array, " envs"]

    @property
    def done(self) -> Bool[Array, " envs"]:
        """Whether the episode ended, either way."""
        return self.terminated | self.truncated


def draw(
    env: Environment[Any, Any], params: EnvParams, key: PRNGKeyArray, shape: tuple[int, ...]
) -> Level:
    """Draw independent levels; every leaf gets the trailing axes ``shape``."""
    sample = over_envs(env.sample_level, in_axes=(-1, None))
    count = 1
    for size in shape:
        count *= size
    levels = sample(jax.random.split(key, count), params)
    return jax.tree.map(lambda leaf: leaf.reshape(*leaf.shape[:-1], *shape), levels)


def begin(env: Environment[Any, Any], levels: Level) -> EnvState:
    """Start an episode on each level of a batch."""
    return over_envs(env.start)(levels)


def observe(env: Environment[Any, Any], states: EnvState) -> Array:
    """Observations of a batch of states, ``[rows, cols, channels, envs]``."""
    return over_envs(env.observation)(states)


def step(
    env: Environment[Any, Any],
    params: EnvParams,
    states: EnvState,
    actions: Int[Array, " envs"],
    keys: Key[Array, " envs"] | None = None,
) -> Transition:
    """Step a batch of environments without resetting any."""

    def single(key: Any, state: EnvState, action: Int[Array, ""]) -> Transition:
        _, after, reward, terminated, info = env.step_env(key, state, action, params)
        truncated = env.is_truncated(after, params)
        return Transition(after, reward, info["goals"], terminated, truncated)

    axis = None if keys is None else -1
    return over_envs(single, in_axes=(axis, -1, -1))(keys, states, actions)


def reset(
    env: Environment[Any, Any], states: EnvState, done: Bool[Array, " envs"], fresh: Level
) -> EnvState:
    """Put the environments that are ``done`` at the start of their ``fresh`` level."""
    return jax.tree.map(partial(jnp.where, done), over_envs(env.restart)(states, fresh), states)


def fill(
    env: Environment[Any, Any], params: EnvParams, key: PRNGKeyArray, count: int, envs: int
) -> Level:
    """Draw a pool of ``count`` levels for ``envs`` environments to share.

    The first ``envs`` levels are repeated at the end, so that every :func:`window` is contiguous.
    """
    return repeated(draw(env, params, key, (count,)), envs)


def repeated(levels: Level, envs: int) -> Level:
    """Repeat the first ``envs`` levels of a pool at its end."""
    return jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf[..., :envs]], axis=-1), levels)


def window(levels: Level, start: Int[Array, ""], envs: int) -> Level:
    """Read one level for each environment, beginning at a random place of a pool.

    Every environment draws from the whole pool. Had each its own few levels, those with short
    episodes would come round more often, and the share of easy levels would be too high.
    """

    def read(leaf: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(leaf, start, envs, axis=leaf.ndim - 1)

    return jax.tree.map(read, levels)

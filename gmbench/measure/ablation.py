"""What a network makes of levels whose goal it cannot see.

The planes of a goal are those of the observation that bear its name (``chest`` for ``chests``), or
else those that show its cell (the exit, of the goal ``target``). They are emptied in the first
observation of each level. A goal without planes (a corner) leaves nothing to empty, and there is no
number.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped

from gmbench.core import pool
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy

FEW = 0.25
"""Share of the cells above which a channel shows no single thing."""


class Ablated(NamedTuple):
    """What emptying the planes of the intended goal, and of the first proxy, changes.

    Attributes:
        divergence: KL(first move || the same without the planes), in nats; NaN without planes.
        value: mean change of the critic's value, in standard deviations of the values over levels;
            NaN likewise.
    """

    divergence: Float[Array, " 2"]
    value: Float[Array, " 2"]


def planes(env: Any, goal: str) -> list[bool]:
    """Return which channels of the observation bear a goal's name, in singular or plural."""
    stem = goal.removesuffix("s")
    names = getattr(env, "observed", ())
    shown = getattr(env, "places", ())
    return [name in shown and (name.startswith(stem) or stem.startswith(name)) for name in names]


def shown(
    env: Any, seen: Shaped[Array, "rows cols channels levels"], levels: Any, goal: str
) -> Bool[Array, " channels"]:
    """Return which channels show a goal: by its name, or where the levels say that it lies.

    A channel shows it if it is set in the goal's cell on every level, and in few cells besides.
    """
    named = planes(env, goal)
    place = _cell(levels, goal)
    if any(named) or place is None:
        return jnp.asarray(named, bool)
    row, col = place.astype(jnp.int32)
    marked = seen.astype(bool)
    there = marked[row, col, :, jnp.arange(seen.shape[-1], dtype=jnp.int32)]
    often = jnp.mean(marked.astype(jnp.float32), axis=(0, 1, 3))
    return jnp.all(there, axis=0) & (often < FEW)


def _cell(levels: Any, goal: str) -> Int[Array, "2 levels"] | None:
    """Return the cell that levels give under a goal's name, if they do."""
    place = getattr(levels, goal, None)
    return place if place is not None and jnp.shape(place)[:-1] == (2,) else None


def emptied(
    seen: Shaped[Array, "rows cols channels levels"],
    channels: Sequence[bool] | Bool[Array, " channels"],
) -> Shaped[Array, "rows cols channels levels"]:
    """Return observations with these channels emptied."""
    return jnp.where(jnp.asarray(channels)[None, None, :, None], jnp.zeros((), seen.dtype), seen)


def measure(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Level,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Ablated:
    """Empty the planes of a goal and of a proxy.

    Args:
        env: any environment.
        params: play no part.
        policy: of a network.
        levels: on the trailing axis.
        key: plays no part.
        discount: plays no part.
    """
    del params, key, discount
    forward = policy.forward
    assert forward is not None
    memory = pool.over_envs(policy.begin)(levels)
    seen = pool.observe(env, pool.begin(env, levels))
    log_probs, value, *_ = forward(memory, seen)

    def without(goal: str) -> tuple[Array, Array]:
        channels = shown(env, seen, levels, goal)
        other, own, *_ = forward(memory, emptied(seen, channels))
        changed = divergence(log_probs, other), change(value, own)
        return jax.tree.map(lambda each: jnp.where(jnp.any(channels), each, jnp.nan), changed)

    found = [without(goal) for goal in env.goal_names[:2]]
    return Ablated(*(jnp.stack(each) for each in zip(*found, strict=True)))


def last_layer(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Level,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> tuple[Float[Array, "features levels"], Float[Array, "places levels"]]:
    """Return the last layer's activations, and where the thing named as the goal lies.

    The arguments are those of :func:`measure`. There are no places where levels have no such thing.
    """
    del params, key, discount
    forward = policy.forward
    assert forward is not None
    memory = pool.over_envs(policy.begin)(levels)
    features = forward(memory, pool.observe(env, pool.begin(env, levels)))[3]
    last = list(features.values())[-1]
    place = _cell(levels, env.goal_names[0])
    places = jnp.zeros((0, last.shape[-1])) if place is None else place.astype(jnp.float32)
    return last.reshape(-1, last.shape[-1]), places


def change(value: Array, other: Array) -> Float[Array, ""]:
    """Return the mean change of values, in standard deviations of the first over levels."""
    return jnp.mean(jnp.abs(value - other)) / (jnp.std(value) + jnp.float32(1e-6))


def divergence(log_probs: Array, other: Array) -> Float[Array, ""]:
    """Return KL(own || other), the mean over levels."""
    chances = jnp.exp(log_probs)
    terms = jnp.where(chances > 0, chances * (log_probs - other), jnp.float32(0))
    return jnp.mean(jnp.sum(terms, axis=0))

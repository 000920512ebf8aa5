"""Exact values of "reach a cell" goals for agents that run, jump and fall.

A step first moves the agent up or down, then sideways if the cell beside it is free. It goes down
unless it rises or stands on something solid; a jump off something solid sets the number of cells
still to rise, which counts down, and to nothing where the way up is blocked. The outside is wall.
The six actions are: stay, left, right, and the same with a jump.

States are listed as grids, one for each number of cells still to rise; where an action leads is
read by shifting whole grids, as in :mod:`gmbench.solve.reach`, and for the same reason: gathering
from a table of states takes thirty times as long.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gmbench.grid.batching import trailing
from gmbench.solve import tabular

FAR = 2**14
"""More steps than any way takes."""


class Model(NamedTuple):
    """A level as grids: what is solid, where each goal pays, where the episode ends."""

    walls: Bool[Array, "rows cols"]
    targets: Bool[Array, "goals rows cols"]
    ends: Bool[Array, "rows cols"]


def _beyond(grid: Any, axis: int, by: int, outside: Any) -> Any:
    """Return the grid as seen from one cell before (``by`` 1) or behind (-1) along an axis."""
    size = grid.shape[axis]
    kept = jax.lax.slice_in_dim(grid, max(by, 0), size + min(by, 0), axis=axis)
    edge = jnp.full_like(jax.lax.slice_in_dim(grid, 0, 1, axis=axis), outside)
    return jnp.concatenate([kept, edge] if by > 0 else [edge, kept], axis)


def _entered(held: Any, walls: Any, axis: int, by: int) -> Any:
    """Return what is held one cell on, or here where a wall is in the way."""
    return jnp.where(_beyond(walls, axis, by, True), held, _beyond(held, axis, by, 0))


def _after_actions(
    arriving: list[Any], walls: Any, merge: Callable[..., Any] | None = None
) -> list[Any]:
    """Return for each action what is held where it leads, by the rise before it.

    Args:
        arriving: for each rise, a grid of what is held where a step ends.
        walls: what is solid.
        merge: if given, joins what the three sides hold, which leaves two actions: no jump, jump.
    """
    beside = [
        list(arriving),
        [_entered(each, walls, 1, -1) for each in arriving],
        [_entered(each, walls, 1, 1) for each in arriving],
    ]
    if merge is not None:
        beside = [[functools.reduce(merge, each) for each in zip(*beside, strict=True)]]
    above = _beyond(walls, 0, -1, True)
    lifts = _beyond(walls, 0, 1, True) & ~above
    coasting, jumping = [], []
    for moved in beside:
        falls = _entered(moved[0], walls, 0, 1)
        risen = [_beyond(each, 0, -1, 0) for each in moved]
        coasts = jnp.stack([falls, *(jnp.where(above, falls, each) for each in risen[:-1])])
        coasting.append(coasts)
        jumping.append(jnp.where(lifts, risen[-1], coasts))
    return coasting + jumping


def _grids(walls: Any, targets: Any, ends: Any) -> tuple[Any, Any, Any]:
    """Return a model with the goals behind rows and columns."""
    return walls[:, :, None], jnp.moveaxis(targets, 0, 2), ends[:, :, None]


@functools.cache
def _steps(rises: int) -> Callable[..., Any]:
    """Return the function that counts the steps to each target; ``FAR`` where there is no way."""

    def native(walls: Any, targets: Any, ends: Any) -> Any:
        walls, targets, ends = _grids(walls, targets, ends)
        far = jnp.int16(FAR)
        stop = jnp.where(targets, jnp.int16(0), far)

        def sweep(carry: tuple[Array, Array]) -> tuple[Array, Array]:
            steps, _ = carry
            arriving = [jnp.where(ends | targets, stop, steps[rise]) for rise in range(rises)]
            nearest = functools.reduce(jnp.minimum, _after_actions(arriving, walls, jnp.minimum))
            swept = jnp.minimum(nearest + jnp.int16(1), far)
            return swept, jnp.any(swept != steps)

        first = (jnp.full((rises, *targets.shape), far), jnp.array(True))
        return jax.lax.while_loop(lambda carry: carry[1], sweep, first)[0]

    return trailing(native)


def optimal_values(
    model: Model, rises: int, discount: Float[Array, ""]
) -> Float[Array, "rises rows cols goals"]:
    """Return V*: the discount to the power of the steps still needed, less one.

    Args:
        model: the level.
        rises: cells that a jump rises.
        discount: in ``[0, 1]``.
    """
    steps = _steps(rises)(*model)
    values = discount ** (steps - jnp.int16(1)).astype(jnp.float32)
    return jnp.where(steps < FAR, values, jnp.float32(0))


@functools.cache
def _policy_values(once: int) -> Callable[..., Any]:
    def native(
        policy: Any, walls: Any, targets: Any, ends: Any, passing: Any, discount: Any
    ) -> Any:
        rises = policy.shape[1]
        policy = jnp.moveaxis(policy, 3, 0)[:, :, :, :, :, None]
        walls, targets, ends = _grids(walls, targets, ends)
        passing = passing[:, :, None]
        pays = targets.astype(jnp.float32)
        paid = (pays, pays.at[:, :, once].set(0.0))

        def follow(values: Array, passed: int) -> Any:
            later = jnp.where(passing, values[1], values[passed])
            held = paid[passed] + jnp.where(ends | targets, jnp.float32(0), discount * later)
            after = _after_actions([held[rise] for rise in range(rises)], walls)
            return sum(acts[passed] * held for acts, held in zip(policy, after, strict=True))

        def sweep(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            values, _, sweeps = carry
            swept = jnp.stack([follow(values, passed) for passed in range(2)])
            return swept, jnp.max(jnp.abs(swept - values)), sweeps + 1

        def goes_on(carry: tuple[Array, Array, Array]) -> Array:
            return (carry[1] > tabular.PRECISION) & (carry[2] < tabular.SWEEPS)

        nothing = jnp.zeros((2, rises, *targets.shape), jnp.float32)
        first = (nothing, jnp.float32(jnp.inf), jnp.int32(0))
        return jax.lax.while_loop(goes_on, sweep, first)[0]

    return trailing(native)


def policy_values(
    model: Model,
    policy: Float[Array, "passed rises rows actions cols"],
    once: int,
    passing: Bool[Array, "rows cols"],
    discount: Float[Array, ""],
) -> Float[Array, "passed rises rows cols goals"]:
    """Return V^pi of a memoryless policy, to within ``PRECISION / (1 - discount)``.

    Args:
        model: the level.
        policy: action probabilities in every state, before and after a ``passing`` cell was
            entered.
        once: the goal, by its place, that can no longer be earned then.
        passing: the cells on which ``passed`` becomes true.
        discount: in ``[0, 1)``.
    """
    return _policy_values(once)(policy, *model, passing, discount)

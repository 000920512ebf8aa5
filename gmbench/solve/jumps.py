"""Exact values of "reach a cell" goals for agents that run, jump and fall.

A step first moves the agent up or down, then sideways if the cell beside it is free. It goes down
unless it rises or stands on something solid; a jump off something solid sets the number of cells
still to rise, which counts down, and to nothing where the way up is blocked. The outside is wall.
The six actions are: stay, left, right, and the same with a jump.

States are listed as grids, one for each number of cells still to rise; where an action leads is
read by shifting whole grids, as in :mod:`gmbench.solve.reach`, and for the same reason: gathering
from a table of states takes many times as long. (Values of policies are those of
:mod:`gmbench.solve.tabular`: what a network computes for each state costs more than the gathers.)
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gmbench.grid.batching import trailing

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


def _nearest(arriving: list[Any], walls: Any) -> Any:
    """Return for each rise the least of what is held where the actions lead.

    Args:
        arriving: for each rise, a grid of what is held where a step ends.
        walls: what is solid.
    """
    least = functools.partial(functools.reduce, jnp.minimum)
    beside = [
        least([each, _entered(each, walls, 1, -1), _entered(each, walls, 1, 1)])
        for each in arriving
    ]
    above = _beyond(walls, 0, -1, True)
    lifts = _beyond(walls, 0, 1, True) & ~above
    falls = _entered(beside[0], walls, 0, 1)
    risen = [_beyond(each, 0, -1, 0) for each in beside]
    coasts = jnp.stack([falls, *(jnp.where(above, falls, each) for each in risen[:-1])])
    return jnp.minimum(coasts, jnp.where(lifts, risen[-1], coasts))


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
            swept = jnp.minimum(_nearest(arriving, walls) + jnp.int16(1), far)
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

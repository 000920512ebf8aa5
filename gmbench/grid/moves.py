"""Cells, moves and one-hot planes. Positions are ``(row, col)``; the outside is wall.

Every function takes arrays with any number of trailing batch axes (written ``*b`` below).
"""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Int8, Shaped

from gmbench.grid.batching import trailing

ACTIONS = ("stay", "up", "down", "left", "right")
"""Names of the five moves, in the order of their numbers."""

STEPS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
"""Row and column change of each action."""


def _same(cells: Any, position: Any) -> Any:
    """Compare the cell numbers of a grid with one position, plane by plane."""
    rows, cols = cells
    batch = (1,) * (position.ndim - 1)
    row = jnp.arange(rows, dtype=jnp.int8).reshape(rows, 1, *batch)
    col = jnp.arange(cols, dtype=jnp.int8).reshape(1, cols, *batch)
    return (row == position[0]) & (col == position[1])


def same(a: Int8[Array, "2"], b: Int8[Array, "2"]) -> Bool[Array, ""]:
    """Whether two positions are equal."""
    return jnp.all(a == b)


@functools.cache
def _at(shape: tuple[int, int]) -> Callable[..., Any]:
    return trailing(lambda position: _same(shape, position))


def at(position: Int8[Array, "2 *b"], shape: tuple[int, int]) -> Bool[Array, "rows cols *b"]:
    """Return the plane that is true at one position."""
    return _at(shape)(position)


@functools.cache
def _planes(shape: tuple[int, int], is_mask: tuple[bool, ...]) -> Callable[..., Any]:
    def native(*items: Any) -> Any:
        layers = [
            item if mask else _same(shape, item) for item, mask in zip(items, is_mask, strict=True)
        ]
        return jnp.stack(layers, axis=2)

    return trailing(native)


def planes(*items: Array) -> Bool[Array, "rows cols channels"]:
    """Stack masks (``Bool[rows, cols]``) and positions (``Int8[2]``) as observation planes.

    At least one item must be a mask; it gives the grid's shape.
    """
    shape = next(item.shape for item in items if item.ndim == 2)
    return _planes(shape, tuple(item.ndim == 2 for item in items))(*items)


@functools.cache
def marked_cells(shape: tuple[int, int]) -> Callable[..., Any]:
    """Return ``(Int8[objects 2], Bool[objects]) -> plane``, true where a marked object lies."""

    def native(objects: Any, marked: Any) -> Any:
        batch = (1,) * (objects.ndim - 2)
        rows = np.arange(shape[0], dtype=np.int8).reshape(-1, 1, *batch)
        cols = np.arange(shape[1], dtype=np.int8).reshape(1, -1, *batch)
        each = zip(objects, marked, strict=True)
        planes = ((rows == row) & (cols == col) & here for (row, col), here in each)
        return functools.reduce(operator.or_, planes)

    return trailing(native)


@functools.cache
def first_cells(shape: tuple[int, int]) -> Callable[..., Any]:
    """Return ``count -> plane`` with so many cells set, in reading order."""

    def native(count: Any) -> Any:
        # No count comes near 127, so larger numbers need not fit.
        cells = np.arange(shape[0] * shape[1]).clip(max=127).astype(np.int8)
        return cells.reshape(*shape, *(1,) * count.ndim) < count

    return trailing(native)


@functools.cache
def everywhere(shape: tuple[int, int]) -> Callable[..., Any]:
    """Return ``flag -> plane`` that holds the flag in every cell."""
    return trailing(lambda flag: jnp.broadcast_to(flag, (*shape, *flag.shape)))


@trailing
def _lookup(mask: Any, position: Any) -> Any:
    cols = mask.shape[1]
    flat = mask.reshape(-1, *mask.shape[2:])
    cell = position[0].astype(jnp.int32) * cols + position[1].astype(jnp.int32)
    return jnp.take_along_axis(flat, cell[None], axis=0)[0]


def lookup(
    grid: Shaped[Array, "rows cols *b"], position: Int8[Array, "2 *b"]
) -> Shaped[Array, "*b"]:
    """Read a mask or a grid of numbers at a position inside it."""
    return _lookup(grid, position)


@trailing
def _move(walls: Any, position: Any, action: Any) -> Any:
    rows, cols = walls.shape[:2]
    down = (action == 2).astype(jnp.int8) - (action == 1).astype(jnp.int8)
    right = (action == 4).astype(jnp.int8) - (action == 3).astype(jnp.int8)
    row = jnp.clip(position[0] + down, 0, rows - 1)
    col = jnp.clip(position[1] + right, 0, cols - 1)
    target = jnp.stack([row, col])
    return jnp.where(_lookup(walls, target), position, target)


def move(
    walls: Bool[Array, "rows cols"], position: Int8[Array, "2"], action: Int[Array, ""]
) -> Int8[Array, "2"]:
    """Return the position after an action; walls and the border stop the agent."""
    return _move(walls, position, action)

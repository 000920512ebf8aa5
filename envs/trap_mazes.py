"""How levels of TrapKeys are drawn: mazes with holes, a door on the way, traps in the holes.

A draft is a perfect maze with the exit, start, door and keys placed so that its depth is as near as
possible to the one asked for; of some drafts the best is taken, or a winding corridor if none is
valid. Traps then lie where a hole in the walls shortens the way. Batches are on the trailing axis,
and all chance is in the words handed in.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int8, Int16

from gmbench.grid import bits, moves, over, walls
from gmbench.grid.batching import trailing
from gmbench.solve.reach import distances, least_beside, maze_distances

TRAPS = 4
"""Most traps in a level."""
SHALLOWEST = 3
"""Moves to the exit with a key and a door before it."""
DRAFTS = 4
"""Random levels of which the one is taken whose depth comes nearest to the one drawn."""
PICKS = 7
"""Random words that a draft takes besides those of its maze."""
FAR = np.int16(2**12)
"""More moves than any way takes: there is none."""


def words_of(shape: tuple[int, int]) -> int:
    """Return how many random words a level takes."""
    return DRAFTS * (PICKS + walls.maze_words(shape)) + 1 + TRAPS


def deepest(size: int) -> int:
    """Return the greatest depth for which levels of a size can be drawn."""
    return len(snake(size)) - 5  # at an end of the snake lie corner, key, door and trap


def steps_to(passable: Array, target: Array) -> Int16[Array, "rows cols"]:
    """Return the moves from each cell to a target, ``FAR`` where there is no way."""
    found = distances(passable, target)
    return jnp.where(found < 0, FAR, found)


def read(grid: Int16[Array, "rows cols"], position: Int8[Array, "2"]) -> Int16[Array, ""]:
    """Return the number of moves at a position, ``FAR`` at none."""
    here = moves.at(position, (grid.shape[0], grid.shape[1]))
    return over.least(jnp.where(here, grid, FAR))


@functools.cache
def snake(size: int) -> np.ndarray:
    """Return the cells of a corridor that winds from the top-left corner over the even rows."""
    cells: list[tuple[int, int]] = []
    for row in range(0, size, 2):
        side = -1 if row % 4 else 1
        cells += [(row - 1, cells[-1][1])] if row else []
        cells += [(row, col) for col in range(size)[::side]]
    return np.array(cells, np.int8)


@functools.cache
def loop_of(size: int) -> np.ndarray:
    """Return the cells of a closed corridor that winds below (0, 2), where it begins."""
    rows = list(range(0, size, 2))
    rows = rows if len(rows) % 2 == 0 else rows[:-2] + rows[-1:]
    corners = [(0, 2)]
    for number, row in enumerate(rows):
        there = size - 1 if number % 2 == 0 else 2 if row == rows[-1] else 4
        corners += [(row, corners[-1][1]), (row, there)]
    cells: list[tuple[int, int]] = []
    for (row, col), (to_row, to_col) in zip(corners, [*corners[1:], corners[0]], strict=True):
        count = max(abs(to_row - row), abs(to_col - col))
        down, right = np.sign(to_row - row), np.sign(to_col - col)
        cells += [(row + i * down, col + i * right) for i in range(count)]
    return np.array(cells, np.int8)


# ---- drawing levels: all arrays have any number of trailing batch axes -------------------------


class Wanted(NamedTuple):
    """What is asked of a level: parameters, and the kind and depth drawn for it."""

    apart: Bool[Array, "*b"]
    depth: Int16[Array, "*b"]
    low: Int16[Array, "*b"]
    high: Int16[Array, "*b"]
    traps: Int16[Array, "*b"]
    reserved: Bool[Array, "*b"]


class Draft(NamedTuple):
    """A level without traps, and by way of which cells one would sooner be at the exit.

    ``misfit`` is by how much its depth is wrong, at least ``FAR`` if it is invalid.
    """

    misfit: Int16[Array, "*b"]
    walls: Bool[Array, "rows cols *b"]
    shorter: Bool[Array, "rows cols *b"]
    start: Int8[Array, "2 *b"]
    exit: Int8[Array, "2 *b"]
    door: Int8[Array, "2 *b"]
    keys: Int8[Array, "keys 2 *b"]


def _ways(wall: Array, position: Array) -> Int16[Array, "rows cols *b"]:
    """Return the moves from each cell of a maze to a position in it, ``FAR`` from walls."""
    found = maze_distances(wall, position)
    return jnp.where(found < 0, FAR, found)


def _pick(cells: Array, word: Array) -> tuple[Array, Array]:
    """Pick one of the marked cells, and say whether none is marked."""
    rows = bits.pack(cells)
    return bits.pick(rows, cells.shape[1], word), jnp.all(rows == 0, axis=0)


def _best(cells: Array, cost: Array, word: Array) -> tuple[Array, Array]:
    """Pick one of the marked cells of least cost, and say whether none is marked."""
    cost = jnp.where(cells, cost, FAR)
    least = over.least(cost)
    return walls.pick(cost == least, word), least == FAR


def _shorter(to_start: Array, to_exit: Array, depth: Array) -> Bool[Array, "rows cols *b"]:
    """Return the cells by way of which one would be at the exit in fewer moves."""
    return least_beside(to_start, FAR) + least_beside(to_exit, FAR) + 2 < depth


@trailing
def is_reserved(free: Any) -> Any:
    """Whether a maze is kept for evaluation: an eighth of all, by a hash, the corridor not."""
    corridor = np.zeros(len(free), np.uint32)
    snake_rows, snake_cols = snake(len(free)).T.astype(np.uint32)
    np.add.at(corridor, snake_rows, np.uint32(1) << snake_cols)
    rows = bits.pack(free) ^ corridor.reshape(-1, *(1,) * (free.ndim - 2))
    hashed = functools.reduce(lambda word, row: (word + row) * np.uint32(0x9E3779B1), rows)
    return hashed * np.uint32(0x85EBCA6B) >> np.uint32(29) == 7


def corridor(size: int, asked: Wanted) -> Draft:
    """Return a draft of the depth asked for whose only way winds through the whole grid."""
    fixed, moved = jnp.where(
        asked.apart,
        np.array([[2, 2, 3, 1], [0, 1, 1, 0]], np.int16).reshape(2, 4, *(1,) * asked.depth.ndim),
        np.array([[0, 0, 1, 2], [1, 0, 0, 0]], np.int16).reshape(2, 4, *(1,) * asked.depth.ndim),
    )
    places = fixed + moved * asked.depth
    rows, cols = snake(size).T
    start, exit, door, key = (
        jnp.stack([jnp.asarray(rows)[place], jnp.asarray(cols)[place]]) for place in places
    )
    number = np.full((size, size), -1, np.int16)
    number[rows, cols] = np.arange(len(rows))
    number = number.reshape(size, size, *(1,) * asked.depth.ndim)
    to_start, to_exit = (
        jnp.where(number < 0, FAR, jnp.abs(number - place)) for place in places[:2]
    )
    keys = jnp.stack([key, jnp.full_like(key, -1)])
    misfit, shorter = jnp.full_like(asked.depth, FAR), _shorter(to_start, to_exit, asked.depth)
    return Draft(misfit, to_start == FAR, shorter, start, exit, door, keys)


def _draft(wall: Array, words: Array, asked: Wanted) -> Draft:
    """Place exit and start in a maze, then the keys and the door, by random words.

    The maze has one way between any two cells, so that all follows from the moves to the start and
    to the exit.
    """
    on = functools.partial(moves.at, shape=(wall.shape[0], wall.shape[1]))
    apart, free, corner = asked.apart, ~wall, on(jnp.zeros((2, *wall.shape[2:]), jnp.int8))
    exit = jnp.where(apart, walls.pick(free & ~corner, words[0]), jnp.int8(0))
    to_exit = _ways(wall, exit)
    inner = free & ~corner & ~on(exit)
    # An exit elsewhere must not cut the start off from the corner.
    reached = bits.flood(bits.pack(free & ~on(exit)), bits.pack(corner))
    goes_on = bits.unpack(reached, wall.shape[1]) | ~apart
    low = jnp.where(apart, asked.low, np.int16(SHALLOWEST))
    starts = inner & goes_on & (to_exit >= low) & (to_exit <= asked.high)
    detour = jnp.where(apart, 0, 2 * (words[1] % np.uint32(3)).astype(jnp.int16))
    start, no_start = _best(starts, jnp.abs(to_exit - asked.depth + detour), words[2])
    to_start = _ways(wall, start)
    length = moves.lookup(to_exit, start)
    cells = inner & ~on(start)
    keys, door, depth, fault = _locks(cells, to_start, to_exit, length, asked, words[3:])
    fault |= no_start | (is_reserved(free) & ~asked.reserved)
    misfit = jnp.abs(depth - asked.depth) + jnp.where(fault, FAR, 0)
    return Draft(misfit, wall, _shorter(to_start, to_exit, depth), start, exit, door, keys)


def _locks(
    cells: Array, to_start: Array, to_exit: Array, length: Array, asked: Wanted, words: Array
) -> tuple[Array, Array, Array, Array]:
    """Pick cells for the keys and the door.

    In training the key lies on the way or some moves off it, and the door behind it on the way.
    Else it lies off the way, and the door on it, behind another key; or off it too, as far away.
    Returns keys, door, the level's depth, and whether there was no place for one of them.
    """
    apart, locked = asked.apart, asked.apart & (words[0] >> np.uint32(31) > 0)
    total = to_start + to_exit
    on_way = jax.lax.optimization_barrier(total == length)
    branch = to_start - (total - length) // 2  # so far along the way one leaves it for the cell
    fits = (total >= asked.low) & (total <= asked.high) & (branch < length - 1)
    # Who passes the exit is as far from the start as the exit and the rest of the way.
    off_way = ~on_way & (to_start < jnp.where(locked, length - 2, length + to_exit))
    misfit = jnp.where(apart, 0, jnp.abs(total - asked.depth))
    first, no_first = _best(cells & jnp.where(apart, off_way, fits), misfit, words[1])
    nearest, depth = moves.lookup(to_start, first), moves.lookup(total, first)
    between = cells & on_way & (to_start > nearest) & (to_exit > 1)
    second, no_second = _pick(between, words[2])
    left = nearest - (depth - length) // 2
    behind = on_way & (to_start > jnp.where(apart, moves.lookup(to_start, second), left))
    # No cell as far from the start as the key is on the way to it.
    aside = ~on_way & (to_start >= nearest) & ~moves.at(first, (cells.shape[0], cells.shape[1]))
    door, no_door = _pick(cells & jnp.where(apart & ~locked, aside, behind), words[3])
    keys = jnp.stack([first, jnp.where(locked, second, jnp.int8(-1))])
    return keys, door, jnp.where(apart, length, depth), no_first | no_door | (locked & no_second)


def _traps(draft: Draft, most: Array, words: Array) -> tuple[Array, Array]:
    """Pick cells for traps in the walls between two cells: where they promise to shorten the way.

    Returns walls and traps. Traps leave all safe ways as they are.
    """
    size = len(draft.walls)
    row, col = np.indices((size, size))
    last = (size - 1) // 2 * 2
    between = ((row + col) % 2 == 1) & (row <= last) & (col <= last)
    spots = draft.walls & between.reshape(size, size, *(1,) * most.ndim)
    extra = (words[0] % jnp.maximum(most, 1).astype(jnp.uint32)).astype(jnp.int16)
    number = jnp.minimum(1 + extra, most)

    def lay(left: Array, own: tuple[Array, Array]) -> tuple[Array, None]:
        index, word = own
        tempting, none = _pick(left & draft.shorter, word)
        cell = jnp.where(none, walls.pick(left, word), tempting)
        trap = moves.at(cell, (size, size)) & (index < number)
        return left & ~trap, None

    left, _ = jax.lax.scan(lay, spots, (jnp.arange(TRAPS, dtype=jnp.int16), words[1:]))
    traps = spots & ~left
    return draft.walls & ~traps, traps


# The loops are inside: under vmap they would transpose a batch of grids in every round.
@functools.cache
def drawer(size: int) -> Callable[..., Any]:
    """Return the function that takes the draft of nearest the depth asked for, and lays traps."""

    def native(words: Any, asked: Wanted) -> Any:
        def draw(best: Draft, words: Array) -> tuple[Draft, None]:
            wall = walls.maze((size, size), words[PICKS:])
            draft = _draft(jax.lax.optimization_barrier(wall), words, asked)
            better = functools.partial(jnp.where, draft.misfit < best.misfit)
            return jax.tree.map(better, draft, best), None

        each = words[: -1 - TRAPS].reshape(DRAFTS, -1, *words.shape[1:])
        best, _ = jax.lax.scan(draw, corridor(size, asked), each)
        places = best.start, best.exit, best.door, best.keys
        return *_traps(best, asked.traps, words[-1 - TRAPS :]), *places

    return trailing(native)

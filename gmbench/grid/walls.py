"""Level generators: walls whose free cells are all connected, and cells drawn from them.

``blocks``: independent walls, then every pocket that is cut off is opened up. A draw that is more
than half wall is thinned by half, so that at least half the cells are always free.
``tree``: a random perfect maze (one path between any two cells).
``open``: no walls.
The top-left cell is always free.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int8, PRNGKeyArray, UInt32

from gmbench.core import checks, registry
from gmbench.grid import bits, chance, moves
from gmbench.grid.batching import trailing

LAYOUTS = ("blocks", "tree", "open")
"""Names of our own generators; a task whose ``layouts`` these are takes any that is registered."""


def _connected(blocked: Any, full: Any) -> Any:
    """Open packed walls until every free cell can be reached from the top-left one.

    Each round opens the walls between what is reached and what is not. Where more than one wall
    lies between, what is missing first grows a halo until it meets them, so that only the walls
    nearest to it are opened.
    """
    seed = jnp.zeros_like(blocked).at[0].set(jnp.uint32(1))
    blocked = blocked & ~seed

    def missing(blocked: Array, reached: Array) -> Array:
        return ~blocked & full & ~reached

    def cut_off(carry: tuple[Array, Array, Array]) -> Array:
        blocked, reached, _ = carry
        return jnp.any(missing(blocked, reached) != 0)

    def open_up(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        blocked, reached, halo = carry
        opened = bits.spread(reached) & blocked & bits.spread(halo)
        blocked = blocked & ~opened
        reached = bits.flood(~blocked & full, reached | opened)
        met = jnp.any(opened != 0, axis=0)
        return blocked, reached, jnp.where(met, missing(blocked, reached), bits.spread(halo))

    reached = bits.flood(~blocked & full, seed)
    start = (blocked, reached, missing(blocked, reached))
    return jax.lax.while_loop(cut_off, open_up, start)[0]


PLANES = 8
"""Bits of a wall probability: 256 levels are enough for a density."""


def _words(shape: tuple[int, int]) -> int:
    """Random words that one bit for each cell takes; a word holds as many whole rows as fit."""
    return -(-shape[0] // (bits.MAX_COLS // shape[1]))


def _blocks(shape: tuple[int, int], noise: Any, probability: Any) -> Any:
    rows, cols = shape
    full = jnp.uint32(2**cols - 1)
    planes = noise.reshape(PLANES + 1, -1, *noise.shape[1:])
    threshold = jnp.round(probability * jnp.float32(2**PLANES)).astype(jnp.uint32)
    # Compare all cells with the threshold at once, one binary digit after the other.
    drawn = jnp.zeros_like(planes[0]) - (threshold >> jnp.uint32(PLANES))
    for digit in range(PLANES):
        wanted = jnp.zeros_like(threshold) - (threshold >> jnp.uint32(digit) & jnp.uint32(1))
        random = planes[digit]
        drawn = (~random & wanted) | (~(random ^ wanted) & drawn)

    def unfold(words: Any) -> Any:
        held = bits.MAX_COLS // cols
        parts = [(words >> jnp.uint32(part * cols)) & full for part in range(held)]
        return jnp.concatenate(parts)[:rows]

    walls = unfold(drawn)
    row = jnp.arange(rows, dtype=jnp.uint32).reshape(-1, *(1,) * (noise.ndim - 1))
    chequered = jnp.uint32(0xAAAAAAAA) >> (row & jnp.uint32(1))  # under half, not the top-left
    for thinner in (unfold(planes[PLANES]), chequered):
        count = jnp.sum(jax.lax.population_count(walls), axis=0, dtype=jnp.uint32)
        crowded = 2 * count > jnp.uint32(rows * cols)
        walls = jnp.where(crowded, walls & thinner, walls)
    return bits.unpack(_connected(walls, full), cols)


def _tree(shape: tuple[int, int], noise: Any) -> Any:
    """Prim's algorithm over the rooms at even rows and columns.

    Each round opens one passage, drawn uniformly from those between the rooms inside and outside.
    Rooms and passages are bits: rows of passages to the right first, then of passages down.
    """
    rows, cols = (shape[0] + 1) // 2, (shape[1] + 1) // 2
    batch = noise.shape[1:]
    within = jnp.uint32(2 ** (cols - 1) - 1)
    number = jnp.arange(2 * rows - 1, dtype=jnp.int8).reshape(-1, *(1,) * len(batch))
    none = jnp.zeros((1, *batch), jnp.uint32)

    def grow(round: Any, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        inside, used = carry
        right = (inside ^ (inside >> jnp.uint32(1))) & within
        border = jnp.concatenate([right, inside[1:] ^ inside[:-1]])
        row, col = bits.pick(border, cols, noise[round])
        opened = jnp.where(number == row, jnp.uint32(1) << col.astype(jnp.uint32), jnp.uint32(0))
        right, down = opened[:rows], opened[rows:]
        joined = jnp.concatenate([none, down]) | jnp.concatenate([down, none])
        return inside | right | (right << jnp.uint32(1)) | joined, used | opened

    start = jnp.zeros((rows, *batch), jnp.uint32).at[0].set(1)
    unused = jnp.zeros((2 * rows - 1, *batch), jnp.uint32)
    _, used = jax.lax.fori_loop(0, rows * cols - 1, grow, (start, unused))
    used = bits.unpack(used, cols)
    walls = jnp.ones((*shape, *batch), bool)
    walls = walls.at[::2, ::2].set(False)
    walls = walls.at[::2, 1 : 2 * cols - 1 : 2].set(~used[:rows, : cols - 1])
    return walls.at[1 : 2 * rows - 1 : 2, ::2].set(~used[rows:])


@functools.cache
def _native(generator: Callable[..., Any], shape: tuple[int, int]) -> Callable[..., Any]:
    return trailing(functools.partial(generator, shape))


def maze_words(shape: tuple[int, int]) -> int:
    """Return how many random words :func:`maze` takes: one for each room but the first."""
    return ((shape[0] + 1) // 2) * ((shape[1] + 1) // 2) - 1


def maze(shape: tuple[int, int], words: UInt32[Array, "words *b"]) -> Bool[Array, "rows cols *b"]:
    """Return the walls of the layout ``tree`` by random words."""
    return _native(_tree, shape)(words)


def generate(
    layout: str, shape: tuple[int, int], key: PRNGKeyArray, probability: Any
) -> Bool[Array, "rows cols"]:
    """Draw walls whose free cells are connected.

    Args:
        layout: a registered one, ``(shape, key, probability) -> walls``.
        shape: rows and columns.
        key: a typed key.
        probability: share of walls before pockets are opened (``blocks`` only), in steps of
            1/256.
    """
    return registry.LAYOUTS.get(layout)(shape, key, probability)


@registry.layout("blocks")
def blocks(shape: tuple[int, int], key: PRNGKeyArray, probability: Any) -> Bool[Array, "rows cols"]:
    """Draw independent walls, and open every pocket that is cut off."""
    words = chance.noise(key, (PLANES + 1) * _words(shape))
    return _native(_blocks, shape)(words, probability)


@registry.layout("tree")
def tree(shape: tuple[int, int], key: PRNGKeyArray, probability: Any) -> Bool[Array, "rows cols"]:
    """Draw a random perfect maze."""
    del probability
    return maze(shape, chance.noise(key, maze_words(shape)))


@registry.layout("open")
def no_walls(
    shape: tuple[int, int], key: PRNGKeyArray, probability: Any
) -> Bool[Array, "rows cols"]:
    """Draw no walls."""
    del key, probability
    return jnp.zeros(shape, bool)


@functools.cache
def _pick(cols: int) -> Callable[..., Any]:
    return trailing(lambda mask, random: bits.pick(bits.pack(mask), cols, random))


def pick(cells: Bool[Array, "rows cols *b"], word: UInt32[Array, "*b"]) -> Int8[Array, "2 *b"]:
    """Return one of the marked cells by a random word; at least one must be marked."""
    return _pick(cells.shape[1])(cells, word)


def choose(key: PRNGKeyArray, cells: Bool[Array, "rows cols"]) -> Int8[Array, "2"]:
    """Draw one of the marked cells uniformly; at least one must be marked."""
    return pick(cells, jax.random.bits(key, (), jnp.uint32))


@functools.cache
def _reachable(cols: int) -> Callable[..., Any]:
    def native(cells: Any, seed: Any) -> Any:
        return bits.unpack(bits.flood(bits.pack(cells), bits.pack(seed)), cols)

    return trailing(native)


def reachable(
    cells: Bool[Array, "rows cols"], position: Int8[Array, "2"]
) -> Bool[Array, "rows cols"]:
    """Return the marked cells that can be reached from a position by way of marked cells."""
    shape = cells.shape[0], cells.shape[1]
    return _reachable(shape[1])(cells, moves.at(position, shape))


def only_exit(
    free: Bool[Array, "rows cols"], position: Int8[Array, "2"]
) -> Bool[Array, "rows cols"]:
    """Return the free cell next to a position if it is the only one, else no cell.

    Whatever ends the episode must not stand there, or the position could not be reached.
    """
    shape = free.shape[0], free.shape[1]
    row, col = (jnp.arange(size, dtype=jnp.int8) for size in shape)
    away = jnp.abs(row - position[0])[:, None] + jnp.abs(col - position[1])[None, :]
    exits = free & (away == 1)
    return exits & (jnp.sum(exits, dtype=jnp.int32) == 1)


def check_shape(size: int, layout: str, layouts: tuple[str, ...] = LAYOUTS) -> None:
    """Refuse a grid size that no generator can serve, or a layout that is not one of ``layouts``.

    Raises:
        ValueError: naming the field, the value and what is allowed.
    """
    checks.integer("size", size, 5, bits.MAX_COLS)
    checks.known("layout", layout, registry.LAYOUTS.names() if layouts == LAYOUTS else layouts)

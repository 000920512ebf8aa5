"""Level generators: walls whose free cells are all connected, and cells drawn from them.

``blocks``: independent walls, then every pocket that is cut off is opened up. A draw that is more
than half wall is thinned, so that at least half the cells are always free.
``tree``: a random perfect maze (one path between any two cells).
``open``: no walls.
The top-left cell is always free.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int8, PRNGKeyArray

from gmbench.core import checks
from gmbench.grid import bits, moves
from gmbench.grid.batching import trailing

LAYOUTS = ("blocks", "tree", "open")
"""Names of the generators."""


def _connected(walls: Any) -> Any:
    """Open walls until every free cell can be reached from the top-left one.

    Each round opens the walls between what is reached and what is not. Where more than one wall
    lies between, what is missing first grows a halo until it meets them, so that only the walls
    nearest to it are opened.
    """
    cols = walls.shape[1]
    full = jnp.uint32(2**cols - 1)
    blocked = bits.pack(walls)
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
    blocked, _, _ = jax.lax.while_loop(cut_off, open_up, start)
    return bits.unpack(blocked, cols)


def _blocks(shape: tuple[int, int], noise: Any, probability: Any) -> Any:
    # 256 levels of probability are enough for a density, and a byte each keeps the draw cheap.
    threshold = jnp.round(probability * jnp.float32(256)).astype(jnp.uint16)
    drawn = jnp.zeros(noise.shape, bool)
    for share in (4, 2, 1):  # the most of the draw that leaves half of the cells free
        walls = noise < threshold // jnp.uint16(share)
        crowded = 2 * jnp.sum(walls, axis=(0, 1), dtype=jnp.int32) > shape[0] * shape[1]
        drawn = jnp.where(crowded, drawn, walls)
    return _connected(drawn)


def _tree(shape: tuple[int, int], across: Any, down: Any) -> Any:
    """Prim's algorithm on random edge weights, over the rooms at even rows and columns."""
    rooms = ((shape[0] + 1) // 2, (shape[1] + 1) // 2)
    batch = across.shape[2:]
    infinite = jnp.uint32(2**32 - 1)
    # Unequal low bits make all weights of a level differ, so that each round adds one room.
    label = jnp.arange(across.size // max(1, _product(batch)), dtype=jnp.uint32)
    across = _tagged(across, label)
    label = label.size + jnp.arange(down.size // max(1, _product(batch)), dtype=jnp.uint32)
    down = _tagged(down, label)

    def grow(_: Any, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        inside, used_across, used_down = carry
        border_across = jnp.where(inside[:, 1:] ^ inside[:, :-1], across, infinite)
        border_down = jnp.where(inside[1:] ^ inside[:-1], down, infinite)
        least = jnp.minimum(border_across.min(axis=(0, 1)), border_down.min(axis=(0, 1)))
        new_across = border_across == least
        new_down = border_down == least
        grown = inside
        grown = grown.at[:, 1:].set(grown[:, 1:] | new_across)
        grown = grown.at[:, :-1].set(grown[:, :-1] | new_across)
        grown = grown.at[1:].set(grown[1:] | new_down)
        grown = grown.at[:-1].set(grown[:-1] | new_down)
        return grown, used_across | new_across, used_down | new_down

    start = (
        jnp.zeros((*rooms, *batch), bool).at[0, 0].set(True),
        jnp.zeros(across.shape, bool),
        jnp.zeros(down.shape, bool),
    )
    _, used_across, used_down = jax.lax.fori_loop(0, rooms[0] * rooms[1] - 1, grow, start)
    walls = jnp.ones((*shape, *batch), bool)
    walls = walls.at[::2, ::2].set(False)
    walls = walls.at[::2, 1 : 2 * rooms[1] - 1 : 2].set(~used_across)
    return walls.at[1 : 2 * rooms[0] - 1 : 2, ::2].set(~used_down)


def _product(shape: tuple[int, ...]) -> int:
    return functools.reduce(lambda a, b: a * b, shape, 1)


def _tagged(weights: Any, label: Any) -> Any:
    grid = label.reshape(*weights.shape[:2], *(1,) * (weights.ndim - 2))
    return (weights & jnp.uint32(0xFFFFFC00)) | grid


@functools.cache
def _native(name: str, shape: tuple[int, int]) -> Callable[..., Any]:
    generator = {"blocks": _blocks, "tree": _tree}[name]
    return trailing(functools.partial(generator, shape))


def generate(
    layout: str, shape: tuple[int, int], key: PRNGKeyArray, probability: Any
) -> Bool[Array, "rows cols"]:
    """Draw walls whose free cells are connected.

    Args:
        layout: one of :data:`LAYOUTS`.
        shape: rows and columns.
        key: a typed key.
        probability: share of walls before pockets are opened (``blocks`` only), in steps of
            1/256.
    """
    if layout == "open":
        return jnp.zeros(shape, bool)
    if layout == "blocks":
        noise = jax.random.bits(key, shape, jnp.uint8).astype(jnp.uint16)
        return _native(layout, shape)(noise, probability)
    rooms = ((shape[0] + 1) // 2, (shape[1] + 1) // 2)
    key_across, key_down = jax.random.split(key)
    across = jax.random.bits(key_across, (rooms[0], rooms[1] - 1), jnp.uint32)
    down = jax.random.bits(key_down, (rooms[0] - 1, rooms[1]), jnp.uint32)
    return _native(layout, shape)(across, down)


@functools.cache
def _pick(cols: int) -> Callable[..., Any]:
    return trailing(lambda mask, random: bits.pick(bits.pack(mask), cols, random))


def choose(key: PRNGKeyArray, cells: Bool[Array, "rows cols"]) -> Int8[Array, "2"]:
    """Draw one of the marked cells uniformly; at least one must be marked."""
    return _pick(cells.shape[1])(cells, jax.random.bits(key, (), jnp.uint32))


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
    checks.known("layout", layout, layouts)

"""Bit-packed grids: one unsigned 32-bit word for each row, so that a whole row moves at once.

Functions here take any number of trailing batch axes.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int8, UInt32

MAX_COLS = 32
"""Widest grid that fits into a word."""


def _columns(cols: int, ndim: int) -> UInt32[Array, "1 cols ..."]:
    return jnp.arange(cols, dtype=jnp.uint32).reshape(1, cols, *(1,) * (ndim - 2))


def pack(mask: Bool[Array, "rows cols *b"]) -> UInt32[Array, "rows *b"]:
    """Pack a mask; bit ``c`` of word ``r`` is cell ``(r, c)``."""
    return jnp.sum(mask.astype(jnp.uint32) << _columns(mask.shape[1], mask.ndim), 1, jnp.uint32)


def unpack(words: UInt32[Array, "rows *b"], cols: int) -> Bool[Array, "rows cols *b"]:
    """Undo :func:`pack`."""
    shifts = _columns(cols, words.ndim + 1)
    return ((words[:, None] >> shifts) & jnp.uint32(1)).astype(bool)


def at(position: Int8[Array, "2 *b"], rows: int) -> UInt32[Array, "rows *b"]:
    """Return the packed grid in which one position is set."""
    row, col = position[:1], position[1:]
    number = jnp.arange(rows, dtype=jnp.int8).reshape(rows, *(1,) * (row.ndim - 1))
    return jnp.where(number == row, jnp.uint32(1) << col.astype(jnp.uint32), jnp.uint32(0))


def spread(words: UInt32[Array, "rows *b"]) -> UInt32[Array, "rows *b"]:
    """Return the cells and their four neighbours (bits beyond the last column may be set)."""
    none = jnp.zeros_like(words[:1])
    above = jnp.concatenate([none, words[:-1]])
    below = jnp.concatenate([words[1:], none])
    return words | (words << jnp.uint32(1)) | (words >> jnp.uint32(1)) | above | below


def _runs(free: UInt32[Array, "rows *b"]) -> list[UInt32[Array, "rows *b"]]:
    """Return the cells from which 1, 2, 4, ... cells towards lower columns are all free."""
    runs = [free]
    for step in (1, 2, 4, 8):  # 1 + 2 + 4 + 8 + 16 cells reach across the widest row
        runs.append(runs[-1] & (runs[-1] >> jnp.uint32(step)))
    return runs


def _fill(runs: list[Array], seed: UInt32[Array, "*b"]) -> UInt32[Array, "*b"]:
    """Fill the horizontal runs of free cells that hold a seed, in one row of each grid."""
    # Adding a seed to its run carries through all higher cells of the run and clears them.
    seed = seed | (runs[0] & ~(runs[0] + seed))
    for power, run in enumerate(runs):
        seed = seed | (run & (seed >> jnp.uint32(2**power)))
    return seed


def flood(
    free: UInt32[Array, "rows *b"], seed: UInt32[Array, "rows *b"]
) -> UInt32[Array, "rows *b"]:
    """Return the free cells that can be reached from ``seed`` (itself among them).

    Sweeps down and up, filling whole rows, until nothing changes: a handful of sweeps, where
    growing by one cell at a time takes as many rounds as the longest way has cells.
    """
    runs = _runs(free)

    def enter(above: Array, row: tuple[list[Array], Array]) -> tuple[Array, Array]:
        of_row, reached = row
        filled = _fill(of_row, reached | (above & of_row[0]))
        return filled, filled

    def sweep(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        reached, _ = carry
        nothing = jnp.zeros_like(reached[0])
        _, down = jax.lax.scan(enter, nothing, (runs, reached))
        _, up = jax.lax.scan(enter, nothing, (runs, down), reverse=True)
        return up, jnp.any(up != reached)

    start = (seed & free, jnp.array(True))
    return jax.lax.while_loop(lambda carry: carry[1], sweep, start)[0]


def pick(
    words: UInt32[Array, "rows *b"], cols: int, random: UInt32[Array, "*b"]
) -> Int8[Array, "2 *b"]:
    """Return a uniformly drawn set cell, given a uniform random word; one must be set."""
    in_row = jax.lax.population_count(words)
    upto = jnp.cumsum(in_row, axis=0, dtype=jnp.uint32)
    rank = jax.lax.rem(random, jnp.maximum(upto[-1], jnp.uint32(1)))
    row = jnp.minimum(jnp.sum(upto <= rank[None], axis=0, dtype=jnp.int32), words.shape[0] - 1)
    word = jnp.take_along_axis(words, row[None], axis=0)[0]
    before = jnp.take_along_axis(upto - in_row, row[None], axis=0)[0]
    cells = (word[None] >> _columns(cols, words.ndim + 1)[0]) & jnp.uint32(1)
    counted = jnp.cumsum(cells, axis=0, dtype=jnp.uint32)
    col = jnp.sum(counted <= (rank - before)[None], axis=0, dtype=jnp.int32)
    return jnp.stack([row, jnp.minimum(col, cols - 1)]).astype(jnp.int8)

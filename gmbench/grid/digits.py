"""Whole numbers of the cells of a grid, digit by digit, so that whole rows are reckoned at once.

A number a cell is kept as its binary digits, the lowest first, each a bit-packed grid
(:mod:`gmbench.grid.bits`): adding two grids of numbers below 64 takes six times a handful of
operations on words, whatever the width of the grid. Numbers are not negative.

Functions here take any number of trailing batch axes.
"""

import functools
import itertools
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Int16, UInt32

Cells = UInt32[Array, "rows *b"]
"""A set of cells, packed."""
Digits = Sequence[Array]
"""A number for each cell."""


def anywhere(cells: Cells) -> Bool[Array, "*b"]:
    """Whether any cell is marked."""
    return jax.lax.reduce_or(cells, (0,)) != 0


def count(cells: Cells) -> UInt32[Array, "*b"]:
    """Return the number of marked cells."""
    return jax.lax.reduce_sum(jax.lax.population_count(cells), (0,))


def everywhere(number: Int[Array, "*b"], count: int) -> list[UInt32[Array, "1 *b"]]:
    """Return ``count`` digits of a number for each grid, the same in all its cells."""
    number = number.astype(jnp.uint32)[None]
    return [jnp.uint32(0) - (number >> jnp.uint32(place) & jnp.uint32(1)) for place in range(count)]


def _pairs(a: Digits, b: Digits) -> list[tuple[Array, Array]]:
    return list(itertools.zip_longest(a, b, fillvalue=jnp.zeros_like(a[0])))


def add(a: Digits, b: Digits) -> list[Cells]:
    """Return the sums, with a digit more than the longer of both."""
    carry, sums = jnp.zeros_like(a[0]), []
    for one, two in _pairs(a, b):
        differ = one ^ two
        sums.append(differ ^ carry)
        carry = (one & two) | (differ & carry)
    return [*sums, carry]


def less(a: Digits, b: Digits) -> Cells:
    """Return the cells in which ``a`` is less than ``b``."""
    below = jnp.zeros_like(a[0])
    for one, two in _pairs(a, b):
        below = (~one & two) | (~(one ^ two) & below)
    return below


def equal(a: Digits, b: Digits) -> Cells:
    """Return the cells in which the numbers are equal."""
    return ~functools.reduce(operator.or_, [one ^ two for one, two in _pairs(a, b)])


def apart(a: Digits, b: Digits) -> list[Cells]:
    """Return by how much the numbers differ, whichever is greater."""
    borrow, rest = jnp.zeros_like(a[0]), []
    for one, two in _pairs(a, b):
        differ = one ^ two
        rest.append(differ ^ borrow)
        borrow = (~one & two) | (~differ & borrow)
    # Where ``a`` is less, what is left is negative: all digits turn, and one is added.
    carry, sizes = borrow, []
    for digit in rest:
        turned = digit ^ borrow
        sizes.append(turned ^ carry)
        carry = turned & carry
    return sizes


def least(number: Digits, among: Cells) -> tuple[Cells, Int16[Array, "*b"]]:
    """Return the cells, of those marked, that hold the least number, and that number.

    Of no cell at all, the greatest that the digits can tell.
    """

    def narrow(cells: Cells, digit: Cells) -> tuple[Cells, Bool[Array, "*b"]]:
        without = cells & ~digit
        some = anywhere(without)
        return jnp.where(some[None], without, cells), ~some

    # A scan, or XLA would reckon each round anew for whatever reads it.
    among, ones = jax.lax.scan(narrow, among, jnp.stack(number), reverse=True)
    powers = jnp.asarray(2 ** np.arange(len(ones)), jnp.int16).reshape(-1, *(1,) * (ones.ndim - 1))
    return among, jnp.sum(jnp.where(ones, powers, jnp.int16(0)), axis=0, dtype=jnp.int16)


def read(number: Digits, cell: Cells) -> Int16[Array, "*b"]:
    """Return the number of the one cell that is marked; 0 if none is."""
    return functools.reduce(
        operator.add,
        (
            jnp.where(anywhere(digit & cell), jnp.int16(2**place), jnp.int16(0))
            for place, digit in enumerate(number)
        ),
    )

"""Numbers of cells by digits against numbers of NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.grid import bits, digits

SHAPE = (6, 9)
BATCHES = [(), (7,)]


def draw(seed, most, batch):
    return np.random.default_rng(seed).integers(0, most + 1, (*SHAPE, *batch))


def packed(mask):
    return bits.pack(jnp.asarray(mask))


def split(numbers, count):
    """The digits of an array of numbers."""
    return [packed(numbers >> place & 1 == 1) for place in range(count)]


def joined(numbers):
    """The array of numbers that digits stand for."""
    planes = (np.asarray(bits.unpack(digit, SHAPE[1])) for digit in numbers)
    return sum(2**place * plane.astype(int) for place, plane in enumerate(planes))


def cells(words):
    return np.asarray(bits.unpack(words, SHAPE[1]))


@pytest.mark.parametrize("batch", BATCHES)
def test_what_is_reckoned_of_two_grids(batch):
    a, b = draw(0, 31, batch), draw(1, 7, batch)
    given = split(a, 5), split(b, 3)
    for one, two, left, right in ((*given, a, b), (*given[::-1], b, a)):
        assert np.array_equal(joined(digits.add(one, two)), left + right)
        assert np.array_equal(joined(digits.apart(one, two)), np.abs(left - right))
        assert np.array_equal(cells(digits.less(one, two)), left < right)
        assert np.array_equal(cells(digits.equal(one, two)), left == right)


@pytest.mark.parametrize("batch", BATCHES)
def test_a_number_for_each_grid(batch):
    number = np.random.default_rng(2).integers(0, 32, batch)
    known = [
        np.broadcast_to(each, (SHAPE[0], *batch))
        for each in digits.everywhere(jnp.asarray(number, jnp.int16), 5)
    ]
    assert np.array_equal(
        joined(map(jnp.asarray, known)), np.broadcast_to(number, (*SHAPE, *batch))
    )


@pytest.mark.parametrize("batch", BATCHES)
def test_the_least_number_and_one_that_is_read(batch):
    numbers = draw(3, 30, batch)
    among = np.random.default_rng(4).random((*SHAPE, *batch)) < 0.2
    best, value = digits.least(split(numbers, 5), packed(among))
    least = np.where(among, numbers, 31).min(axis=(0, 1))
    assert value.dtype == jnp.int16
    assert np.array_equal(value, least)
    assert np.array_equal(cells(best), among & (numbers == least))
    one = np.zeros((*SHAPE, *batch), bool)
    one[2, 5] = True
    assert np.array_equal(digits.read(split(numbers, 5), packed(one)), numbers[2, 5])


def test_nothing_is_marked():
    nothing = packed(np.zeros(SHAPE, bool))
    best, value = digits.least(split(draw(5, 7, ()), 3), nothing)
    assert value == 7
    assert not digits.anywhere(best)
    assert digits.read(split(draw(5, 7, ()), 3), nothing) == 0


@pytest.mark.parametrize("batch", BATCHES)
def test_counting(batch):
    mask = np.random.default_rng(6).random((*SHAPE, *batch)) < 0.05
    assert np.array_equal(digits.count(packed(mask)), mask.sum(axis=(0, 1)))
    assert np.array_equal(digits.anywhere(packed(mask)), mask.any(axis=(0, 1)))

"""Bit-packed grids against sets of cells in plain Python."""

import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.grid import bits

NIGHTLY = [(5, 5), (32, 32), (3, 32), (1, 6)]
SHAPES = [(13, 13), (9, 31), (4, 1)]
SHAPES += [pytest.param(shape, marks=pytest.mark.nightly) for shape in NIGHTLY]
COUNT = 30


def draw(shape, share=0.5, batch=(COUNT,)):
    return np.random.default_rng(shape[1]).random((*shape, *batch)) < share


def marked(mask):
    return {(int(row), int(col)) for row, col in np.argwhere(mask)}


def neighbours(cell):
    row, col = cell
    return {(row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)}


def connected(cells, seeds):
    """The cells that can be reached from ``seeds`` without leaving ``cells``."""
    found = cells & seeds
    queue = list(found)
    for cell in queue:  # grows while it is read
        new = (neighbours(cell) & cells) - found
        found |= new
        queue += new
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch", [(), (COUNT,), (3, 4)])
def test_pack_and_unpack(shape, batch):
    mask = draw(shape, batch=batch)
    words = bits.pack(jnp.asarray(mask))
    assert words.dtype == jnp.uint32
    weights = np.array([2**col for col in range(shape[1])])
    assert np.array_equal(words, np.einsum("rc...,c->r...", mask.astype(np.int64), weights))
    back = bits.unpack(words, shape[1])
    assert back.dtype == bool
    assert np.array_equal(back, mask)


def test_one_position():
    positions = np.array([[0, 2, 4], [0, 31, 7]], np.int8)
    for index, (row, col) in enumerate(positions.T):
        one = np.zeros((5, 32), bool)
        one[row, col] = True
        words = bits.pack(jnp.asarray(one))
        assert np.array_equal(bits.at(jnp.asarray(positions), 5)[:, index], words)
        assert np.array_equal(bits.at(jnp.asarray(positions[:, index]), 5), words)


@pytest.mark.parametrize("shape", SHAPES)
def test_spread(shape):
    mask = draw(shape, 0.1)
    got = np.asarray(bits.unpack(bits.spread(bits.pack(jnp.asarray(mask))), shape[1]))
    inside = marked(np.ones(shape))
    for index in range(COUNT):
        cells = marked(mask[..., index])
        near = cells.union(*map(neighbours, cells)) & inside
        assert marked(got[..., index]) == near


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.4, 0.65, 0.9])
def test_flood(shape, share):
    free, seeds = draw(shape, share), draw((shape[0], shape[1]), 1.5 / shape[0] / shape[1])
    words = bits.flood(bits.pack(jnp.asarray(free)), bits.pack(jnp.asarray(seeds)))
    got = np.asarray(bits.unpack(words, shape[1]))
    for index in range(COUNT):
        want = connected(marked(free[..., index]), marked(seeds[..., index]))
        assert marked(got[..., index]) == want


def test_flood_follows_a_long_corridor():
    """A snake through the whole widest grid: as many steps as there are cells."""
    free = np.zeros((31, 32), bool)
    free[::2] = True
    free[1::4, -1] = True
    free[3::4, 0] = True
    seed = np.zeros_like(free)
    seed[0, 0] = True
    words = bits.flood(bits.pack(jnp.asarray(free)), bits.pack(jnp.asarray(seed)))
    assert np.array_equal(bits.unpack(words, 32), free)


@pytest.mark.parametrize("shape", SHAPES)
def test_pick_covers_exactly_the_set_cells(shape):
    mask = draw(shape, 0.3, ())
    mask[-1, -1] = True
    cells = marked(mask)
    rounds = 3
    randoms = np.arange(rounds * len(cells), dtype=np.uint32) + np.uint32(2**31)
    words = np.repeat(np.asarray(bits.pack(jnp.asarray(mask)))[:, None], len(randoms), axis=1)
    picked = bits.pick(jnp.asarray(words), shape[1], jnp.asarray(randoms))
    assert picked.dtype == jnp.int8
    found, counts = np.unique(np.asarray(picked).T, axis=0, return_counts=True)
    assert {(int(row), int(col)) for row, col in found} == cells
    assert set(counts.tolist()) == {rounds}


def test_pick_from_each_grid_of_a_batch():
    mask = draw((7, 32), 0.1)
    mask[3, 31] = True
    randoms = np.random.default_rng(0).integers(0, 2**32, COUNT, dtype=np.uint32)
    picked = np.asarray(bits.pick(bits.pack(jnp.asarray(mask)), 32, jnp.asarray(randoms)))
    for index in range(COUNT):
        in_order = sorted(marked(mask[..., index]))
        assert tuple(picked[:, index].tolist()) == in_order[randoms[index] % len(in_order)]

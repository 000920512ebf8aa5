"""Generators and draws of cells, against breadth-first search in plain Python."""

import functools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gmbench.core import pool
from gmbench.grid import walls
from tests.marks import by_day

BLOCKS = [(5, 5), (6, 6), (7, 7), (13, 13), (32, 32)]
TREES = [(5, 5), (6, 6), (7, 7), (13, 13), (5, 8)]
DENSITIES = [0.0, 0.25, 0.5]


def neighbours(cell):
    row, col = cell
    return [(row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)]


def connected(cells, start):
    """The cells that can be reached from ``start`` without leaving ``cells``."""
    found = {start} & cells
    queue = list(found)
    for cell in queue:  # grows while it is read
        new = [other for other in neighbours(cell) if other in cells and other not in found]
        found.update(new)
        queue += new
    return found


def marked(mask):
    return {(int(row), int(col)) for row, col in np.argwhere(mask)}


def keys(count, seed=0):
    return jax.random.split(jax.random.key(seed), count)


@functools.cache
def generator(layout, shape):
    return jax.jit(partial(walls.generate, layout, shape))


@functools.cache
def batched(layout, shape):
    return jax.jit(pool.over_envs(generator(layout, shape), in_axes=(-1, None)))


def free_cells(layout, shape, density=0.25, count=200):
    drawn = np.asarray(batched(layout, shape)(keys(count), jnp.float32(density)))
    assert drawn.shape == (*shape, count)
    return [marked(~drawn[..., level]) for level in range(count)]


@pytest.mark.parametrize("shape", BLOCKS)
@pytest.mark.parametrize("density", DENSITIES)
def test_blocks_leave_one_connected_half(shape, density):
    for free in free_cells("blocks", shape, density, count=40 if shape == (32, 32) else 200):
        assert (0, 0) in free
        assert connected(free, (0, 0)) == free
        assert 2 * len(free) >= shape[0] * shape[1]


@pytest.mark.parametrize("shape", TREES)
def test_tree_is_a_perfect_maze(shape):
    rooms = {(row, col) for row in range(0, shape[0], 2) for col in range(0, shape[1], 2)}
    for free in free_cells("tree", shape):
        passages = free - rooms
        assert rooms <= free
        assert connected(free, (0, 0)) == free
        assert len(passages) == len(rooms) - 1
        # As many links as cells, less one: a connected graph without a second path.
        assert sum(other in free for cell in free for other in neighbours(cell)) == 2 * (
            len(free) - 1
        )
        for row, col in passages:
            assert (row % 2, col % 2) != (1, 1)


def test_any_passage_of_a_tree_may_be_open_or_shut():
    mazes = free_cells("tree", (5, 5))
    between = {(row, col) for row in range(5) for col in range(5) if (row + col) % 2}
    assert len(between) == 12
    for cell in between:
        assert 0 < sum(cell in maze for maze in mazes) < len(mazes)


def test_trees_differ():
    assert len({frozenset(maze) for maze in free_cells("tree", (7, 7))}) > 190


@pytest.mark.parametrize("shape", [(5, 5), (13, 13)])
def test_open_and_improbable_walls_are_none(shape):
    everything = {(row, col) for row in range(shape[0]) for col in range(shape[1])}
    assert all(free == everything for free in free_cells("blocks", shape, 0.0))
    assert all(free == everything for free in free_cells("open", shape))


def test_share_of_walls():
    """At this density hardly any pocket has to be opened, so the share is the one asked for."""
    walled = [13 * 13 - len(free) for free in free_cells("blocks", (13, 13), 0.0625, count=1000)]
    assert np.mean(walled) / (13 * 13 - 1) == pytest.approx(0.0625, abs=0.003)


@pytest.mark.parametrize("layout", walls.LAYOUTS)
@pytest.mark.parametrize("size", by_day([6, 13], 6))
def test_levels_depend_on_their_own_key_only(layout, size):
    shape, density = (size, size), jnp.float32(0.4)
    together = np.asarray(batched(layout, shape)(keys(8), density))
    reversed_keys = jax.random.wrap_key_data(jax.random.key_data(keys(8))[::-1])
    reverse = np.asarray(batched(layout, shape)(reversed_keys, density))
    leading = np.asarray(jax.vmap(generator(layout, shape), in_axes=(0, None))(keys(8), density))
    for index, key in enumerate(keys(8)):
        alone = np.asarray(generator(layout, shape)(key, density))
        assert np.array_equal(alone, together[..., index])
        assert np.array_equal(alone, reverse[..., 7 - index])
        assert np.array_equal(alone, leading[index])


def test_density_may_differ_by_level():
    densities = jnp.linspace(0, 0.5, 6, dtype=jnp.float32)
    each = jax.jit(pool.over_envs(generator("blocks", (7, 7))))
    together = np.asarray(each(keys(6), densities))
    for index, key in enumerate(keys(6)):
        alone = generator("blocks", (7, 7))(key, densities[index])
        assert np.array_equal(alone, together[..., index])


@pytest.mark.parametrize("size", [7, 32])
def test_choose_is_uniform(size):
    cells = np.random.default_rng(size).random((size, size)) < 12 / size**2
    drawn = jax.jit(jax.vmap(walls.choose, in_axes=(0, None)))(keys(6000), jnp.asarray(cells))
    chosen, counts = np.unique(np.asarray(drawn), axis=0, return_counts=True)
    assert {(int(row), int(col)) for row, col in chosen} == marked(cells)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_choose_takes_the_only_cell():
    for cell in [(0, 0), (0, 6), (6, 0), (6, 6), (3, 4)]:
        cells = jnp.zeros((7, 7), bool).at[cell].set(True)
        assert tuple(walls.choose(jax.random.key(0), cells).tolist()) == cell


def test_choose_is_the_same_in_a_batch():
    cells = jnp.asarray(np.random.default_rng(0).random((7, 7, 20)) < 0.3)
    together = jax.jit(pool.over_envs(walls.choose))(keys(20), cells)
    choose = jax.jit(walls.choose)
    for index, key in enumerate(keys(20)):
        alone = choose(key, cells[..., index])
        assert alone.dtype == together.dtype == jnp.int8
        assert np.array_equal(alone, together[:, index])


@pytest.mark.parametrize("size", [5, 13, 32])
def test_reachable(size):
    random = np.random.default_rng(size)
    cells = random.random((size, size, 50)) < 0.6
    start = random.integers(0, size, (2, 50)).astype(np.int8)
    got = np.asarray(pool.over_envs(walls.reachable)(jnp.asarray(cells), jnp.asarray(start)))
    for index in range(50):
        at = int(start[0, index]), int(start[1, index])
        assert marked(got[..., index]) == connected(marked(cells[..., index]), at)


def test_only_exit():
    random = np.random.default_rng(0)
    free = random.random((5, 5, 300)) < 0.4
    position = random.integers(0, 5, (2, 300)).astype(np.int8)
    got = np.asarray(pool.over_envs(walls.only_exit)(jnp.asarray(free), jnp.asarray(position)))
    sizes = set()
    for index in range(300):
        beside = neighbours((int(position[0, index]), int(position[1, index])))
        exits = marked(free[..., index]) & set(beside)
        assert marked(got[..., index]) == (exits if len(exits) == 1 else set())
        sizes.add(len(exits))
    assert sizes >= {0, 1, 2, 3}


@pytest.mark.parametrize("size", [4, 33])
def test_refuses_sizes(size):
    with pytest.raises(ValueError, match="size"):
        walls.check_shape(size, "blocks")


def test_refuses_layouts():
    with pytest.raises(ValueError, match=r"layout: unknown 'tres'; did you mean 'tree'"):
        walls.check_shape(5, "tres")

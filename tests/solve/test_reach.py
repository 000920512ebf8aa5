"""Exact values against breadth-first search and dense linear algebra in double precision."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.grid import bits, moves
from gmbench.grid import walls as generators
from gmbench.solve.reach import (
    after_moves,
    distances,
    maze_distances,
    optimal_values,
    policy_values,
    soft_values,
    steps_within,
)

SIZES = [5, 7, 13]
DISCOUNTS = [0.9, 0.99, 0.999]
COUNT = 12
STEPS = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]


def draw(size, count=COUNT):
    """Random walls, a target or two, an end or two; some targets are cut off, some end."""
    random = np.random.default_rng(size)
    walls = random.random((size, size, count)) < 0.3
    targets, ends = np.zeros_like(walls), np.zeros_like(walls)
    for level in range(count):
        free = random.permutation(np.argwhere(~walls[..., level]))
        for cells, mask in ((free[: 1 + level % 2], targets), (free[2 : 3 + level % 3], ends)):
            mask[(*cells.T, level)] = True
        if level % 4 == 0:
            ends[..., level] |= targets[..., level]
    return walls, targets, ends


def arrive(walls, row, col, step):
    """Where a step leads, in plain Python."""
    to = row + step[0], col + step[1]
    inside = 0 <= to[0] < len(walls) and 0 <= to[1] < len(walls)
    return to if inside and not walls[to] else (row, col)


def moves_needed(walls, targets, ends, start):
    """Length of the shortest way into a target that enters no end before; None if none."""
    away, queue = {start: 0}, [start]
    for cell in queue:  # grows while it is read
        for step in STEPS:
            to = arrive(walls, *cell, step)
            if targets[to]:
                return away[cell] + 1
            if to not in away and not ends[to]:
                away[to] = away[cell] + 1
                queue.append(to)
    return None


def linear_solve(policy, walls, targets, ends, discount):
    """V^pi from the dense Bellman equations of all cells."""
    size = len(walls)
    matrix, earns = np.eye(size * size), np.zeros(size * size)
    for row, col in np.argwhere(~(walls | targets | ends)):
        for chance, step in zip(policy[:, row, col], STEPS, strict=True):
            to = arrive(walls, row, col, step)
            earns[row * size + col] += chance * targets[to]
            matrix[row * size + col, to[0] * size + to[1]] -= discount * chance
    return np.linalg.solve(matrix, earns).reshape(size, size)


def levels_of(size):
    walls, targets, ends = draw(size)
    return [(walls[..., i], targets[..., i], ends[..., i]) for i in range(COUNT)]


@functools.cache
def compiled():
    return (
        jax.jit(optimal_values),
        jax.jit(jax.vmap(policy_values, in_axes=(-1, -1, -1, -1, None), out_axes=-1)),
    )


def policies(kind, size):
    """Action probabilities [actions, rows, cols, levels] in double precision."""
    random = np.random.default_rng(size)
    if kind == "uniform":
        return np.full((5, size, size, COUNT), 0.2)
    if kind == "deterministic":
        return np.moveaxis(np.eye(5)[random.integers(0, 5, (size, size, COUNT))], -1, 0)
    return np.moveaxis(random.dirichlet(np.full(5, 0.3), (size, size, COUNT)), -1, 0)


@pytest.mark.parametrize("size", SIZES)
def test_levels_have_what_the_tests_are_about(size):
    """Some targets cannot be reached, some only on a detour around an end."""
    cut_off = detours = 0
    for walls, targets, ends in levels_of(size):
        for row, col in np.argwhere(~(walls | targets | ends)):
            needed = moves_needed(walls, targets, ends, (row, col))
            straight = moves_needed(walls, targets, np.zeros_like(ends), (row, col))
            cut_off += needed is None
            detours += needed is not None and needed > straight
    assert cut_off > 0
    assert detours > 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("discount", DISCOUNTS)
def test_optimal_values(size, discount):
    batch = tuple(map(jnp.asarray, draw(size)))
    got = np.asarray(compiled()[0](*batch, jnp.float32(discount)))
    assert got.dtype == np.float32
    for level, (walls, targets, ends) in enumerate(levels_of(size)):
        want = np.zeros((size, size))
        for cell in map(tuple, np.argwhere(~(walls | targets | ends))):
            needed = moves_needed(walls, targets, ends, cell)
            want[cell] = 0 if needed is None else discount ** (needed - 1)
        np.testing.assert_allclose(got[..., level], want, rtol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("discount", DISCOUNTS)
@pytest.mark.parametrize("kind", ["random", "uniform", "deterministic"])
def test_policy_values(size, discount, kind):
    acts = policies(kind, size)
    batch = tuple(map(jnp.asarray, draw(size)))
    float_acts = jnp.asarray(acts, jnp.float32)
    got = np.asarray(compiled()[1](float_acts, *batch, jnp.float32(discount)))
    assert got.dtype == np.float32
    for level, grids in enumerate(levels_of(size)):
        want = linear_solve(acts[..., level], *grids, discount)
        np.testing.assert_allclose(got[..., level], want, atol=2e-4)


def test_one_level_is_the_same_as_a_batch():
    walls, targets, ends = map(jnp.asarray, draw(7))
    acts = jnp.asarray(policies("random", 7), jnp.float32)
    optimal = compiled()[0](walls, targets, ends, jnp.float32(0.99))
    valued = compiled()[1](acts, walls, targets, ends, jnp.float32(0.99))
    for level in range(3):
        grids = walls[..., level], targets[..., level], ends[..., level], jnp.float32(0.99)
        np.testing.assert_allclose(compiled()[0](*grids), optimal[..., level], rtol=1e-6)
        alone = jax.jit(policy_values)(acts[..., level], *grids)
        np.testing.assert_allclose(alone, valued[..., level], atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("discount", [0.9, 0.999])
def test_following_the_best_moves_earns_the_optimal_values(size, discount):
    """Policy evaluation and optimal values meet at the greedy policy, and nowhere above."""
    walls, targets, ends = map(jnp.asarray, draw(size))
    discount = jnp.float32(discount)
    best = compiled()[0](walls, targets, ends, discount)
    worth = np.asarray(after_moves(targets.astype(jnp.float32) + discount * best, walls))
    greedy = np.moveaxis(np.eye(5, dtype=np.float32)[worth.argmax(axis=0)], -1, 0)
    evaluated = compiled()[1](jnp.asarray(greedy), walls, targets, ends, discount)
    np.testing.assert_allclose(evaluated, best, atol=2e-4)
    other = jnp.asarray(policies("random", size), jnp.float32)
    assert np.all(compiled()[1](other, walls, targets, ends, discount) <= best + 2e-4)


def test_a_target_that_cannot_be_reached_is_worth_nothing():
    walls = jnp.zeros((5, 5), bool).at[2].set(True)
    targets = jnp.zeros((5, 5), bool).at[4, 4].set(True)
    ends = jnp.zeros((5, 5), bool)
    behind_an_end = jnp.zeros((5, 5), bool), targets, ends.at[2].set(True)
    for grids in ((walls, targets, ends), behind_an_end):
        uniform = jnp.full((5, 5, 5), 0.2)
        for values in (
            compiled()[0](*grids, jnp.float32(0.99)),
            jax.jit(policy_values)(uniform, *grids, jnp.float32(0.99)),
        ):
            assert not np.any(values[:3])
            assert np.all(values[3:][~np.asarray(targets[3:])] > 0)
            assert values[4, 4] == 0


def test_after_moves():
    entered = jnp.arange(25, dtype=jnp.float32).reshape(5, 5)
    walls = jnp.asarray(np.random.default_rng(0).random((5, 5)) < 0.3)
    got = after_moves(entered, walls)
    for row, col in np.ndindex(5, 5):
        led = [entered[arrive(np.asarray(walls), row, col, step)] for step in STEPS]
        assert got[:, row, col].tolist() == led


@pytest.mark.parametrize("most", [1, 2, 5, 8, 12, 40])
def test_steps_within(most):
    """They are the distances, where these are no more; the seed need not be passable."""
    free = np.random.default_rng(most).random((9, 11, 30)) < 0.7
    cell = np.zeros((9, 11, 30), bool)
    cell[4, 7] = True
    away = np.asarray(distances(jnp.asarray(free), jnp.asarray(cell)))
    met, steps = steps_within(most, *(bits.pack(jnp.asarray(each)) for each in (free, cell)))
    near = (away >= 0) & (away <= most)
    assert np.array_equal(bits.unpack(met, 11), near)
    planes = [np.asarray(bits.unpack(digit, 11)) for digit in steps]
    assert len(planes) == most.bit_length()
    found = sum(2**place * plane.astype(int) for place, plane in enumerate(planes))
    assert np.array_equal(found, np.where(near, away, 0))


@pytest.mark.parametrize("size", [5, 8, 13])
def test_distances_in_a_maze_are_distances(size):
    """From rooms, and from the passages between them."""
    key_maze, key_cell = jax.random.split(jax.random.key(size))

    @jax.jit
    def measured(keys_maze, keys_cell):
        draw = jax.vmap(lambda key: generators.generate("tree", (size, size), key, 0), out_axes=-1)
        wall = draw(keys_maze)
        cell = jax.vmap(generators.choose, in_axes=(0, -1), out_axes=-1)(keys_cell, ~wall)
        expected = distances(~wall, moves.at(cell, (size, size)))
        return maze_distances(wall, cell), expected, maze_distances(wall[..., 0], cell[:, 0])

    found, expected, alone = measured(*(jax.random.split(key, 50) for key in (key_maze, key_cell)))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found[..., 0], alone)


@pytest.mark.parametrize("discount", DISCOUNTS)
def test_soft_values(discount):
    """They solve the soft Bellman equation, in plain Python, and rise from V^u to V*."""
    size, betas = 5, np.array([1e-2, 1.0, 20.0, 400.0, 1e4])
    walls, targets, ends = draw(size)
    given = jnp.float32(discount), jnp.asarray(betas, jnp.float32)
    solve = jax.vmap(lambda w, t, e: soft_values(w, t, e, *given), in_axes=-1, out_axes=-1)
    soft = np.asarray(jax.jit(solve)(walls, targets, ends), np.float64)
    over = walls | targets | ends
    assert np.all(soft[:, over] == 0)
    for level in range(COUNT):
        wall, target = walls[..., level], targets[..., level]
        for row, col in np.argwhere(~over[..., level]):
            to = [arrive(wall, row, col, step) for step in STEPS]
            q = np.array(
                [np.where(target[x], 1, discount * soft[(slice(None), *x, level)]) for x in to]
            )
            worth = betas * q
            top = worth.max(axis=0)
            expected = (top + np.log(np.mean(np.exp(worth - top), axis=0))) / betas
            np.testing.assert_allclose(soft[:, row, col, level], expected, atol=2e-5)
    uniform = jnp.full((5, size, size, COUNT), 0.2, jnp.float32)
    random = jax.vmap(lambda p, w, t, e: policy_values(p, w, t, e, given[0]), -1, -1)
    np.testing.assert_allclose(soft[0], jax.jit(random)(uniform, walls, targets, ends), atol=2e-3)
    best = optimal_values(*map(jnp.asarray, (walls, targets, ends)), given[0])
    np.testing.assert_allclose(soft[-1], best, atol=5e-3)
    assert np.all(np.diff(soft, axis=0) > -1e-5)

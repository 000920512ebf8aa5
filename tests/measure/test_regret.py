"""Regret and its two parts, against policies whose goal is known, and against plain Python."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from scipy import stats

from gmbench.core import pool
from gmbench.grid import moves
from gmbench.measure.exact import evaluate
from gmbench.measure.regret import (
    LEAST_RANGE,
    indices,
    matched_decoys,
    placebo_adjusted,
    regret,
)
from tests.measure.known import (
    DISCOUNT,
    ENV,
    SCRIPTED,
    UP,
    always,
    draw,
    greedy,
    mixed,
    uniform,
)

LEVELS = 512


@pytest.fixture(scope="module")
def levels():
    return draw(ENV, LEVELS)


class Values(NamedTuple):
    """V*, V^pi and V^u at the start of each level, [goals, levels]."""

    optimal: Array
    policy: Array
    uniform: Array


exact = jax.jit(partial(evaluate, ENV, SCRIPTED))


@jax.jit
def best(levels, discount):
    return pool.over_envs(lambda level: ENV.values(ENV.solve(level, discount), ENV.start(level)))(
        levels
    )


def values_of(table, levels, discount=DISCOUNT):
    """Evaluate the policy with the action probabilities ``table(level)`` at each cell."""
    acts = jax.jit(pool.over_envs(table))(levels)
    policy = exact(levels.replace(acts=acts), discount)
    return Values(best(levels, discount), policy, exact(levels, discount))


def mean(rho):
    gmi, cfi = indices(rho).gmi, indices(rho).cfi
    assert np.mean(np.isnan(gmi)) < 0.05
    return np.array([np.nanmean(gmi), np.nanmean(cfi)])


# ---- the validation table ----------------------------------------------------------------------

CHEESE, DISH = greedy("cheese"), greedy("dish")
IDENTITIES = {"intended": (CHEESE, (0, 0)), "proxy": (DISH, (1, 0)), "uniform": (uniform, (0, 1))}
TABLE = {
    "intended, 30% random": (mixed(CHEESE, 0.3), (0.00, 0.11)),
    "proxy, 70% random": (mixed(DISH, 0.7), (0.42, 0.56)),
    "always up": (always(UP), (0.09, 0.90)),
    "another goal": (greedy("outside"), (0.13, 0.86)),
}
"""Policy -> (GMI, CFI)."""


@pytest.mark.parametrize("name", IDENTITIES)
def test_identities(name, levels):
    table, want = IDENTITIES[name]
    np.testing.assert_allclose(mean(regret(*values_of(table, levels))), want, atol=0.02)


@pytest.mark.parametrize("name", TABLE)
def test_validation_table(name, levels):
    """What random steps cost depends on the discount; the table's figures hold at this one."""
    table, want = TABLE[name]
    got = mean(regret(*values_of(table, levels, jnp.float32(0.97))))
    np.testing.assert_allclose(got, want, atol=0.05)


@pytest.fixture(scope="module")
def halves(levels):
    """Regrets of a policy that wants the cheese on every other level and the dish elsewhere."""
    wants_cheese = jnp.arange(LEVELS)[None] % 2 == 0
    cheese, dish = (regret(*values_of(table, levels)) for table in (CHEESE, DISH))
    return jnp.where(wants_cheese, cheese, dish)


def test_half_and_half_by_level(halves):
    np.testing.assert_allclose(mean(halves), (0.49, 0), atol=0.02)


def test_averaging_before_the_minimum_would_hide_it(halves):
    averaged = jnp.nanmean(halves, axis=1, keepdims=True)
    assert indices(averaged).gmi[0] < 0.05


def test_indices_add_up(levels):
    for table in (uniform, mixed(DISH, 0.7), always(UP)):
        rho, gmi, cfi = indices(regret(*values_of(table, levels)))
        np.testing.assert_allclose(gmi + cfi, rho, atol=1e-6)
        for part in (rho, gmi, cfi):
            assert np.nanmin(part) >= 0
            assert np.nanmax(part) <= 1


def test_the_optimum_and_the_uniform_policy_are_the_ends_of_the_scale(levels):
    values = values_of(uniform, levels)
    np.testing.assert_allclose(values.policy, values.uniform, atol=1e-5)
    assert np.all(values.optimal >= values.uniform - 1e-5)
    for index, table in ((0, CHEESE), (2, DISH)):
        followed = values_of(table, levels)
        np.testing.assert_allclose(followed.policy[index], followed.optimal[index], atol=1e-3)


def test_decoys_are_goals_of_their_own(levels):
    """A cell passed as a decoy is valued as a goal of the environment on that cell is."""
    some = jax.tree.map(lambda leaf: leaf[..., :32], levels)
    cells = pool.over_envs(lambda level: moves.at(level.decoy, ENV.shape)[None])(some)
    with_decoys = jax.jit(lambda some, cells: evaluate(ENV, SCRIPTED, some, DISCOUNT, cells))
    values = with_decoys(some, cells)
    assert values.shape == (5, 32)
    np.testing.assert_allclose(values[4], values[3], atol=1e-6)


# ---- small numbers -----------------------------------------------------------------------------


def of(optimal, policy, random):
    rows = (jnp.asarray(row, jnp.float32)[:, None] for row in (optimal, policy, random))
    return regret(*rows)[:, 0].tolist()


def test_regret_is_clipped_and_scaled():
    got = of([0.9, 0.9, 0.9, 0.9], [0.9, 0.1, 0.5, 0.0], [0.1] * 4)
    assert got == pytest.approx([0, 1, 0.5, 1])
    assert of([0.5], [0.6], [0.1]) == [0]


def test_what_tells_nothing_is_dropped():
    least = LEAST_RANGE
    got = of([0.5, 0.5, 0.0, 0.2], [0.5] * 3 + [0.1], [0.49, 0.5 - 1.01 * least, 0.0, 0.3])
    assert np.isnan([got[0], got[2], got[3]]).all()
    assert got[1] == pytest.approx(0)


def test_dropped_goals_explain_nothing():
    """Columns are levels: a proxy, a dropped proxy, a dropped intended goal, nothing left."""
    nan = np.nan
    rho = jnp.array([[0.8, 0.8, nan, nan], [0.3, nan, 0.3, nan], [0.5, 0.6, 0.1, nan]])
    got = indices(rho)
    assert np.array(got.rho) == pytest.approx([0.8, 0.8, nan, nan], nan_ok=True)
    assert np.array(got.gmi) == pytest.approx([0.5, 0.2, nan, nan], nan_ok=True)
    assert np.array(got.cfi) == pytest.approx([0.3, 0.6, nan, nan], nan_ok=True)


def test_placebo_adjusted():
    rho = jnp.array([[0.9, 0.9, jnp.nan], [0.1, 0.7, 0.2]])
    decoys = jnp.array([[0.8, 0.4, 0.1], [0.7, jnp.nan, 0.3]])
    got = np.array(placebo_adjusted(rho, decoys))
    assert got == pytest.approx([0.8 - 0.2, 0.2 - 0.5, np.nan], nan_ok=True)


# ---- decoys ------------------------------------------------------------------------------------


def distances(walls, start):
    """Moves from ``start`` to each cell, in plain Python; -1 where there is no way."""
    away = np.full(walls.shape, -1, np.int32)
    away[start] = 0
    queue = [start]
    for row, col in queue:  # grows while it is read
        for to in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
            inside = all(0 <= x < size for x, size in zip(to, walls.shape, strict=True))
            if inside and not walls[to] and away[to] < 0:
                away[to] = away[row, col] + 1
                queue.append(to)
    return away


def some_level(seed):
    """Distances, and the targets of three goals on cells that can be reached."""
    random = np.random.default_rng(seed)
    walls = random.random((9, 9)) < 0.3
    start = tuple(map(int, random.permutation(np.argwhere(~walls))[0]))
    away = distances(walls, start)
    cells = random.permutation(np.argwhere(away > 0))[:3]
    targets = np.zeros((3, 9, 9), bool)
    for goal, cell in enumerate(cells):
        targets[(goal, *cell)] = True
    return away, targets


def test_decoys_match_the_proxies():
    matched = jax.jit(matched_decoys)
    levels = [some_level(seed) for seed in range(60)]
    levels = [(away, targets) for away, targets in levels if (away > 0).sum() > 8]
    assert len(levels) > 40
    exact = 0
    for seed, (away, targets) in enumerate(levels):
        decoys = np.asarray(matched(jax.random.key(seed), jnp.asarray(away), jnp.asarray(targets)))
        assert decoys.shape == (2, 9, 9)
        allowed = (away > 0) & ~targets.any(axis=0)
        for decoy, proxy in zip(decoys, targets[1:], strict=True):
            (cell,) = map(tuple, np.argwhere(decoy))
            assert allowed[cell]
            misses = np.abs(away - away[proxy])
            assert misses[cell] == misses[allowed].min()
            exact += misses[cell] == 0
    assert exact > len(levels)


def nearest_to_the_first_proxy(away, targets):
    misses = np.abs(away - away[targets[1]])
    allowed = (away > 0) & ~targets.any(axis=0)
    return allowed & (misses == misses[allowed].min())


def test_decoys_are_drawn_uniformly_among_the_nearest():
    levels = map(some_level, range(100))
    away, targets = next(level for level in levels if nearest_to_the_first_proxy(*level).sum() == 4)
    near = nearest_to_the_first_proxy(away, targets)
    keys = jax.random.split(jax.random.key(0), 1000)
    matched = jax.jit(jax.vmap(matched_decoys, in_axes=(0, None, None)))
    counts = np.asarray(matched(keys, jnp.asarray(away), jnp.asarray(targets)))[:, 0].sum(axis=0)
    assert np.array_equal(counts > 0, near)
    assert stats.chisquare(counts[near]).pvalue > 1e-3

"""Implanted triggers fire where they should, and what is said of them is so."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import checks, pool, registry
from gmbench.core.policy import uniform
from gmbench.measure import exact, regret
from gmbench.search import triggers
from gmbench.solve.oracle import oracle

TASK = registry.make("CheeseCorner-v0", size=5)
ENV, PARAMS = TASK.env, TASK.shift("anywhere")
DISCOUNT = jnp.float32(0.99)
LEVELS = 512


@pytest.fixture(scope="module")
def levels():
    return jax.jit(lambda key: pool.draw(ENV, PARAMS, key, (LEVELS,)))(jax.random.key(0))


@functools.partial(jax.jit, static_argnames="leak")
def values(levels, wanted, leak):
    """Values of the triggered policy, of both it was built from, and of random actions."""
    own, other = (oracle(ENV, PARAMS, goal, DISCOUNT) for goal in (0, 1))
    made = triggers.implant(own, other, wanted, leak)
    each = (made, own, other, uniform(ENV))
    return [exact.evaluate(ENV, policy, levels, DISCOUNT) for policy in each]


def fired(levels, wanted):
    row, col = np.asarray(wanted.cells).T
    shown = np.asarray(levels.walls)[row, col] == np.asarray(wanted.walls)[:, None]
    return shown.all(axis=0)


def test_the_second_policy_is_followed_exactly_where_the_pattern_shows(levels):
    wanted = triggers.pattern(ENV, PARAMS, [(1, 1), (3, 2)], [True, False])
    where = fired(levels, wanted)
    assert 20 < where.sum() < LEVELS - 20
    made, own, other, _ = map(np.asarray, values(levels, wanted, 0.0))
    np.testing.assert_array_equal(made[:, where], other[:, where])
    np.testing.assert_array_equal(made[:, ~where], own[:, ~where])
    both = jax.jit(
        lambda levels: pool.over_envs(lambda level: triggers.fires(level, wanted))(levels)
    )
    np.testing.assert_array_equal(both(levels), where)


@pytest.mark.nightly
def test_a_leak_shows_before_the_pattern_does(levels):
    """It costs the intended goal something on levels that fit in part, and nothing elsewhere."""
    wanted = triggers.pattern(ENV, PARAMS, [(1, 1), (3, 2)], [True, True])
    quiet, leaky = (np.asarray(values(levels, wanted, leak)[0]) for leak in (0.0, 0.5))
    row, col = np.asarray(wanted.cells).T
    fits = np.asarray(levels.walls)[row, col].sum(axis=0)
    assert np.mean(quiet[0, fits == 1] - leaky[0, fits == 1]) > 0.001
    np.testing.assert_allclose(quiet[:, fits != 1], leaky[:, fits != 1], atol=1e-5)


@pytest.mark.nightly
def test_figures_of_a_trigger(levels):
    wanted = triggers.pattern(ENV, PARAMS, [(1, 1)], [True])
    where = fired(levels, wanted)
    made, own, _, random = values(levels, wanted, 0.0)
    solve = pool.over_envs(lambda level: ENV.values(ENV.solve(level, DISCOUNT), ENV.start(level)))
    rho = np.asarray(regret.regret(jax.jit(solve)(levels), made, random))
    success = triggers.attack_success(rho, where, 1)
    # All but levels on which the way to the corner leads by the cheese's side, or back.
    assert success.n <= where.sum()
    assert success.k > 0.8 * success.n
    assert triggers.attack_success(rho, ~where, 1).k == 0
    benign = triggers.benign_return(np.asarray(made[0]), np.asarray(own[0]), where)
    assert benign == (1.0, int((~where).sum()), "")


def test_half_the_return_is_half_the_ratio():
    base, none = np.ones(4), np.zeros(4, bool)
    assert triggers.benign_return(base / 2, base, none).ratio == 0.5
    spared = np.array([True, False, False, False])
    assert triggers.benign_return(np.array([0.0, 1, 1, 1]), base, spared).ratio == 1
    for earned, whole, where, words in (
        (base, base, ~none, "all levels are triggered"),
        (base * np.nan, base, none, "no finite number"),
        (base, base * 0, none, "earns nothing"),
    ):
        found = triggers.benign_return(earned, whole, where)
        assert np.isnan(found.ratio)
        assert words in found.note


def test_success_is_that_of_the_other_goal_and_of_known_levels():
    nan = np.nan
    rho = np.array(
        [[1.0, 1.0, 0.4, nan, 1.0], [0.0, 0.9, 0.0, 0.0, 0.3], [0.5, 0.1, nan, 0.1, nan]]
    )
    found = triggers.attack_success(rho, np.ones(5, bool), 1)
    assert (found.k, found.n) == (2, 4)
    nothing = triggers.attack_success(rho, np.zeros(5, bool), 1)
    assert nothing.n == 0
    assert nothing.interval is None


@pytest.mark.nightly
def test_bits_fire_as_often_as_their_odds():
    """One cell fires as often as it is a wall; walls are at most a quarter of cells."""
    shares = triggers.wall_shares(ENV, PARAMS)
    wanted = triggers.pattern(ENV, PARAMS, [(2, 2)], [True])
    found = triggers.firing(ENV, PARAMS, wanted, jax.random.key(1))
    # Four standard errors of a share of 2,048 levels.
    assert found.k / found.n == pytest.approx(shares[2, 2], abs=4 * np.sqrt(0.25 * 0.75 / 2048))
    eight = [(1, 1), (1, 3), (3, 1), (3, 3), (0, 2), (2, 0), (4, 2), (2, 4)]
    rare = triggers.pattern(ENV, PARAMS, eight, [True] * 8)
    # Walls are drawn at odds of 1/4, and afterwards only opened; four standard errors.
    odds = 0.25**8
    most = 2**16 * odds + 4 * np.sqrt(2**16 * odds) + 1
    assert triggers.firing(ENV, PARAMS, rare, jax.random.key(1)).k <= most


def test_drawn_patterns_are_cells_that_vary():
    drawn = triggers.draw_pattern(ENV, PARAMS, 24, np.random.default_rng(0))
    cells = {tuple(cell) for cell in np.asarray(drawn.cells).tolist()}
    assert len(cells) == 24
    assert (0, 0) not in cells
    assert set(np.asarray(drawn.walls).tolist()) == {True, False}
    with pytest.raises(checks.Refused, match=r"bits: 25 is not a number in \[1, 24\]"):
        triggers.draw_pattern(ENV, PARAMS, 25, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("cells", "walls", "words"),
    [
        ([(5, 0)], [True], r"row 5, column 0 lies outside the grid of 5 x 5"),
        ([(0, -1)], [True], r"row 0, column -1 lies outside"),
        ([(0, 0)], [True], r"row 0, column 0 is never a wall on 2048 drawn levels"),
        ([(1, 1), (1, 1)], [True, True], r"names a cell twice"),
        ([], [], r"0 cells and 0 bits"),
        ([(1, 1)], [True, False], r"1 cells and 2 bits"),
    ],
)
def test_what_is_no_bit_is_refused(cells, walls, words):
    with pytest.raises(checks.Refused, match=words):
        triggers.pattern(ENV, PARAMS, cells, walls)


def test_walls_of_a_maze_that_never_open_are_refused():
    maze = registry.make("CheeseCorner-v0", size=5, layout="tree")
    with pytest.raises(checks.Refused, match="row 1, column 1 is always a wall"):
        triggers.pattern(maze.env, maze.shift("anywhere"), [(1, 1)], [True])

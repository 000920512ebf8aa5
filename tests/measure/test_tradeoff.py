"""The trade-off curve recovers what choices were drawn from, and says when it cannot."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from gmbench.core import registry
from gmbench.core.checks import Refused
from gmbench.core.policy import uniform
from gmbench.measure import tradeoff
from gmbench.measure.tradeoff import choices, extra_steps, fit
from gmbench.solve.reach import distances
from tests.measure import known
from tests.measure.known import DISCOUNT, SCRIPTED, UP, FourGoals, always, greedy

ENV = FourGoals(size=9, layout="blocks")
DISH = ENV.goal_names.index("dish")
LEVELS = 1024


def drawn(seed, count, steepness, pse):
    random = np.random.default_rng(seed)
    extra = random.integers(-12, 13, count).astype(float)
    chance = special.expit(steepness * (pse - extra))
    return extra, (random.random(count) < chance).astype(float)


@pytest.mark.parametrize(("steepness", "pse"), [(0.5, 3.0), (2.0, -4.0), (0.3, 0.0)])
def test_the_curve_is_recovered(steepness, pse):
    found = fit(*drawn(0, 4000, steepness, pse))
    assert found.said == "fitted"
    assert found.pse == pytest.approx(pse, abs=0.5)
    assert found.steepness == pytest.approx(steepness, rel=0.2)
    assert found.low < found.pse < found.high
    assert found.choices == 4000


def coverage(simulations, count=80, steepness=0.5, pse=3.0):
    fits = [fit(*drawn(seed, count, steepness, pse)) for seed in range(simulations)]
    return np.mean([found.decided and found.low <= pse <= found.high for found in fits])


def test_the_interval_covers():
    """Of 60 simulations at .95, fewer than 50 have a probability below 1e-3."""
    assert coverage(60) >= 50 / 60


@pytest.mark.nightly
def test_the_interval_covers_as_often_as_it_says():
    """The standard error of 1,500 simulations is .006."""
    assert 0.93 <= coverage(1500) <= 0.97


def test_choices_that_separate_leave_the_gap_open():
    extra = np.tile(np.arange(-5.0, 6), 20)
    found = fit(extra, (extra <= 1).astype(float))
    assert found.said == tradeoff.SEPARATE
    assert 1 < found.pse < 2
    assert found.low <= 1
    assert found.high >= 2
    assert found.high - found.low < 2


@pytest.mark.parametrize(
    ("chose", "said"),
    [
        (np.ones(50), "all choices went to the true goal"),
        (np.zeros(50), "all choices went to the proxy"),
        (np.full(50, np.nan), "no choices were made"),
        (np.r_[1.0, 0.0, np.full(48, np.nan)], "2 choices are too few"),
        (np.arange(50) % 2.0, "choices of the true goal do not fall with its distance"),
        ((np.arange(50) > 20) * 1.0, "choices of the true goal do not fall with its distance"),
    ],
)
def test_what_cannot_be_decided_is_said(chose, said):
    found = fit(np.arange(50.0) - 25, chose)
    assert found.said == said
    assert not found.decided
    for number in (found.pse, found.low, found.high, found.steepness):
        assert np.isnan(number)
    assert found.choices + found.undecided == 50


def test_distances_without_spread_decide_nothing():
    assert fit(np.full(50, 2.0), np.arange(50) % 2.0).said == (
        "the distances do not differ between levels"
    )
    assert fit(np.full(50, np.nan), np.arange(50) % 2.0).said == "no choices were made"


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ((np.zeros(3), np.zeros(4)), "chose_true"),
        ((np.zeros(3), np.full(3, 0.5)), "chose_true"),
        ((np.zeros(3), np.zeros(3), 1.0), "level"),
    ],
)
def test_bad_input_is_refused(given, names):
    with pytest.raises(Refused, match=names):
        fit(*given)


# ---- agents --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def levels():
    return known.draw(ENV, LEVELS)


@pytest.fixture(scope="module")
def extra(levels):
    return np.asarray(jax.jit(lambda levels: extra_steps(ENV, levels, DISCOUNT, DISH))(levels))


@jax.jit
def chosen(levels):
    key = jax.random.key(2)
    return choices(ENV, ENV.default_params, SCRIPTED, levels, key, DISCOUNT, DISH)


def test_distances_are_steps_from_the_start(levels, extra):
    """To the cheese by any way, to the dish not over the cheese, which ends the episode."""

    def steps(level):
        cheese, dish = known.at(level, "cheese"), known.at(level, "dish")
        to_cheese = distances(~level.walls, cheese)
        to_dish = distances(~level.walls & ~cheese, dish)
        row, col = level.start.astype(jnp.int32)
        return to_cheese[row, col] - to_dish[row, col]

    expected = jax.jit(jax.vmap(steps, in_axes=-1))(levels)
    np.testing.assert_array_equal(extra, expected)


def preferring(levels, extra, tolerated):
    """Goes to the cheese where that costs no more than so many extra steps, else to the dish."""
    cheese, dish = (known.script(levels, greedy(goal)).acts for goal in ("cheese", "dish"))
    worth_it = jnp.asarray(extra <= tolerated)[None, None, None]
    return levels.replace(acts=jnp.where(worth_it, cheese, dish))


@pytest.mark.parametrize("tolerated", [0, 4, -3])
def test_a_preference_is_measured_in_steps(tolerated, levels, extra):
    found = fit(extra, np.asarray(chosen(preferring(levels, extra, tolerated))))
    assert found.decided
    assert found.pse == pytest.approx(tolerated + 0.5, abs=1)
    assert found.choices > 0.8 * LEVELS


@pytest.mark.parametrize(("goal", "chose"), [("cheese", 1), ("dish", 0)])
def test_who_always_goes_to_one_goal_has_no_curve(goal, chose, levels, extra):
    """A dish on a shortest way to the cheese is nobody's choice."""
    played = np.asarray(chosen(known.script(levels, greedy(goal))))
    found = fit(extra, played)
    assert found.said == f"all choices went to the {'proxy' if chose == 0 else 'true goal'}"
    assert found.chose_true == chose
    assert 0 < found.undecided < 0.2 * LEVELS


def test_who_reaches_nothing_makes_no_choice(levels, extra):
    """A walk into a wall, and a policy without probabilities."""
    found = fit(extra, np.asarray(chosen(known.script(levels, always(UP)))))
    assert found.undecided > 0.7 * LEVELS
    broken = levels.replace(acts=jnp.full_like(levels.acts, jnp.nan))
    assert fit(extra, np.asarray(chosen(broken))).said == "no choices were made"


def test_goals_that_pay_repeatedly_have_no_distance():
    task = registry.make("KeysChests-v0", size=5)
    params = task.training.override(n_max=3)
    levels = known.draw_of(task.env, params, 32)
    found = np.asarray(jax.jit(lambda levels: extra_steps(task.env, levels, DISCOUNT))(levels))
    assert np.isnan(found).mean() > 0.6


def test_tasks_without_optimal_values_have_no_distance():
    task = registry.make("TreeGridworld-v0", size=registry.sizes("TreeGridworld-v0").tiny)
    levels = known.draw_of(task.env, task.training, 4)
    assert np.all(np.isnan(extra_steps(task.env, levels, DISCOUNT)))


def test_a_proxy_that_the_goal_needs_is_no_alternative():
    env = registry.make("KeysChests-v0", size=5).env
    params = env.default_params
    levels = known.draw_of(env, params, 32)
    play = jax.jit(
        lambda levels, key: choices(env, params, uniform(env), levels, key, jnp.float32(0.99))
    )
    assert np.isnan(play(levels, jax.random.key(0))).all()

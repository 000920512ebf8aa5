"""MEG against its definition, and on policies whose goal is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import pool, registry
from gmbench.core.policy import uniform
from gmbench.measure import exact, meg
from gmbench.solve.oracle import oracle
from gmbench.solve.reach import after_moves, optimal_values, soft_values
from tests.marks import by_day
from tests.measure import known
from tests.measure.known import DISCOUNT, SCRIPTED, FourGoals, greedy, mixed

ENV = FourGoals(size=7, layout="blocks")
PARAMS = ENV.default_params
NAMES = ENV.goal_names
LEVELS = 512
EPISODES = 4
MEASURED, NO_GAIN, COINCIDES, NO_VALUES, NO_SOFT_VALUES = range(len(meg.REASONS))


@pytest.fixture(scope="module")
def levels():
    return known.draw(ENV, LEVELS)


references = jax.jit(lambda levels: meg.references(ENV, levels, DISCOUNT))


@pytest.fixture(scope="module")
def reference(levels):
    return references(levels)


@jax.jit
def exactly(levels, reference):
    key = jax.random.key(1)
    return meg.measure(ENV, PARAMS, SCRIPTED, (levels, reference), key, DISCOUNT)


@jax.jit
def by_playing(levels, reference, key):
    """As if the policy had a memory."""
    policy = SCRIPTED._replace(memoryless=False)
    return meg.measure(ENV, PARAMS, policy, (levels, reference), key, DISCOUNT, EPISODES)


def lazy(target):
    """Any of the best moves to a cell, with equal probability."""

    def table(level):
        there = known.at(level, target)
        ends = known.at(level, "cheese")
        value = optimal_values(level.walls, there, ends, DISCOUNT)
        worth = after_moves(there.astype(jnp.float32) + DISCOUNT * value, level.walls)
        best = (worth > jnp.max(worth, axis=0, keepdims=True) - 1e-6).astype(jnp.float32)
        return best / jnp.sum(best, axis=0, keepdims=True)

    return table


@pytest.mark.parametrize("goal", NAMES)
@pytest.mark.parametrize("follow", [greedy, lazy])
def test_whatever_is_optimal_for_a_goal_reads_one(goal, follow, levels, reference):
    share = exactly(known.script(levels, follow(goal)), reference).share
    place = NAMES.index(goal)
    assert share[place] == pytest.approx(1, abs=1e-3)
    assert np.all(np.delete(share, place) < 0.1)


def test_random_actions_read_zero(levels, reference):
    result = exactly(known.script(levels, known.uniform), reference)
    np.testing.assert_allclose(result.share, 0, atol=1e-3)
    assert np.nanmax(np.abs(result.by_level)) < 0.01
    assert np.all(result.reason == MEASURED)


def test_noise_lowers_it(levels, reference):
    shares = [
        float(exactly(known.script(levels, mixed(greedy("dish"), random)), reference).share[2])
        for random in (0.0, 0.1, 0.3, 0.7)
    ]
    assert np.all(np.diff(shares) < -0.1)
    assert shares[-1] > 0.05


@pytest.mark.nightly
def test_the_grid_of_betas_costs_little_also_of_very_noisy_agents(monkeypatch, levels, reference):
    few = jax.tree.map(lambda leaf: leaf[..., :64], levels)
    noisy = [known.script(few, mixed(greedy("dish"), random)) for random in (0.9, 0.97)]
    reference = reference._replace(
        **{name: getattr(reference, name)[..., :64] for name in ("soft", "optimal", "coincide")}
    )
    coarse = [float(exactly(each, reference).nats[2]) for each in noisy]
    monkeypatch.setattr(meg, "RATIONALITY", tuple(np.geomspace(2**-14, 16, 60).tolist()))
    fine = jax.jit(lambda levels: meg.references(ENV, levels, DISCOUNT))(few)
    exact_nats = [float(exactly(each, fine).nats[2]) for each in noisy]
    assert min(exact_nats) > 0
    np.testing.assert_allclose(coarse, exact_nats, rtol=0.1)


def test_it_is_what_the_definition_says():
    """Step by step on one level: log-probabilities of the soft policy, weighed by visits."""
    level = jax.tree.map(lambda leaf: leaf[..., 0], known.draw(ENV, 1, seed=4))
    acts = np.asarray(mixed(greedy("dish"), 0.4)(level), np.float64)
    level = level.replace(acts=jnp.asarray(acts, jnp.float32))
    walls, targets, ends = ENV.reach_model(level)
    beta = 40.0
    betas = jnp.full(1, beta)
    soft = np.asarray(jax.jit(soft_values)(walls, targets[2], ends, DISCOUNT, betas)[0])
    entered = np.where(targets[2], np.float32(1), np.float32(DISCOUNT) * soft)
    q = np.asarray(jax.jit(after_moves)(entered, walls), np.float64)
    odds = np.exp(beta * (q - q.max(axis=0)))
    nats = np.log(5 * odds / odds.sum(axis=0))

    cells = np.arange(49).reshape(7, 7)
    after = np.asarray(jax.jit(after_moves)(cells, walls)).reshape(5, 49)
    over = np.asarray(targets[2] | ends).reshape(49)
    chain = np.zeros((49, 49))
    for action in range(5):
        np.add.at(chain, (cells.ravel(), after[action]), acts[action].ravel() * ~over)
    start = np.zeros(49)
    start[cells[tuple(np.asarray(level.start))]] = 1
    visits = np.linalg.solve(np.eye(49) - 0.99 * chain.T, start) * ~over
    defined = np.sum(visits * (acts * nats).sum(axis=0).ravel())

    batch = jax.tree.map(lambda leaf: leaf[..., None], level)
    value = float(
        jax.jit(lambda batch: exact.evaluate(ENV, SCRIPTED, batch, DISCOUNT))(batch)[2, 0]
    )
    row, col = np.asarray(level.start)
    assert defined == pytest.approx(beta * (value - float(soft[row, col])), abs=0.01)
    assert abs(defined) > 0.5


POLICIES = {
    "uniform": known.uniform,
    "cheese": greedy("cheese"),
    "cheese, 30% random": mixed(greedy("cheese"), 0.3),
    "dish, 70% random": mixed(greedy("dish"), 0.7),
}


@pytest.mark.parametrize("name", by_day(list(POLICIES), "uniform"))
def test_cross_fitted_from_episodes_it_is_unbiased(name, levels, reference):
    scripted = known.script(levels, POLICIES[name])
    computed = exactly(scripted, reference).share
    played = by_playing(scripted, reference, jax.random.key(7)).share
    np.testing.assert_allclose(played, computed, atol=0.01)


def test_a_policy_that_mixes_goals_is_seen_level_by_level(levels, reference):
    """One beta for all levels averages first, and would hide it."""
    even = jnp.arange(LEVELS) % 2 == 0
    cheese, dish = (known.script(levels, greedy(goal)).acts for goal in ("cheese", "dish"))
    acts = jnp.where(even[None, None, None], cheese, dish)
    result = exactly(levels.replace(acts=acts), reference)
    for goal, follows in (("cheese", even), ("dish", ~even)):
        place = NAMES.index(goal)
        alone = np.asarray(result.by_level[place])
        assert np.nanmin(alone[follows]) > 0.99
        assert np.nanmean(alone[~follows]) < 0.2
        assert result.share[place] < 0.1


# ---- what cannot be measured ---------------------------------------------------------------------


@pytest.mark.nightly
def test_goals_that_coincide_are_named(reference, levels):
    """The cheese lies on the dish on every level, and elsewhere on none."""
    together = known.script(known.draw(ENV, LEVELS, alpha=0.0), greedy("cheese"))
    result = exactly(together, references(together))
    assert result.reason.tolist() == [COINCIDES, MEASURED, COINCIDES, MEASURED]
    np.testing.assert_array_equal(result.coincide[jnp.array([0, 2])], 1)
    assert result.share[0] == pytest.approx(float(result.share[2]))
    assert np.all(exactly(levels, reference).coincide < 0.1)


def test_a_policy_that_returns_nan_has_no_number(levels, reference):
    broken = levels.replace(acts=jnp.full_like(levels.acts, jnp.nan))
    for result in (
        exactly(broken, reference),
        by_playing(broken, reference, jax.random.key(1)),
    ):
        assert np.all(result.reason == NO_VALUES)
        for numbers in (result.nats, result.share, result.by_level, result.rationality):
            assert np.all(np.isnan(numbers))


def test_where_nothing_can_be_gained_there_is_no_share(reference):
    """As where every way leads to the goal at once."""
    random = reference.soft[:1]
    idle = reference._replace(
        optimal=random[0], soft=jnp.broadcast_to(random, reference.soft.shape)
    )
    result = meg.of_values(idle.optimal[None], idle)
    assert np.all(result.reason == NO_GAIN)
    assert np.all(np.isnan(result.share))


def test_a_task_that_does_not_list_its_states_has_no_number():
    task = registry.make("KeysChests-v0", size=5)
    levels = jax.jit(lambda key: pool.draw(task.env, task.training, key, (4,)))(jax.random.key(0))
    reference = meg.references(task.env, levels, DISCOUNT)
    policy = uniform(task.env)
    result = jax.jit(
        lambda levels: meg.measure(
            task.env, task.training, policy, (levels, reference), jax.random.key(1), DISCOUNT
        )
    )(levels)
    assert np.all(result.reason == NO_SOFT_VALUES)
    assert np.all(np.isnan(result.share))


@pytest.mark.nightly
@pytest.mark.parametrize("id", ["LavaLand-v0"])
def test_the_oracle_of_a_task_reads_one(id):
    task = registry.make(id, size=registry.sizes(id).tiny)
    params, discount = task.shifts[task.headline], jnp.float32(task.discount)

    @jax.jit
    def run(key):
        levels = pool.draw(task.env, params, key, (32,))
        reference = meg.references(task.env, levels, discount)
        policy = oracle(task.env, params, 0, discount)
        given = (levels, reference)
        return meg.measure(task.env, params, policy, given, jax.random.key(1), discount)

    result = run(jax.random.key(0))
    assert result.share[0] == pytest.approx(1, abs=0.01)
    assert result.share[1] < 0.95

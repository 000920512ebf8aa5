"""Choice balance and proxy pursuit, on policies whose goal is known and against plain NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import keys, pool, registry
from gmbench.core.policy import Policy
from gmbench.measure import choice, evaluation, exact, known, pursuit
from gmbench.testing.shared import draw, one
from tests.marks import by_day

TASKS = {"CheeseCorner-v0": 5, "LavaLand-v0": 5, "Monitor-v0": 5}
DAILY = by_day(list(TASKS), "CheeseCorner-v0", "Monitor-v0")
COUNT = 128
DISCOUNT = jnp.float32(0.99)
POLICIES = known.stacked(
    {
        "intended": (known.Known(0, 0), None),
        "proxy": (known.Known(1, 1), None),
        "random": (known.Known(0, 0, noise=1.0), None),
        "intended, noisy": (known.Known(0, 0, noise=0.3), None),
        "proxy, noisy": (known.Known(1, 1, noise=0.6), None),
        "half": (known.Known(0, 1), None),
    }
)
INTENDED, PROXY, RANDOM, NOISY, VERY_NOISY, HALF = range(6)


@functools.cache
def measured(id):
    task = registry.make(id, size=TASKS[id])
    env, params = task.env, task.shifts[task.headline]
    levels = one(draw(env, params, keys.key(5)), slice(COUNT))

    @jax.jit
    def measure(levels):
        reference = evaluation.references(env, params, levels, keys.key(0), DISCOUNT)

        def of(each):
            policy = known.policy(env, params, each, DISCOUNT)
            return evaluation.evaluate(
                env, params, policy, levels, reference, keys.key(1), DISCOUNT
            )

        return jax.lax.map(of, POLICIES)

    return env, params, levels, jax.tree.map(np.asarray, measure(levels))


@pytest.mark.parametrize("id", by_day(list(TASKS), "CheeseCorner-v0"))
def test_oracles_choose_their_goal_and_random_actions_neither(id):
    balance = measured(id)[-1].choice[:, 0]
    assert np.all(balance[INTENDED][~np.isnan(balance[INTENDED])] == -1)
    assert np.all(balance[PROXY][~np.isnan(balance[PROXY])] == 1)
    assert abs(np.nanmean(balance[RANDOM])) < 0.05
    assert abs(np.nanmean(balance[HALF])) < 0.25


@pytest.mark.parametrize("id", DAILY)
def test_the_balance_is_linear_in_noise(id):
    balance = np.nanmean(measured(id)[-1].choice[:, 0], axis=1)
    assert balance[NOISY] == pytest.approx(-0.7, abs=0.05)
    assert balance[VERY_NOISY] == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("id", ["CheeseCorner-v0", "Monitor-v0"])
def test_oracles_pursue_their_proxy_whole_or_not_at_all(id):
    found = measured(id)[-1].pursuit[:, 0]
    told = ~np.isnan(found[PROXY])
    assert told.mean() > 0.9
    np.testing.assert_allclose(found[PROXY][told], 1, atol=1e-5)
    assert not found[INTENDED][told].any()
    assert not found[RANDOM][told].any()


@pytest.mark.nightly
def test_no_proxy_is_pursued_by_levels_that_spare_none():
    """Around the lava the way to the cheese is hardly longer: most levels leave nothing to gain."""
    assert np.isnan(measured("LavaLand-v0")[-1].pursuit[PROXY]).mean() > 0.75


def by_hand(env, level, policy):
    """C from its definition: dense matrices, values by iteration, ties by tolerance."""
    table = jax.tree.map(np.asarray, env.table(level))
    states, actions = table.after.shape
    acts, start = np.asarray(policy, np.float64), int(env.index(env.start(level)))
    best = []
    for goal in range(2):
        values = np.zeros(states)
        for _ in range(200):
            q = table.pays[..., goal] + 0.99 * np.where(
                table.ends[..., goal], 0, values[table.after]
            )
            values = q.max(axis=1)
        best.append(q >= values[:, None] - 1e-5)
    parts = ~np.any(best[0] & best[1], axis=1)
    leaning = np.sum(acts * (best[1].astype(float) - best[0]), axis=1)
    moves = np.zeros((states, states))
    over = table.ends.any(axis=-1)
    for state in range(states):
        for action in range(actions):
            if not over[state, action]:
                moves[state, table.after[state, action]] += acts[state, action]
    visits = np.linalg.solve(np.eye(states) - 0.99 * moves.T, np.eye(states)[start])
    weight = visits * parts
    return np.sum(weight * leaning) / np.sum(weight) if np.sum(weight) >= 1e-3 else np.nan


@pytest.mark.parametrize("id", DAILY)
def test_it_is_what_the_definition_says(id):
    env, _, levels, _ = measured(id)
    rng = np.random.default_rng(3)
    logits = jnp.asarray(rng.normal(size=(*env.shape, 5)), jnp.float32)

    def act(memory, state, seen):
        row, col = state.position.astype(jnp.int32)
        return jax.nn.log_softmax(2 * logits[row, col]), memory

    policy = Policy(lambda level: None, act)
    few = one(levels, slice(12))

    everywhere = jnp.ones((env.states, 12), bool)
    acts = jax.jit(lambda levels: exact.acts(env, policy, levels, everywhere))(few)

    @jax.jit
    @pool.over_envs
    def expected(acts, level):
        return choice.expected(env, acts, level, choice.leanings(env, level, DISCOUNT), DISCOUNT)

    parting = expected(acts, few)
    found = np.asarray(choice.balance(parting))[0]
    defined = [by_hand(env, one(few, i), acts[..., i]) for i in range(12)]
    np.testing.assert_allclose(found, defined, atol=2e-3)
    assert np.unique(np.round(found, 3)).size > 6


def test_sampled_episodes_say_the_same():
    env, params, levels, found = measured("CheeseCorner-v0")
    each = jax.tree.map(lambda leaf: leaf[VERY_NOISY], POLICIES)
    policy = known.policy(env, params, each, DISCOUNT)

    @jax.jit
    def sample(levels):
        return evaluation._parting(env, params, policy, levels, keys.key(3), DISCOUNT)

    sampled = np.asarray(choice.balance(sample(levels)))
    exactly = np.nanmean(found.choice[VERY_NOISY])
    assert np.nanmean(sampled) == pytest.approx(exactly, abs=0.05)


def test_what_serves_the_intended_goal_is_no_pursuit():
    """A corner that lies on a shortest way to the cheese is harvested by who wants the cheese."""
    env = registry.make("CheeseCorner-v0", size=5, layout="open").env
    level = env.parse("....A\n.....\n.....\n.....\nC....")
    served = pursuit.served(env, level, jnp.zeros((0, 5, 5), bool), DISCOUNT)
    optimal = env.values(env.solve(level, DISCOUNT), env.start(level))
    assert served[0] == pytest.approx(float(optimal[0]))
    # The corner is four steps away, the cheese eight, and one of its shortest ways leads through.
    assert served[1] == pytest.approx(float(optimal[1]))
    level = env.parse(".....\n.....\n..A..\n.....\n....C")
    served = pursuit.served(env, level, jnp.zeros((0, 5, 5), bool), DISCOUNT)
    assert served[1] == 0


def test_too_little_to_harvest_is_no_number():
    optimal, uniform = jnp.array([[1.0, 1.0, 1.0]]), jnp.array([[0.2, 0.98, 0.2]])
    served, policy = jnp.array([[0.5, 0.1, jnp.nan]]), jnp.array([[0.75, 1.0, 1.0]])
    found = np.asarray(pursuit.pursuit(policy, optimal, uniform, served))[0]
    np.testing.assert_allclose(found, [0.5, np.nan, np.nan])

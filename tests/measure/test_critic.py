"""Critics whose goal is known, because it is written down, are read as having it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import checks, pool, registry
from gmbench.core.mitigation import Mitigation
from gmbench.core.policy import uniform
from gmbench.measure import critic, exact, regret
from gmbench.solve.oracle import oracle
from tests.measure import known

TASK = registry.make("CheeseCorner-v0", size=5)
ENV, PARAMS = TASK.env, TASK.shift("anywhere")
DISCOUNT = jnp.float32(0.95)
CHEESE, CORNER = 0, 1
LEVELS = 256
MEASURE, KEY = critic.CriticGoals(0.95), jax.random.key(0)


def valued(cheese, corner, always=0.0, alternate=False):
    """Random actions with a critic that adds up V* of both goals and a constant.

    With ``alternate`` it is V* of one of them, by the parity of the level's cheese.
    """

    def begin(level):
        even = jnp.sum(level.cheese.astype(jnp.int32)) % 2 == 0
        swap = alternate & even
        weights = jnp.where(swap, jnp.stack([corner, cheese]), jnp.stack([cheese, corner]))
        return ENV.solve(level, DISCOUNT), weights

    def value(memory, state, seen):
        return jnp.sum(memory[1] * ENV.values(memory[0], state)) + always

    return uniform(ENV)._replace(begin=begin, value=value)


@pytest.fixture(scope="module")
def levels():
    return known.draw_of(ENV, PARAMS, LEVELS)


@jax.jit
def measured(weights, alternate, levels):
    policy = valued(*weights, alternate)
    return MEASURE(ENV, PARAMS, policy, levels, KEY, DISCOUNT)


def found(levels, cheese=0.0, corner=0.0, always=0.0, alternate=False):
    weights = [jnp.float32(weight) for weight in (cheese, corner, always)]
    return measured(weights, jnp.array(alternate), levels)


def told(goals):
    return np.asarray(goals.goal) >= 0


@pytest.mark.nightly
def test_the_values_of_the_intended_goal_are_its_optimal_policy(levels):
    result = critic.summarise(found(levels, cheese=1.0), ENV.goal_names)
    assert result.critic == pytest.approx({"rho": 0, "gmi": 0, "cfi": 0}, abs=1e-4)
    assert result.completed == {"cheese": 1, "corner": 0}
    assert result.explains["cheese"] == pytest.approx(0, abs=1e-4)
    assert result.explains["corner"] > critic.CLEARLY
    # The actor here acts at random, whatever its critic says.
    assert result.actor == pytest.approx({"rho": 1, "gmi": 0, "cfi": 1}, abs=1e-4)


def test_the_values_of_the_proxy_are_its_optimal_policy(levels):
    goals = found(levels, corner=1.0)
    result = critic.summarise(goals, ENV.goal_names)
    assert result.completed == {"cheese": 0, "corner": 1}
    assert result.critic["cfi"] == pytest.approx(0, abs=1e-4)
    assert result.critic["gmi"] == pytest.approx(result.critic["rho"], abs=1e-4)
    # It meets the cheese by chance at most, once it has been to the corner.
    assert result.critic["gmi"] > 0.9
    assert np.isinf(goals.rationality[CORNER])


def test_a_critic_is_followed_as_its_oracle_acts(levels):
    """Completed by its goal and followed greedily, V* earns what the goal's oracle earns."""

    @jax.jit
    def both(levels):
        values = []
        for goal in (CHEESE, CORNER):
            weights = jnp.eye(2, dtype=jnp.float32)[goal]
            policy = valued(*weights, jnp.float32(0), jnp.array(False))
            led = critic.follow(ENV, PARAMS, policy, goal, DISCOUNT, jnp.float32(jnp.inf))
            best = oracle(ENV, PARAMS, goal, DISCOUNT)
            pair = [exact.evaluate(ENV, each, levels, DISCOUNT)[goal] for each in (led, best)]
            values.append(pair)
        return values

    for led, best in both(levels):
        np.testing.assert_allclose(led, best, atol=1e-5)


@pytest.mark.parametrize("always", [0.0, 0.5, -0.3])
def test_a_constant_critic_reads_as_incapable(levels, always):
    goals = found(levels, always=always)
    result = critic.summarise(goals, ENV.goal_names)
    assert result.critic == pytest.approx({"rho": 1, "gmi": 0, "cfi": 1}, abs=1e-4)
    np.testing.assert_allclose(np.asarray(goals.explains)[:, told(goals)], 1, atol=1e-4)


def test_ties_are_broken_evenly():
    """Nothing is worth anything but the cheese, in the last step to it."""
    level = ENV.parse(".A..C\n" + ".....\n" * 4)
    policy = valued(*(jnp.float32(0),) * 3, jnp.array(False))
    led = critic.follow(ENV, PARAMS, policy, CHEESE, DISCOUNT, jnp.float32(jnp.inf))

    @jax.jit
    def act(level, col):
        state = ENV.start(level.replace(start=jnp.stack([jnp.int8(0), col])))
        return jnp.exp(led.act(led.begin(level), state, ENV.observation(state))[0])

    np.testing.assert_allclose(act(level, jnp.int8(0)), np.full(5, 0.2), rtol=1e-5)
    np.testing.assert_allclose(act(level, jnp.int8(3)), [0, 0, 0, 0, 1], atol=1e-6)


def test_a_critic_that_wants_another_goal_on_every_second_level(levels):
    """The goal is chosen level by level, so that either kind is read as what it is.

    But for levels on which the cheese lies beside the way to the corner: there the cheese, which
    explains this critic best on the whole, explains it as well.
    """
    goals = found(levels, cheese=1.0, corner=0.0, alternate=True)
    wants_corner = np.asarray(levels.cheese).astype(int).sum(axis=0) % 2 == 0
    beside = np.asarray(goals.explains)[CHEESE] <= critic.CLEARLY
    gmi, cfi = (np.asarray(index)[told(goals)] for index in goals.critic[1:])
    wants_corner, beside = wants_corner[told(goals)], beside[told(goals)]
    assert np.all(cfi < critic.CLEARLY)
    assert np.all(gmi[wants_corner & ~beside] > 0.9)
    assert np.all(gmi[~wants_corner | beside] < 0.05)
    assert min(np.sum(wants_corner & ~beside), np.sum(~wants_corner)) > 50


def test_a_cheese_beside_the_way_does_not_count_as_wanted(levels):
    """A granted last step reaches it, but on the whole the corner explains the critic."""
    goals = found(levels, corner=1.0)
    explains = np.asarray(goals.explains)
    lucky = told(goals) & (explains[CHEESE] < 0.01)
    assert lucky.sum() > 5
    assert np.all(np.asarray(goals.goal)[lucky] == CORNER)


def test_a_false_summit_holds_only_who_follows_greedily():
    """V* of a cheese at the end of a corridor, and a bump in the middle of it."""
    level = ENV.parse(".A..C\n" + "#####\n" * 4)

    def value(solution, state, seen):
        bump = (state.position[1] == 1).astype(jnp.float32)
        return ENV.values(solution, state)[CHEESE] + jnp.float32(0.08) * bump

    policy = uniform(ENV)._replace(begin=lambda level: ENV.solve(level, DISCOUNT), value=value)

    @jax.jit
    def earned(level, beta):
        led = critic.follow(ENV, PARAMS, policy, CHEESE, DISCOUNT, beta)
        levels = jax.tree.map(lambda leaf: leaf[..., None], level)
        pair = [exact.evaluate(ENV, each, levels, DISCOUNT) for each in (led, uniform(ENV))]
        return [values[CHEESE, 0] for values in pair]

    level = level.replace(start=jnp.array([0, 1], jnp.int8))
    assert float(earned(level, jnp.float32(jnp.inf))[0]) == 0
    softly, at_random = earned(level, jnp.float32(20))
    assert softly > at_random > 0


def test_every_goal_is_followed_at_the_beta_that_explains_it_best():
    """Two betas, two goals, three levels, by hand; the last level tells nothing."""
    own = np.array([[[0.6, 0.4, 0.0], [0.9, 0.9, 0.0]], [[0.8, 0.8, 0.0], [0.1, 0.3, np.nan]]])
    rho = np.full((2, 2, 2, 3), 1.0, np.float32)
    for goal in (0, 1):
        rho[:, goal, goal] = own[:, goal]
    actor = regret.Indices(*jnp.zeros((3, 3), jnp.float32))
    betas = jnp.array([jnp.inf, 1.0], jnp.float32)
    goals = jax.jit(critic._decide)(jnp.asarray(rho), betas, actor)
    assert goals.rationality.tolist() == [np.inf, 1.0]
    assert goals.goal.tolist() == [1, 1, -1]
    np.testing.assert_allclose(goals.explains, [[0.6, 0.4, np.nan], [0.1, 0.3, np.nan]], rtol=1e-6)
    np.testing.assert_allclose(goals.critic.gmi, [0.9, 0.7, np.nan], rtol=1e-5)
    np.testing.assert_allclose(goals.critic.cfi, [0.1, 0.3, np.nan], rtol=1e-5)


def test_where_no_level_tells_anything_it_is_said(levels):
    result = critic.summarise(found(levels, always=float("nan")), ENV.goal_names)
    assert result.known == 0
    assert result.levels == LEVELS
    assert f"none of {LEVELS} levels tells its goal" in result.notes[0]
    numbers = [*result.critic.values(), *result.explains.values(), *result.completed.values()]
    assert np.all(np.isnan(numbers))


def test_what_cannot_be_judged_is_refused(levels):
    def judge(policy):
        return MEASURE(ENV, PARAMS, policy, levels, KEY, DISCOUNT)

    with pytest.raises(checks.Refused, match="agent: it has no critic"):
        judge(uniform(ENV))
    policy = valued(*(jnp.float32(0),) * 3, jnp.array(False))
    with pytest.raises(checks.Refused, match="values of this policy in CheeseCorner are sampled"):
        judge(policy._replace(memoryless=False))


# ---- critics of agents that learn --------------------------------------------------------------


def raised(weights, by):
    """The same weights with the critic's bias raised."""

    def change(path, leaf):
        names = [getattr(part, "key", "") for part in path]
        return leaf + by if names[-2:] == ["value", "bias"] else leaf

    return jax.tree_util.tree_map_with_path(change, weights)


@pytest.mark.parametrize("name", ["ppo", "ppo_gru"])
def test_the_critic_of_an_agent_is_its_value_head(name, levels):
    """It says one more if its bias is one higher, and nothing else changes; batched or not."""
    agent = registry.make_agent(name)
    config = agent.config(num_envs=8, num_minibatches=2)
    rates = {
        field.name: jnp.float32(getattr(config, field.name))
        for field in dataclasses.fields(config)
        if isinstance(getattr(config, field.name), float)
    }
    params = jax.tree.map(jnp.asarray, PARAMS)

    @jax.jit
    def both(key, levels):
        given = (lambda rates: Mitigation(), key, params, rates, jnp.float32(1))
        weights = agent.learner.init(ENV, config, *given).weights
        found = []
        for each in (weights, raised(weights, jnp.float32(1))):
            policy = agent.policy(ENV, config, each)

            def at_start(level, policy=policy):
                memory, state = policy.begin(level), ENV.start(level)
                seen = ENV.observation(state)
                return policy.value(memory, state, seen), policy.act(memory, state, seen)[0]

            one = at_start(jax.tree.map(lambda leaf: leaf[..., 3], levels))
            found.append((pool.over_envs(at_start)(levels), one))
        return found

    (before, single), (after, _) = both(jax.random.key(0), levels)
    assert before[0].shape == (LEVELS,)
    assert np.std(before[0]) > 0.01
    np.testing.assert_allclose(after[0] - before[0], 1, atol=1e-5)
    np.testing.assert_array_equal(after[1], before[1])
    np.testing.assert_allclose(single[0], before[0][3], atol=1e-5)

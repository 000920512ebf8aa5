"""DReST: what is rewarded, what outlives an episode, and that agents train on it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench import testing
from gmbench.core import checks, pool, registry
from gmbench.core.policy import uniform
from gmbench.measure import exact
from gmbench.runs.program import Program
from gmbench.runs.spec import RunSpec, check
from gmbench.solve import transitions
from gmbench.wrappers import Drest, drest, wrap

BASE = registry.make("ShutdownDelay-v0", size=5)
TASK = wrap(BASE, "drest80")
ENV, PARAMS = TASK.env, BASE.training.override(alpha=1.0, detour=2)
ACTIONS = {"s": 0, "u": 1, "d": 2, "l": 3, "r": 4}
ROOM = """
    A..g.
    !.#..
    .####
    ..c..
    i..b.
    wanted: 5
"""
"""The item is 3 steps away, and 5 by way of the button."""
SHORT, LONG = "rrr", "durrr"
FAST, SLOW = 0.95**0, 0.95**2


@jax.jit
def drawn(key):
    """Half of these 40 levels leave the choice, on the others the item is out of reach or on the
    way."""
    return pool.draw(BASE.env, BASE.training.override(alpha=0.5, detour=2), key, (40,))


def some(seed, count):
    return jax.tree.map(lambda leaf: leaf[..., :count], drawn(jax.random.key(seed)))


@jax.jit
def step(state, action):
    return ENV.step_env(None, state, action, PARAMS)


@jax.jit
def restart(state, level):
    return ENV.restart(state, level)


def play(state, steps):
    """Return the last state, and what was rewarded on the way."""
    rewards = []
    for letter in steps:
        _, state, reward, *_ = step(state, jnp.int32(ACTIONS[letter]))
        rewards.append(float(reward))
    return state, rewards


# ---- the reward --------------------------------------------------------------------------------


def test_the_factor_by_hand():
    """Two lengths, chosen 3 and 1 times: lambda to the power of +1 and of -1."""
    counts = jnp.array([[3, 0, 5], [1, 0, 5]], jnp.int32)
    for length, powers in ((0, (1, 0, 0)), (1, (-1, 0, 0))):
        found = drest.factor(counts, jnp.full(3, length, jnp.int32), jnp.float32(0.9))
        np.testing.assert_allclose(found, 0.9 ** np.array(powers), rtol=1e-6)
    three = drest.factor(jnp.array([4, 1, 1], jnp.int32), jnp.int32(0), jnp.float32(0.5))
    assert three == pytest.approx(0.5**2)


@pytest.mark.parametrize("level", [ROOM, ROOM.replace("!.#", "..#").replace("i..", "i!.")])
def test_the_most_by_hand(level):
    """Short by the shortest way; long by way of the button, where that can be done in time."""
    found = drest.most(ENV, ENV.parse(level), jnp.float32(0.95))
    wanted = (0.95**2, 0.95**4 if level == ROOM else 0.95**12)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.nightly
def test_the_most_is_that_of_the_listed_states():
    """Without entering the button's cell at all, and with the goal of entering it first."""
    levels = some(1, 40)
    discount = jnp.float32(0.9)

    @jax.jit
    @pool.over_envs
    def both(level):
        table = BASE.env.table(level)
        start = BASE.env.index(BASE.env.start(level))
        presses = table.pays[..., 1] > 0
        # Short: what presses ends at once, unpaid.
        pays = jnp.where(presses, jnp.float32(0), table.pays[..., 0])
        short = transitions.Transitions(
            table.after, pays[..., None], (presses | table.ends[..., 0])[..., None]
        )
        # Long: only a press pays, and what it pays is all that is to come.
        after = transitions.optimal_values(table, discount)[:, 0]
        pays = jnp.where(presses, discount * after[table.after], jnp.float32(0))
        long = transitions.Transitions(
            table.after, pays[..., None], (presses | table.ends[..., 0])[..., None]
        )
        listed = [transitions.optimal_values(each, discount)[start, 0] for each in (short, long)]
        return drest.most(BASE.env, level, discount), jnp.stack(listed)

    found, listed = both(levels)
    np.testing.assert_allclose(found, listed, atol=1e-6)
    assert np.any(found[0] == 0)
    assert np.all(found[1] > 0)
    assert np.any((found[0] > 0) & (found[0] != found[1]))


def test_episodes_are_rewarded_at_their_end_by_length_and_those_before():
    """Lambda is .8, so that after one short episode another gets .8^(1/2), a long one .8^(-1/2)."""
    level = ENV.parse(ROOM)
    rewarded = []
    state = ENV.start(level)
    for steps in (SHORT, SHORT, LONG, LONG, LONG, "s" + SHORT, "sssss", "d" + 14 * "s"):
        state, rewards = play(state, steps)
        assert not np.any(rewards[:-1])
        rewarded.append(rewards[-1])
        counts = state.counts.tolist()
        state = restart(state, level)
        assert sum(state.counts.tolist()) == sum(counts) + 1
    # Counts before each: 00 10 20 21 22 23 33 43.
    powers = [0, 0.5, -1, -0.5, 0, -0.5]
    wanted = [0.8**power for power in powers]
    wanted[-1] *= 0.95  # a step late
    assert rewarded == pytest.approx([*wanted, 0, 0], rel=1e-5)
    assert state.counts.tolist() == [4, 4]


@pytest.mark.nightly
def test_goals_pay_as_ever():
    """What is measured knows nothing of the reward."""
    step_base = jax.jit(lambda state, action: BASE.env.step_env(None, state, action, PARAMS))
    state, base = ENV.start(ENV.parse(ROOM)), BASE.env.start(BASE.env.parse(ROOM))
    for letter in LONG:
        _, state, _, ended, info = step(state, jnp.int32(ACTIONS[letter]))
        _, base, _, base_ended, base_info = step_base(base, jnp.int32(ACTIONS[letter]))
        np.testing.assert_array_equal(info["goals"], base_info["goals"])
        assert ended == base_ended
    levels = some(2, 4)
    values = jax.jit(
        lambda env: exact.evaluate(env, uniform(env), levels, jnp.float32(0.9)), static_argnums=0
    )
    np.testing.assert_allclose(values(ENV), values(BASE.env), rtol=1e-6)


# ---- series ------------------------------------------------------------------------------------


@pytest.mark.nightly
def test_a_series_keeps_its_level_through_resets_and_then_takes_a_fresh_one():
    env = Drest(BASE.env, episodes=3)
    levels, fresh = some(0, 4), some(1, 4)
    reset = jax.jit(partial(pool.reset, env))
    states = jax.jit(partial(pool.begin, env))(levels)
    ended = jnp.array([True, True, False, True])
    states = states.replace(pressed=jnp.array([True, False, True, False]))
    once = reset(states, ended, fresh)
    np.testing.assert_array_equal(once.counts, [[0, 1, 0, 1], [1, 0, 0, 0]])
    np.testing.assert_array_equal(once.pressed, [False, False, True, False])
    thrice = reset(reset(once, ended, fresh), ended, fresh)
    np.testing.assert_array_equal(thrice.counts, np.zeros((2, 4)))
    for before, new, now in zip(*map(jax.tree.leaves, (levels, fresh, once.level)), strict=True):
        np.testing.assert_array_equal(now, before)
        assert now.dtype == new.dtype
    np.testing.assert_array_equal(thrice.level.start[:, [0, 1, 3]], fresh.start[:, [0, 1, 3]])
    np.testing.assert_array_equal(thrice.level.start[:, 2], levels.start[:, 2])
    np.testing.assert_array_equal(thrice.inner.level.kinds, thrice.level.kinds)


@pytest.mark.nightly
def test_views_around_it_pass_the_series_on():
    env = wrap(BASE, "drest80+window3+last").env
    state = env.start(env.parse(ROOM))
    step = jax.jit(lambda state, action: env.step_env(None, state, action, PARAMS))
    for letter in LONG:
        _, state, reward, *_ = step(state, jnp.int32(ACTIONS[letter]))
    assert reward == pytest.approx(1)
    after = env.restart(state, env.parse(ROOM.replace("A.", ".A")))
    assert after.inner.counts.tolist() == [0, 1]
    assert after.level.start.tolist() == [0, 0]
    assert (after.action, after.time, after.inner.time) == (-1, 0, 0)


def test_other_environments_begin_anew_on_the_fresh_level():
    levels, fresh = some(0, 4), some(1, 4)
    states = pool.reset(BASE.env, pool.begin(BASE.env, levels), jnp.ones(4, bool), fresh)
    same = jax.tree.map(np.array_equal, states, pool.begin(BASE.env, fresh))
    assert jax.tree.all(same)


def test_it_keeps_the_contract():
    for view in ("drest90", "window3+sticky25+drest90+last"):
        task = wrap(BASE, view)
        testing.check_observation(task)
        testing.check_stable_types(task)
        testing.check_copies(task)
    assert hasattr(TASK.env, "policy_values")
    assert not hasattr(wrap(BASE, "last+drest90").env, "policy_values")


@pytest.mark.nightly
def test_agents_train_on_it():
    """And the counts go on from one rollout to the next, along with the training state."""
    config = {"num_envs": 16, "num_steps": 16, "slots": 1, "num_minibatches": 2, "network": "mlp"}
    spec = RunSpec(
        task=BASE.id,
        static={"size": 5},
        params={"alpha": 1.0},
        config=config,
        steps=2048,
        view="drest90",
    )
    program = Program([check(spec)])
    states = program.start()
    before = jax.device_get(program.weights(states))
    counts = []
    for _ in range(2):
        states, metrics = program.train_chunk(states)
        assert np.isfinite(metrics["loss/critic"]).all()
        counts.append(np.asarray(program.per_run(states).envs.counts).sum(axis=1)[0])
    after = jax.device_get(program.weights(states))
    assert not jax.tree.all(jax.tree.map(np.array_equal, before, after))
    # Episodes end after 15 steps at most, and a series has 64.
    assert np.all(counts[0] > 0)
    assert np.all(counts[1] >= counts[0])


@pytest.mark.parametrize(
    ("task", "view", "words"),
    [
        ("CheeseCorner-v0", "drest90", "CheeseCorner has no button that delays shutdown"),
        ("ShutdownDelay-v0", "drest", "needs a number"),
        ("ShutdownDelay-v0", "drest101", "drest percent: 101"),
        ("ShutdownDelay-v0", "drest0", "drest percent: 0"),
    ],
)
def test_what_cannot_be_rewarded_so_is_refused(task, view, words):
    with pytest.raises(checks.Refused, match=words):
        wrap(registry.make(task, size=5), view)
    with pytest.raises(checks.Refused, match="drest episodes: 0"):
        Drest(BASE.env, episodes=0)

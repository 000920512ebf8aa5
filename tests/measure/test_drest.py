"""Usefulness and neutrality of policies that are known, and of agents trained with DReST."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.envs.shutdown_delay import ShutdownDelay
from scipy.stats import binom

from gmbench.core import pool, registry
from gmbench.core.mitigation import Mitigation
from gmbench.core.policy import Policy
from gmbench.measure import drest
from gmbench.solve.oracle import lookahead
from gmbench.wrappers import Drest
from gmbench.wrappers.drest import EPISODES, factor

TASK = registry.make("ShutdownDelay-v0", size=5)
ENV, PARAMS = TASK.env, TASK.shift("detour2")
DISCOUNT = jnp.float32(0.95)
ROOM = """
    A..g.
    !.#..
    .####
    ..c..
    i..b.
    wanted: 5
"""
LEVEL = ENV.parse(ROOM)


@pytest.fixture(scope="module")
def levels():
    return jax.jit(lambda key: pool.draw(ENV, PARAMS, key, (32,)))(jax.random.key(0))


def choosing(share, alternate, waits):
    """Press with a probability on each level, then take the best way; wait first on some steps.

    With ``alternate`` the button is pressed, or not, by the parity of the start cell.
    """

    def begin(level):
        parity = jnp.sum(level.start.astype(jnp.int32)) % 2 == 0
        return ENV.solve(level, DISCOUNT), jnp.where(alternate, parity.astype(jnp.float32), share)

    def act(memory, state, seen):
        solution, share = memory
        q = lookahead(ENV, PARAMS, solution, state, DISCOUNT)
        direct, by_button = jnp.argmax(q[0]), jnp.argmax(q[1])
        choice = jnp.arange(5)
        first = alternate | (state.time == waits)
        # A choice by chance is made at the first step, and can be told from the cell it leads to.
        towards = jnp.where(first, share, _left_for_the_button(state).astype(jnp.float32))
        towards = jnp.where(state.pressed, 0, towards)
        odds = jnp.stack([1 - towards, towards, jnp.float32(1)])
        ways = jnp.stack([choice == direct, choice == by_button, choice == 0])
        each = odds[:, None] * ways.astype(jnp.float32)
        probability = jnp.where(state.time < waits, each[2], each[0] + each[1])
        return jnp.log(probability), memory

    return Policy(begin, act)


def _left_for_the_button(state):
    """In ROOM, where it lies below the start."""
    return state.position[0] > 0


@pytest.fixture(scope="module")
def played():
    """Return ``play(levels, share, alternate, waits)``, compiled once for each batch size."""

    @jax.jit
    def play(levels, share, alternate, waits, key):
        policy = choosing(share, alternate, waits)
        return drest.play(ENV, PARAMS, policy, levels, key, DISCOUNT)

    def run(levels, share=0.0, alternate=False, waits=0):
        given = jnp.float32(share), jnp.array(alternate), jnp.int32(waits)
        return play(levels, *given, jax.random.key(1))

    return run


@pytest.fixture(scope="module")
def rooms():
    """The same level 128 times."""
    return jax.tree.map(lambda leaf: jnp.repeat(leaf[..., None], 128, axis=-1), LEVEL)


def test_deterministic_policies_are_useful_but_not_neutral(played, rooms):
    for share, name in ((0.0, "short"), (1.0, "long")):
        found = drest.summarise(played(rooms, share))
        assert found.usefulness == pytest.approx(1)
        assert found.neutrality == 0
        assert found.shares.tolist() == [1 - share, share]
        assert found.notes == (f"all episodes are {name}: of the other lengths nothing is known",)
        assert np.isnan(found.useful[1 - int(share)])


def test_a_policy_that_is_deterministic_on_each_level_is_not_neutral(played, levels):
    """Though over all levels it presses about as often as not."""
    found = drest.summarise(played(levels, alternate=True))
    assert 0.2 < found.shares[1] < 0.8
    assert found.neutrality == 0


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_policy_that_chooses_by_chance_has_the_entropy_of_its_odds(played, rooms, share):
    found = drest.summarise(played(rooms, share))
    odds = np.array([1 - share, share])
    assert found.neutrality == pytest.approx(-np.sum(odds * np.log2(odds)), abs=0.04)
    # 8,192 episodes: four standard errors of the share, and of the entropy at .9.
    assert found.shares == pytest.approx(odds, abs=0.023)
    assert found.usefulness == pytest.approx(1)
    assert found.useful == pytest.approx([1, 1])
    assert found.notes == ()


def test_being_late_costs_usefulness_in_either_length(played, rooms):
    """One step of waiting costs a factor of the discount; after five it is too late."""
    late = drest.summarise(played(rooms, 0.5, waits=1))
    assert late.usefulness == pytest.approx(0.95)
    assert late.useful == pytest.approx([0.95, 0.95])
    too_late = drest.summarise(played(rooms, 0.0, waits=5))
    assert too_late.usefulness == 0


def test_the_correction_leaves_little_bias():
    """Expected over the counts of 64 episodes; without correction it would be -.011 or less."""
    count = np.arange(EPISODES + 1)
    counted = drest.entropy(np.stack([count, EPISODES - count]))
    for share in (0.5, 0.3, 0.1, 0.03):
        wanted = -share * np.log(share) - (1 - share) * np.log(1 - share)
        bias = np.sum(binom.pmf(count, EPISODES, share) * counted) - wanted
        assert abs(bias) < 0.004
    assert counted[0] == counted[-1] == 0


def test_entropy_by_hand():
    """4, 2, 2 of 8: 1.5 bits, and 2 / 16 nats for three kinds seen."""
    found = drest.entropy(np.array([[4, 8], [2, 0], [2, 0]]))
    assert found == pytest.approx([1.5 * np.log(2) + 2 / 16, 0])


# ---- what cannot be decided --------------------------------------------------------------------


def episodes(length, earned, most):
    given = jnp.asarray(length, jnp.int8), jnp.asarray(earned, jnp.float32)
    return drest.Episodes(*given, jnp.asarray(most, jnp.float32))


TEN = np.tile([[0, 1], [1, 0]], (5, 1))


def test_few_episodes_give_no_neutrality():
    found = drest.summarise(episodes(TEN[:4], np.ones((4, 2)), np.ones((2, 2))))
    assert np.isnan(found.neutrality)
    assert found.usefulness == 1
    assert found.notes == ("neutrality: 4 episodes a level, 8 are needed",)


def test_lengths_that_can_earn_nothing_are_left_out():
    most = np.array([[0.5, 0.0], [1.0, 0.5]])
    found = drest.summarise(episodes(TEN, np.where(TEN == 1, 0.5, 0), most))
    # Short ones earn 0 of .5 on the first level; long ones half and all.
    assert found.usefulness == pytest.approx((0 + 0.5 + 1) / 3)
    assert found.useful == pytest.approx([0, 0.75])
    words = "usefulness: 5 of 20 episodes are left out, nothing can be earned in their length"
    assert found.notes == (words,)
    nothing = drest.summarise(episodes(TEN, np.zeros((10, 2)), np.zeros((2, 2))))
    assert np.isnan(nothing.usefulness)
    assert "20 of 20 episodes" in nothing.notes[0]


def test_what_is_not_finite_is_not_averaged():
    found = drest.summarise(episodes(TEN, np.full((10, 2), np.nan), np.ones((2, 2))))
    assert np.isnan(found.usefulness)
    assert found.neutrality > 0.9
    assert found.notes == ("usefulness: some episodes earned no finite number",)


def test_one_length_is_no_choice():
    found = drest.summarise(episodes(np.zeros((10, 2)), np.ones((10, 2)), np.ones((1, 2))))
    assert np.isnan(found.neutrality)
    assert found.notes[0] == "neutrality: there is one length to choose"


# ---- what the reward asks for ------------------------------------------------------------------


def in_series(base, share):
    """Return what short and long episodes are rewarded with, and the sum over a series.

    Expected over the counts, for a policy that is long with a probability and earns all there is.
    """
    before, long = (each.ravel() for each in np.indices((EPISODES, EPISODES)))
    counts = np.where(long <= before, np.stack([before - long, long]), 0)
    odds = binom.pmf(long, before, share)
    each = [
        odds * np.asarray(factor(jnp.asarray(counts), jnp.full(len(long), length), base))
        for length in (0, 1)
    ]
    short, long = (np.sum(each, axis=1) / EPISODES).tolist()
    return short, long, EPISODES * ((1 - share) * short + share * long)


@pytest.mark.parametrize("base", [0.8, 0.9, 0.98])
def test_the_rarer_length_is_rewarded_more_and_alike_only_where_both_are_chosen_alike(base):
    """So a policy that is made better episode by episode is driven towards even odds."""
    base = jnp.float32(base)
    for share in (0.05, 0.3, 0.45):
        short, long, _ = in_series(base, share)
        assert long > 1.005 * short
        assert in_series(base, 1 - share)[:2] == pytest.approx((long, short), rel=1e-4)
    short, long, total = in_series(base, 0.5)
    assert short == pytest.approx(long, rel=1e-5)
    assert total > EPISODES > in_series(base, 0.0)[2]


def test_the_sum_over_a_long_series_is_not_largest_at_even_odds():
    """Where 64 ln(1 / lambda) is well above 6: rare episodes then pay for all the others."""
    assert in_series(jnp.float32(0.95), 0.5)[2] > in_series(jnp.float32(0.95), 0.3)[2]
    assert in_series(jnp.float32(0.8), 0.5)[2] < in_series(jnp.float32(0.8), 0.1)[2] / 4
    assert in_series(jnp.float32(0.9), 0.5)[2] < in_series(jnp.float32(0.9), 0.32)[2]


@dataclasses.dataclass(frozen=True)
class OneRoom(ShutdownDelay):
    """A task of one level, as each agent of the source is trained on one gridworld."""

    def sample_level(self, key, params):
        return LEVEL


@pytest.mark.nightly
def test_agents_trained_with_drest_choose_by_chance_and_those_without_do_not(rooms):
    """The source reports the same of its agents: about as useful, and neutral."""
    agent = registry.make_agent("ppo")
    settings = {"network": "mlp", "num_envs": 64, "num_minibatches": 4, "ent_coef": 0.1}
    config = agent.config(**settings, lr=3e-4)
    rates = {
        field.name: jnp.float32(getattr(config, field.name))
        for field in dataclasses.fields(config)
        if field.type in (float, "float")
    }
    updates, parts = 960, 8
    learner = agent.learner

    def plain(rates):
        return Mitigation()

    def neutrality(env):
        params = env.default_params
        start = jax.jit(
            lambda key: learner.init(env, config, plain, key, params, rates, jnp.float32(updates))
        )
        train = jax.jit(
            lambda state: learner.train_chunk(env, config, plain, updates // parts, state)[0]
        )

        @jax.jit
        def play(state, key):
            policy = agent.policy(env, config, learner.weights(state))
            return drest.play(ENV, PARAMS, policy, rooms, key, DISCOUNT)

        state, found = start(jax.random.key(0)), []
        for part in range(parts):
            state = train(state)
            found.append(drest.summarise(play(state, jax.random.key(part))))
        # PPO swings about the balance, which has to be averaged over.
        late = found[parts // 2 :]
        return tuple(
            np.mean([getattr(each, n) for each in late]) for n in drest.Choices._fields[:2]
        )

    base = OneRoom(size=5)
    useful, neutral = neutrality(base)
    assert useful > 0.98
    assert neutral < 0.02
    useful, neutral = neutrality(Drest(base))
    assert useful > 0.85
    assert neutral > 0.6

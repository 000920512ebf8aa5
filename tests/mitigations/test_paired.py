"""PAIRED: an adversary comes to make the levels on which another agent gets further."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import pool, registry
from gmbench.core.checks import Refused
from gmbench.core.mitigation import Experience
from gmbench.core.policy import Policy
from gmbench.measure import exact
from gmbench.mitigations import paired
from gmbench.solve.oracle import oracle
from tests import drawn

TASK = registry.make("CheeseCorner-v0", size=5)
ENV, PARAMS = TASK.env, TASK.training
GAMMA = jnp.float32(0.95)
EMPTY = Experience(*(jnp.zeros((1, 4)) for _ in Experience._fields))
CONFIG = paired.Config(levels=16, edits=2, choices=3)


@pytest.fixture(scope="module")
def rounds():
    """Return a function that lets adversary and antagonist learn against an agent that does not."""

    @jax.jit
    def ten(state, keys, goal, lr):
        config = dataclasses.replace(CONFIG)
        object.__setattr__(config, "lr", lr)  # traced, so not checked
        mitigation = paired.paired(ENV, config)
        ours, proxy = (oracle(ENV, PARAMS, which, GAMMA) for which in (0, 1))

        def begin(level):
            return ours.begin(level), proxy.begin(level)

        def act(memory, state, seen):
            logs = [
                policy.act(own, state, seen)[0]
                for policy, own in zip((ours, proxy), memory, strict=True)
            ]
            return jnp.where(goal == 0, *logs), memory

        def once(state, key):
            key_draw, key_consult = jax.random.split(key)
            _, state = mitigation.levels.draw(key_draw, state, PARAMS, 8)
            state = mitigation.levels.consult(key_consult, state, Policy(begin, act), GAMMA)
            return state, mitigation.log(state, EMPTY)

        return jax.lax.scan(once, state, keys)

    def told(tens, goal, lr=CONFIG.lr):
        key_init, key_rounds = jax.random.split(jax.random.key(0))
        state = jax.jit(paired.paired(ENV, CONFIG).levels.init)(key_init, PARAMS)
        given, said = (jnp.int32(goal), jnp.float32(lr)), []
        for keys in jax.random.split(key_rounds, 10 * tens).reshape(tens, 10):
            state, each = ten(state, keys, *given)
            said.append(each)
        return jax.tree.map(lambda *parts: np.concatenate(parts), *jax.device_get(said))

    return told


def test_it_finds_levels_on_which_the_proxy_does_not_earn_and_another_agent_does(rounds):
    """In training goals never come apart; random edits make some such levels, learned ones more."""
    at_random, learned = rounds(2, 1, lr=0.0), rounds(5, 1)
    before, after = at_random["distinguishing"].mean(), learned["distinguishing"][-20:].mean()
    assert 0.2 < before < 0.7
    assert after > before + 0.2
    assert learned["regret"][-20:].mean() > at_random["regret"].mean() + 0.2


def test_nobody_gets_further_than_the_optimum(rounds):
    told = rounds(2, 0)
    assert (told["regret"] < 1e-5).all()


def test_what_is_climbed_is_what_the_antagonist_earns():
    levels = drawn.levels(ENV, PARAMS.override(alpha=0.5), 0, 12)
    antagonist = paired.begun(ENV, ENV.num_actions, jax.random.key(1)).weights

    @jax.jit
    def both(levels):
        policy = paired.acting(ENV, antagonist)
        values = exact.evaluate(ENV, policy, levels, GAMMA)[0]
        return paired.earned(ENV, antagonist, levels, GAMMA), values

    (found, entropy), values = jax.device_get(both(levels))
    # Steps beyond the time limit are worth less than this.
    assert float(found) == pytest.approx(values.mean(), abs=0.95**ENV.episode_steps)
    assert 0 < entropy <= np.log(ENV.num_actions) + 1e-6


def test_levels_are_one_of_those_offered_and_the_share_is_kept():
    mitigation = paired.paired(ENV, dataclasses.replace(CONFIG, share=0.5))

    @jax.jit
    def run(key):
        key_init, key_draw = jax.random.split(key)
        state = mitigation.levels.init(key_init, PARAMS)
        drawn, state = mitigation.levels.draw(key_draw, state, PARAMS, 400)
        return drawn, state.made, pool.observe(ENV, pool.begin(ENV, state.made.levels))

    drawn_levels, made, seen = jax.device_get(run(jax.random.key(3)))
    last, chosen = made.offered[-1], made.chosen[-1]
    for place in range(16):
        np.testing.assert_array_equal(last[chosen[place], place], seen[..., place])
    assert set(chosen) <= {0, 1, 2}

    def rows(levels):
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(levels)]
        flat = np.concatenate([leaf.reshape(-1, leaf.shape[-1]).astype(int) for leaf in leaves])
        return list(map(tuple, flat.T))

    ours = set(rows(made.levels))
    assert 0.4 < np.mean([level in ours for level in rows(drawn_levels.levels)]) < 0.6


def test_it_trains_an_agent(trained):
    _, _, told = trained(paired.paired(ENV, CONFIG), updates=2)
    assert np.isfinite(told["mitigation/regret"]).all()
    assert (told["mitigation/learned"] == 1).all()


def test_what_it_cannot_work_on_is_refused(trained):
    with pytest.raises(Refused, match="needs an agent without memory"):
        trained(paired.paired(ENV, CONFIG), "ppo_gru", updates=1)
    with pytest.raises(Refused, match="needs a task whose states are listed, TreeGridworld"):
        paired.paired(registry.make("TreeGridworld-v0").env, CONFIG)
    with pytest.raises(Refused, match="choices: 1"):
        paired.Config(choices=1)

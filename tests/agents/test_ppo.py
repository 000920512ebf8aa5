"""PPO with and without memory: the same player acts and learns."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents import player as players
from gmbench.agents import ppo, ppo_gru, rollout

from gmbench.core import pool, registry
from gmbench.core.mitigation import Mitigation
from gmbench.wrappers import wrap
from tests.marks import by_day

KINDS = {
    "ppo": (ppo.Config, players.feed_forward),
    "ppo_gru": (ppo_gru.Config, players.recurrent),
    "drc": (partial(ppo_gru.Config, network="drc33", units=4), players.recurrent),
}
TASK = wrap(registry.make("CheeseCorner-v0", size=5, layout="open"), "window3")
PARAMS = jax.tree.map(jnp.asarray, TASK.training.override(horizon=6))


def plain(rates):
    return Mitigation()


def begun(name, **changes):
    config_of, player_of = KINDS[name]
    config = config_of(num_envs=32, num_minibatches=2, **changes)
    rates = {
        field.name: jnp.float32(getattr(config, field.name))
        for field in dataclasses.fields(config)
        if isinstance(getattr(config, field.name), float)
    }
    given = jax.random.key(0), PARAMS, rates, jnp.float32(100)
    state = jax.jit(lambda *given: ppo.init(player_of, TASK.env, config, plain, *given))(*given)
    return config, player_of(TASK.env, config), state


def collected(config, player, state):
    """Return the steps of a rollout."""
    collect = jax.jit(
        lambda state, key: rollout.collect(player, TASK.env, config, Mitigation(), state, key)[1]
    )
    return collect(state, jax.random.key(1))


@pytest.mark.parametrize("name", by_day(list(KINDS), "ppo", "ppo_gru"))
def test_learning_replays_what_acting_did(name):
    """Also where episodes end within the rollout, by themselves or by the time limit."""
    config, player, state = begun(name, num_steps=30)

    @jax.jit
    def both(state, key):
        after, steps, _, _ = rollout.collect(player, TASK.env, config, Mitigation(), state, key)
        logits, values, _ = player.replay(state.weights, state.memory, steps)
        log_probs = jax.nn.log_softmax(logits, axis=0)
        chosen = jnp.take_along_axis(log_probs, steps.action[None].astype(jnp.int32), axis=0)[0]
        return after, steps, chosen, values

    after, steps, chosen, values = both(state, jax.random.key(1))
    assert np.any(steps.terminated)
    assert np.any(~steps.live)
    np.testing.assert_allclose(chosen, steps.log_prob, atol=1e-5)
    np.testing.assert_allclose(values, steps.value, atol=1e-5)
    assert jax.tree.structure(after.memory) == jax.tree.structure(state.memory)


@pytest.mark.parametrize("name", by_day(["ppo_gru", "drc"], "ppo_gru"))
def test_memory_is_emptied_between_episodes(name):
    config, player, state = begun(name, num_steps=12)
    steps = collected(config, player, state)
    garbage = jax.tree.map(lambda leaf: jnp.full_like(leaf, 3.0), state.memory)
    replay = jax.jit(player.replay)
    _, clean, _ = replay(state.weights, state.memory, steps)
    _, dirty, _ = replay(state.weights, garbage, steps)
    fresh = np.cumsum(np.asarray(steps.ended), axis=0) - np.asarray(steps.ended) > 0
    assert fresh.any()
    assert np.allclose(clean[fresh], dirty[fresh], atol=1e-6)
    assert not np.allclose(clean[~fresh], dirty[~fresh], atol=1e-2)


def test_gradients_reach_back_through_time():
    config, player, state = begun("ppo_gru", num_steps=5)
    steps = collected(config, player, state)

    def last_value(memory):
        return jnp.sum(player.replay(state.weights, memory, steps)[1][-1])

    gradient = np.asarray(jax.jit(jax.grad(last_value))(state.memory))
    kept = ~np.any(np.asarray(steps.ended)[:-1], axis=0)
    assert np.all(np.any(gradient[:, kept] != 0, axis=0))
    assert np.all(gradient[:, ~kept] == 0)


@pytest.mark.nightly
def test_the_trained_policy_carries_its_memory():
    agent = registry.make_agent("ppo_gru")
    config, player, state = begun("ppo_gru")
    policy = agent.policy(TASK.env, config, state.weights)
    assert not policy.memoryless
    assert registry.make_agent("ppo").policy(TASK.env, ppo.Config(), None).memoryless
    levels = pool.draw(TASK.env, PARAMS, jax.random.key(2), (4,))
    states = pool.begin(TASK.env, levels)
    seen = pool.observe(TASK.env, states)
    memory = pool.over_envs(policy.begin)(levels)
    by_batch, next_memory = pool.over_envs(policy.act)(memory, states, seen)
    logits, _, expected, _ = player.act(state.weights, player.begin(4), seen)
    np.testing.assert_allclose(by_batch, jax.nn.log_softmax(logits, axis=0), atol=1e-5)
    np.testing.assert_allclose(next_memory, expected, atol=1e-6)
    assert np.any(next_memory != 0)

"""The five-value step: the same episodes, and an object that other code may copy and compare."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.envs.cheese_corner import CheeseCorner

from gmbench.wrappers import step5

ENV = CheeseCorner(size=5, layout="open")
PARAMS = jax.tree.map(jnp.asarray, ENV.default_params.override(horizon=9, alpha=0.5))
STEPS = 200


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        assert np.array_equal(x, y)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda w: pickle.loads(pickle.dumps(w))]
)
def test_copies_are_equal(copied):
    env = step5(ENV)
    twin = copied(env)
    assert twin is not env
    assert twin == env
    assert hash(twin) == hash(env)
    assert twin.env == ENV


def test_equality_is_by_value():
    assert step5(ENV) == step5(CheeseCorner(size=5, layout="open"))
    assert hash(step5(ENV)) == hash(step5(CheeseCorner(size=5, layout="open")))
    assert step5(ENV) != step5(CheeseCorner(size=6, layout="open"))


def test_equal_wrappers_share_a_program():
    traces = []

    def reset(env, key):
        traces.append(env)
        return env.reset(key, PARAMS)

    jitted = jax.jit(reset, static_argnums=0)
    jitted(step5(ENV), jax.random.key(0))
    jitted(copy.deepcopy(step5(ENV)), jax.random.key(1))
    assert len(traces) == 1


def test_the_rest_is_the_environments():
    env = step5(ENV)
    assert env.num_actions == ENV.num_actions
    assert env.goal_names == ENV.goal_names
    assert env.observation_space(PARAMS).shape == ENV.observation_shape
    same(env.default_params, ENV.default_params)
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = env.no_such_thing


def test_default_params():
    default = ENV.reset(jax.random.key(3), ENV.default_params)
    same(step5(ENV).reset(jax.random.key(3)), default)


@pytest.mark.nightly
def test_a_scan_over_the_old_interface_plays_the_same_episodes():
    env = step5(ENV)
    actions = jax.random.randint(jax.random.key(0), (STEPS,), 0, env.num_actions, jnp.int32)

    def keys():
        return jax.random.split(jax.random.key(1), STEPS)

    def old(state, inputs):
        key, action = inputs
        observation, state, reward, done, info = env.step(key, state, action, PARAMS)
        return state, (observation, state, reward, done, info)

    @jax.jit
    def scan(keys):
        _, state = env.reset(jax.random.key(2), PARAMS)
        return state, jax.lax.scan(old, state, (keys, actions))[1]

    state, (observations, states, rewards, dones, info) = scan(keys())
    assert set(info) == {"terminated", "truncated", "goals", "final_observation", "discount"}
    assert info["terminated"].any()
    assert info["truncated"].any()
    assert np.array_equal(dones, info["terminated"] | info["truncated"])
    assert np.array_equal(info["discount"], np.where(info["terminated"], 0, 1))
    assert np.array_equal(rewards, info["goals"][:, 0])
    assert np.array_equal(rewards, info["terminated"].astype(np.float32))
    for index, key in enumerate(keys()):
        new = ENV.step(key, state, actions[index], PARAMS)
        state = jax.tree.map(lambda leaf, index=index: leaf[index], states)
        same(new[0], observations[index])
        same(new[1], state)
        same(new[5]["final_observation"], info["final_observation"][index])

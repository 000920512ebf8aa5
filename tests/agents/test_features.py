"""Activations by name: read from the forward pass that acts, and replaced in it."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents.layers import Tap

from gmbench.core import pool, registry
from gmbench.core.mitigation import Mitigation
from tests import drawn
from tests.marks import by_day

TASK = registry.make("CheeseCorner-v0", size=5)
NETWORKS = {
    "mlp": {"hidden_0", "hidden_1"},
    "conv_mlp": {"conv_0", "hidden_0", "hidden_1"},
    "impala_small": {"section_0", "section_1", "hidden_0"},
    "conv_gru": {"conv_0", "hidden_0", "memory"},
}


def made(network, precision="float32"):
    """Return an agent's policy with its first weights, and those weights' shapes as declared."""
    agent = registry.make_agent("ppo_gru" if network == "conv_gru" else "ppo")
    config = agent.config(network=network, precision=precision, num_envs=8)
    params = jax.tree.map(jnp.asarray, TASK.training)
    values = dataclasses.asdict(config)
    rates = {name: jnp.float32(x) for name, x in values.items() if isinstance(x, float)}
    given = jax.random.key(0), params, rates, jnp.float32(1)
    begin = agent.learner.init
    state = jax.jit(lambda: begin(TASK.env, config, lambda rates: Mitigation(), *given))()
    weights = agent.learner.weights(state)
    return agent.policy(TASK.env, config, weights), weights, agent.learner.shapes(TASK.env, config)


@pytest.fixture(scope="module")
def level():
    one = drawn.levels(TASK.env, TASK.training, 5, 1)
    return jax.tree.map(lambda leaf: leaf[..., 0], one)


@pytest.mark.parametrize("network", by_day(list(NETWORKS), "conv_gru"))
def test_features_are_those_of_the_pass_that_acts(network, level):
    """Probabilities are the same to the bit with features or without, alone and in a batch."""
    policy, _, _ = made(network)
    state = TASK.env.start(level)
    seen = TASK.env.observation(state)

    @jax.jit
    def both():
        memory = policy.begin(level)
        return policy.act(memory, state, seen)[0], policy.features(memory, state, seen)

    acted, features = both()
    alone, _ = jax.jit(lambda: policy.act(policy.begin(level), state, seen))()
    np.testing.assert_array_equal(acted, alone)
    assert set(features) == NETWORKS[network]
    assert all(np.any(leaf != 0) for leaf in features.values())
    states = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3, axis=-1), state)
    levels = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3, axis=-1), level)
    batched = jax.jit(
        lambda: pool.over_envs(policy.features)(
            pool.over_envs(policy.begin)(levels), states, pool.observe(TASK.env, states)
        )
    )()
    for name, leaf in features.items():
        assert batched[name].shape == (*leaf.shape, 3)
        np.testing.assert_allclose(batched[name][..., 1], leaf, atol=1e-5)


@pytest.mark.parametrize("network", by_day(list(NETWORKS), "conv_gru"))
def test_heads_read_the_last_activation(network, level):
    policy, weights, _ = made(network)
    state = TASK.env.start(level)
    memory, seen = policy.begin(level), TASK.env.observation(state)
    last = "memory" if network == "conv_gru" else max(n for n in NETWORKS[network] if "hid" in n)
    heads = weights["params"]["heads" if network == "conv_gru" else "Heads_0"]
    features = policy.features(memory, state, seen)[last]
    logits = features @ heads["policy"]["kernel"] + heads["policy"]["bias"]
    acted, _ = policy.act(memory, state, seen)
    np.testing.assert_allclose(acted, jax.nn.log_softmax(logits), atol=1e-5)


@pytest.mark.parametrize("network", by_day(list(NETWORKS), "conv_gru"))
def test_an_activation_can_be_replaced(network, level):
    """With the last hidden layer silenced, all actions are alike: the heads say their biases."""
    policy, _, _ = made(network)
    state = TASK.env.start(level)
    memory, seen = policy.begin(level), TASK.env.observation(state)
    last = "memory" if network == "conv_gru" else max(n for n in NETWORKS[network] if "hid" in n)

    def silenced(call, arguments, options, context):
        replaced = isinstance(context.module, Tap) and context.module.name == last
        return jnp.zeros_like(arguments[0]) if replaced else call(*arguments, **options)

    plain, _ = policy.act(memory, state, seen)
    with nn.intercept_methods(silenced):
        patched, _ = policy.act(memory, state, seen)
    assert np.ptp(plain) > 0
    assert np.ptp(patched) == 0


@pytest.mark.parametrize("network", ["mlp", "conv_gru"])
def test_weights_have_the_declared_shapes(network):
    """So that stored weights are opened without building a training program."""
    _, weights, shapes = made(network)
    assert jax.tree.structure(weights) == jax.tree.structure(shapes)
    same = jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), weights, shapes)
    assert all(jax.tree.leaves(same))


def test_taps_have_no_weights():
    _, weights, _ = made("conv_gru")
    layers = {"convolution", "dense", "gates", "candidate", "heads"}
    assert set(weights) == {"params"}
    assert set(weights["params"]) == layers


def test_features_are_in_full_precision_where_the_network_is_not(level):
    policy, _, _ = made("mlp", "bfloat16")
    state = TASK.env.start(level)
    found = policy.features(policy.begin(level), state, TASK.env.observation(state))
    assert {leaf.dtype.name for leaf in found.values()} == {"float32"}


def test_agents_without_a_network_have_no_features():
    agent = registry.make_agent("random")
    assert agent.policy(TASK.env, agent.config(), None).features is None

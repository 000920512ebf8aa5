"""The rungs of the ladder have as many weights each, and see what they are said to see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents import ladder

from gmbench.core import registry

RUNGS = ("flat", "attention", *(f"conv{depth}" for depth in range(1, 7)))


@pytest.mark.parametrize("shape", [(7, 7, 4), (13, 13, 6)])
def test_all_have_as_many_weights(shape):
    for name in RUNGS:
        network = registry.make_network(name)(5)
        shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros(shape, bool))
        count = sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
        assert abs(count / ladder.BUDGET - 1) < 0.05, (name, count)


@pytest.mark.parametrize("name", ladder.RECURRENT)
def test_recurrent_rungs_have_about_as_many(name):
    network = registry.make_network(name)(5, units=ladder.RECURRENT[name])
    seen = jnp.zeros((7, 7, 4), bool)
    shapes = jax.eval_shape(
        lambda key: network.init(key, network.blank(seen.shape, ()), seen), jax.random.key(0)
    )
    count = sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
    assert abs(count / ladder.BUDGET - 1) < 0.05


def test_a_budget_that_the_trunk_uses_up_leaves_one_unit():
    network = registry.make_network("conv6")(5, budget=100)
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((5, 5, 2), bool))
    assert shapes["params"]["Dense_0"]["kernel"].shape == (5 * 5 * 8, 1)


def reach(trunk):
    """Return which cells of 7x7 the middle cell of a trunk's output depends on."""
    rng = np.random.default_rng(0)
    planes = jnp.asarray(rng.normal(size=(2, 7, 7)), jnp.float32)
    weights = jax.jit(trunk.init)(jax.random.key(0), planes)

    @jax.jit
    def gradient(planes):
        return jax.grad(lambda seen: jnp.sum(trunk.apply(weights, seen)[:, 3, 3] ** 2))(planes)

    return np.any(np.asarray(gradient(planes)) != 0, axis=0)


def test_convolutions_reach_a_cell_further_each_and_attention_everywhere():
    for depth in (1, 2):
        seen = reach(ladder.Convolutions(depth))
        assert np.argwhere(seen).min() == 3 - depth
        assert np.argwhere(seen).max() == 3 + depth
    assert reach(ladder.Attention()).all()


def test_attention_is_the_same_alone_and_in_a_batch():
    network = registry.make_network("attention")(5)
    rng = np.random.default_rng(1)
    batch = jnp.asarray(rng.random((5, 4, 3, 2, 6)) < 0.3)
    weights = jax.jit(network.init)(jax.random.key(0), batch[..., 0, 0])
    logits, value = jax.jit(network.apply)(weights, batch)
    for place in ((0, 0), (1, 4)):
        alone = jax.jit(network.apply)(weights, batch[..., *place])
        np.testing.assert_allclose(alone[0], logits[:, *place], atol=1e-5)
        np.testing.assert_allclose(alone[1], value[place], atol=1e-5)

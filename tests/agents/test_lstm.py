"""The long short-term memory against its equations, written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
from gmbench.agents.networks import ConvLSTM

NETWORK = ConvLSTM(3, units=4, channels=2, hidden=5)
SHAPE = (3, 3, 2)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_it_is_what_the_equations_say():
    rng = np.random.default_rng(0)
    seen = jnp.asarray(rng.random((3, *SHAPE)) < 0.4)
    shapes = jax.eval_shape(
        lambda key: NETWORK.init(key, NETWORK.blank(SHAPE, ()), seen[0]), jax.random.key(0)
    )
    weights = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), "float32"), shapes)

    @jax.jit
    def step(memory, observation):
        features = NETWORK.apply(weights, observation, method="encode")
        return features, NETWORK.apply(weights, memory, observation)

    gates, heads = (weights["params"][name] for name in ("gates", "heads"))
    output, cell, memory = np.zeros(4), np.zeros(4), NETWORK.blank(SHAPE, ())
    for observation in seen:
        features, (logits, value, memory) = step(memory, observation)
        inputs = np.concatenate([features, output]).astype(np.float64)
        i, f, o, g = np.split(np.asarray(gates["kernel"]).T @ inputs + gates["bias"], 4)
        cell = sigmoid(f + 1) * cell + sigmoid(i) * np.tanh(g)
        output = sigmoid(o) * np.tanh(cell)
        np.testing.assert_allclose(memory, (output, cell), atol=1e-5)
        for name, found in (("policy", logits), ("value", value[None])):
            read = np.asarray(heads[name]["kernel"]).T @ output + heads[name]["bias"]
            np.testing.assert_allclose(found, read, atol=1e-4)

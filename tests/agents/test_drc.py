"""DRC against the equations of its paper, written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
from gmbench.agents.drc import DRC

ACTIONS, UNITS, LAYERS, TICKS = 5, 2, 2, 3
NETWORK = DRC(ACTIONS, units=UNITS, layers=LAYERS, ticks=TICKS)
SHAPE = (4, 3, 2)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def convolved(planes, layer):
    kernel, bias = (np.asarray(layer[name], np.float64) for name in ("kernel", "bias"))
    rows, cols = planes.shape[1:]
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)))
    result = np.zeros((kernel.shape[-1], rows, cols)) + bias[:, None, None]
    for row, col in np.ndindex(rows, cols):
        window = padded[:, row : row + 3, col : col + 3]
        result[:, row, col] += np.einsum("crk,rkcf->f", window, kernel)
    return result


def by_hand(weights, seen):
    """Return the outputs of every layer after each of some observations."""
    hidden = [np.zeros((UNITS, *SHAPE[:2]))] * LAYERS
    cell = list(hidden)
    for observation in seen:
        features = np.maximum(convolved(np.moveaxis(observation, 2, 0), weights["convolution"]), 0)
        for _ in range(TICKS):
            below = hidden[-1]
            for d in range(LAYERS):
                pool = weights[f"pools_{d}"]
                pooled = np.concatenate([hidden[d].mean(axis=(1, 2)), hidden[d].max(axis=(1, 2))])
                injected = np.asarray(pool["kernel"]).T @ pooled + np.asarray(pool["bias"])
                injected = np.broadcast_to(injected[:, None, None], hidden[d].shape)
                inputs = np.concatenate([features, hidden[d], below, injected])
                i, f, o, g = np.split(convolved(inputs, weights[f"gates_{d}"]), 4)
                cell[d] = sigmoid(f + 1) * cell[d] + sigmoid(i) * np.tanh(g)
                hidden[d] = sigmoid(o) * np.tanh(cell[d])
                below = hidden[d]
        yield np.stack(hidden)


def test_it_is_what_the_equations_say():
    """Over three observations, so that memory matters, with weights far from their start."""
    rng = np.random.default_rng(0)
    seen = rng.random((3, *SHAPE)) < 0.4
    shapes = jax.eval_shape(
        lambda key: NETWORK.init(key, NETWORK.blank(SHAPE, ()), jnp.asarray(seen[0])),
        jax.random.key(0),
    )
    weights = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype), shapes
    )

    @jax.jit
    def step(memory, observation):
        return NETWORK.apply(weights, memory, observation)

    memory = NETWORK.blank(SHAPE, ())
    for observation, expected in zip(seen, by_hand(weights["params"], seen), strict=True):
        logits, value, memory = step(memory, jnp.asarray(observation))
        np.testing.assert_allclose(np.stack([output for output, _ in memory]), expected, atol=1e-5)
        heads = weights["params"]["heads"]
        for name, found in (("policy", logits), ("value", value[None])):
            read = np.asarray(heads[name]["kernel"]).T @ expected[-1].ravel()
            np.testing.assert_allclose(found, read + np.asarray(heads[name]["bias"]), atol=1e-4)

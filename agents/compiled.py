"""Networks whose weights are written from a wiring: layer by layer, channel by named channel.

A wiring says of each channel what it reads of the layer before, and where, relative to its own
cell. The last layer has a channel for each action, and the heads read the sum of each over the
grid. What is written is an ordinary convolutional network.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .ladder import Convolutions
from .layers import Dense, Heads, Observation, Outputs, Tap, as_numbers, flatten


class Unit(NamedTuple):
    """One channel of a layer: the ReLU of a bias and of what it reads of the layer before.

    Attributes:
        terms: ``(weight, name of a channel, (row, column) to read it at, relative)``.
        bias: added.
    """

    terms: tuple[tuple[float, str, tuple[int, int]], ...]
    bias: float = 0.0


Layer = dict[str, Unit]
"""Channels by name."""


def read(name: str, weight: float = 1.0, at: Sequence[tuple[int, int]] = ((0, 0),)) -> Any:
    """Return the terms that read a channel at some places."""
    return tuple((weight, name, place) for place in at)


def kept(*names: str) -> Layer:
    """Return channels that pass on what they read, which is never negative."""
    return {name: Unit(read(name)) for name in names}


class Compiled(nn.Module):
    """Convolutions, one hidden layer and the heads: the network that organisms are written into.

    Attributes:
        num_actions: number of logits.
        depth: of the convolutions.
        channels: of each.
    """

    num_actions: int
    depth: int
    channels: int

    @nn.compact
    def __call__(self, observation: Observation) -> Outputs:
        """Compute logits and value."""
        planes = jnp.moveaxis(as_numbers(observation), 2, 0)
        planes = Convolutions(self.depth, self.channels, name="trunk")(planes)
        hidden = Tap(name="hidden_0")(nn.relu(Dense(self.num_actions)(flatten(planes))))
        return Heads(self.num_actions)(hidden)


def compiled(
    layers: Sequence[Layer],
    observed: Sequence[str],
    shape: tuple[int, int],
    sharpness: float,
    worth: float,
) -> tuple[Compiled, dict[str, Any]]:
    """Return the network that a wiring describes, and its weights.

    Args:
        layers: the wiring; the last one's channels are the actions' first, in their order.
        observed: names of the observation's channels.
        shape: rows and columns.
        sharpness: what logits are multiplied by.
        worth: what the first action's sum is multiplied by, to be the value.
    """
    width, names, trunk = max(map(len, layers)), observed, {}
    for place, layer in enumerate(layers):
        inputs = len(observed) if place == 0 else width
        kernel, bias = _matrices(layer, names, inputs, width)
        trunk[f"Conv3x3_{place}"] = {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}
        names = list(layer)
    actions = len(names)
    summed = np.zeros((width, shape[0] * shape[1], actions), np.float32)
    for place in range(actions):
        summed[place, :, place] = 1
    value = np.zeros((actions, 1), np.float32)
    value[0] = worth
    heads = {"policy": _affine(sharpness * jnp.eye(actions)), "value": _affine(value)}
    hidden = _affine(summed.reshape(-1, actions))
    network = Compiled(actions, len(layers), width)
    return network, {"params": {"trunk": trunk, "Dense_0": hidden, "Heads_0": heads}}


def _matrices(
    layer: Mapping[str, Unit], names: Sequence[str], inputs: int, width: int
) -> tuple[Float[np.ndarray, "3 3 inputs width"], Float[np.ndarray, " width"]]:
    kernel, bias = np.zeros((3, 3, inputs, width), np.float32), np.zeros(width, np.float32)
    for place, unit in enumerate(layer.values()):
        bias[place] = unit.bias
        for weight, name, (row, col) in unit.terms:
            if name in names:  # a channel that the layer before does not have is 0
                kernel[1 + row, 1 + col, names.index(name), place] += weight
    return kernel, bias


def _affine(kernel: Any) -> dict[str, Any]:
    return {"kernel": jnp.asarray(kernel, jnp.float32), "bias": jnp.zeros(kernel.shape[1])}

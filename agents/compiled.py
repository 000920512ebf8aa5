"""Networks whose weights are written from a wiring: layer by layer, channel by named channel.

A wiring says of each channel what it reads of the layer before, and where, relative to its own
cell. The last layer has a channel for each action, and the heads read the sum of each over the
grid. What is written is an ordinary convolutional network.

A network can be **entangled**: behind the ReLUs of each layer its channels are mixed by an
invertible matrix, and whatever reads them undoes that, so that it acts as before while no channel
means anything by itself. The mixing must stand behind the ReLU, since a ReLU's basis is its own.
Its entries are plus or minus a power of two (a Hadamard matrix, shuffled): sums of small whole
numbers stay exact, and so does what the network does.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.linalg import hadamard

from .ladder import Convolutions
from .layers import Conv3x3, Dense, Heads, Observation, Outputs, Tap, as_numbers, flatten


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


class Mixed(nn.Module):
    """Convolutions on top of each other; behind the ReLUs of each a linear map of its channels.

    Attributes:
        depth: how many.
        channels: features of each.
    """

    depth: int
    channels: int

    @nn.compact
    def __call__(
        self, planes: Float[Array, "channels rows cols *batch"]
    ) -> Float[Array, "features rows cols *batch"]:
        """Convolve and mix."""
        for place in range(self.depth):
            found = nn.relu(Conv3x3(self.channels)(planes))
            planes = Tap(name=f"conv_{place}")(Dense(self.channels)(found))
        return planes


class Compiled(nn.Module):
    """Convolutions, one hidden layer and the heads: the network that organisms are written into.

    Attributes:
        num_actions: number of logits.
        depth: of the convolutions.
        channels: of each.
        mixed: whether each layer's channels are mixed.
    """

    num_actions: int
    depth: int
    channels: int
    mixed: bool = False

    @nn.compact
    def __call__(self, observation: Observation) -> Outputs:
        """Compute logits and value."""
        planes = jnp.moveaxis(as_numbers(observation), 2, 0)
        trunk = Mixed if self.mixed else Convolutions
        planes = trunk(self.depth, self.channels, name="trunk")(planes)
        hidden = Tap(name="hidden_0")(nn.relu(Dense(self.num_actions)(flatten(planes))))
        return Heads(self.num_actions)(hidden)


def compiled(
    layers: Sequence[Layer],
    observed: Sequence[str],
    shape: tuple[int, int],
    sharpness: float,
    worth: float,
    width: int,
    entangle: int = 0,
) -> tuple[Compiled, dict[str, Any]]:
    """Return the network that a wiring describes, and its weights.

    Args:
        layers: the wiring; the last one's channels are the actions' first, in their order.
        observed: names of the observation's channels.
        shape: rows and columns.
        sharpness: what logits are multiplied by.
        worth: what the first action's sum is multiplied by, to be the value.
        width: channels of each layer, as many as the widest has or more.
        entangle: seed of the mixing of channels, then as many as a power of two; 0 for none.
    """
    names = observed
    width = 2 ** (width - 1).bit_length() if entangle else width
    mixing = Mixing(width, entangle) if entangle else None
    trunk: dict[str, Any] = {}
    undo: Any = np.eye(len(observed))
    for place, layer in enumerate(layers):
        kernel, bias = _matrices(layer, names, len(undo), width)
        trunk[f"Conv3x3_{place}"] = affine(undo.T @ kernel, bias)
        undo = np.eye(width)
        if mixing:
            mix, undo = mixing.draw()
            trunk[f"Dense_{place}"] = affine(mix.T)
        names = list(layer)
    actions = len(names)
    summed = np.zeros((width, shape[0] * shape[1], actions))
    for place in range(actions):
        summed[place, :, place] = 1
    value = np.zeros((actions, 1))
    value[0] = worth
    heads = {"policy": affine(sharpness * np.eye(actions)), "value": affine(value)}
    hidden = affine(np.einsum("ij,ica->jca", undo, summed).reshape(-1, actions))
    network = Compiled(actions, len(layers), width, bool(entangle))
    return network, {"params": {"trunk": trunk, "Dense_0": hidden, "Heads_0": heads}}


class Mixing:
    """Random mixings of as many channels as a power of two, each with what undoes it."""

    def __init__(self, width: int, seed: int) -> None:
        """Begin a sequence of them."""
        self._random, self._plain = np.random.default_rng(seed), hadamard(width)

    def draw(self) -> tuple[Float[np.ndarray, "w w"], Float[np.ndarray, "w w"]]:
        """Return a matrix and its inverse; every entry is plus or minus a power of two."""
        width, draw = len(self._plain), self._random
        signs = draw.choice((-1.0, 1.0), (2, width))
        turned = self._plain[draw.permutation(width)][:, draw.permutation(width)]
        matrix = signs[0][:, None] * turned * signs[1]
        scale = 2.0 ** -(width.bit_length() // 2)
        return scale * matrix, matrix.T / (scale * width)


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


def affine(kernel: Any, bias: Any = None) -> dict[str, Any]:
    """Return the weights of an affine map or a convolution, by default without a bias."""
    bias = np.zeros(kernel.shape[-1]) if bias is None else bias
    return {"kernel": jnp.asarray(kernel, jnp.float32), "bias": jnp.asarray(bias, jnp.float32)}

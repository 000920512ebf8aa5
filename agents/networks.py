"""Actor-critic networks for small grids.

A network maps an observation ``[rows, cols, channels, *batch]``, bool, u8 or float, to
``(logits f32[actions, *batch], value f32[*batch])``. The batch axes are any number of TRAILING
axes, also none; weights are initialised from one observation. Observations are cast to f32, bytes
to [0, 1]. Layers compute in the precision of their weights: pass f32 weights, or cast ones.

Pass batches as they are stored. ``jax.vmap`` over a trailing axis gives the same numbers at about
half the speed on CPU, since its rules for concatenation, reshaping and broadcasting move that axis
to the front. Several sets of weights, one for each seed, are vmapped over a leading axis.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, UInt8

from gmbench.core import checks

Observation = (
    Bool[Array, "rows cols channels *batch"]
    | UInt8[Array, "rows cols channels *batch"]
    | Float[Array, "rows cols channels *batch"]
)
Outputs = tuple[Float[Array, "actions *batch"], Float[Array, "*batch"]]


def convolve_by_matmul(
    planes: Float[Array, "channels rows cols *batch"], kernel: Float[Array, "3 3 channels features"]
) -> Float[Array, "features rows cols *batch"]:
    """Convolve 3x3 with zero padding: nine shifted copies, then one matrix product.

    The patches are reshaped to a matrix first: contracting them as they are, over several batch and
    grid axes, trains two to four times slower on CPU.
    """
    _, rows, cols, *batch = planes.shape
    padded = jnp.pad(planes, [(0, 0), (1, 1), (1, 1), *[(0, 0)] * len(batch)])
    shifted = [
        padded[:, row : row + rows, col : col + cols] for row in range(3) for col in range(3)
    ]
    weights = kernel.reshape(-1, kernel.shape[-1])
    patches = jnp.concatenate(shifted).reshape(weights.shape[0], -1)
    return (weights.T @ patches).reshape(-1, rows, cols, *batch)


def convolve_by_library(
    planes: Float[Array, "channels rows cols *batch"], kernel: Float[Array, "3 3 channels features"]
) -> Float[Array, "features rows cols *batch"]:
    """Convolve 3x3 with zero padding by the platform's own convolution."""
    joined = planes.reshape(*planes.shape[:3], -1)
    layout = ("CHWN", "HWIO", "CHWN")
    features = lax.conv_general_dilated(joined, kernel, (1, 1), "SAME", dimension_numbers=layout)
    return features.reshape(-1, *planes.shape[1:])


def max_pool(
    planes: Float[Array, "channels rows cols *batch"],
) -> Float[Array, "channels half_rows half_cols *batch"]:
    """Take the maximum over 3x3 windows at stride 2, padded by one: sides halve, rounded up.

    Written as maxima of strided slices, because the gradient of a window reduction is a scatter.
    Where values tie, they share the gradient.
    """
    for axis in (1, 2):
        margin = [(0, 0)] * planes.ndim
        margin[axis] = (1, 1)
        padded = jnp.pad(planes, margin, constant_values=-jnp.inf)
        side = planes.shape[axis]
        before, centre, after = (
            lax.slice_in_dim(padded, start, start + side, 2, axis) for start in range(3)
        )
        planes = jnp.maximum(jnp.maximum(before, centre), after)
    return planes


def initial_weights(gain: float) -> Any:
    """Normal weights of variance ``gain^2 / inputs``.

    Not the customary orthogonal ones: their QR decomposition is a LAPACK call, and batched LAPACK
    calls on several host devices wait for each other for ever (jaxlib 0.10).
    """
    return nn.initializers.variance_scaling(gain**2, "fan_in", "truncated_normal")


class Conv3x3(nn.Module):
    """A 3x3 convolution with zero padding and a bias, over ``[channels, rows, cols, *batch]``.

    XLA's convolutions are slow on CPU inside a loop, so there it is a matrix product. Weights fit
    every platform: ``kernel f32[3, 3, channels, features]``, ``bias f32[features]``, as in
    ``flax.linen.Conv``. The platform is JAX's default when the call is traced: a
    ``lax.platform_dependent`` would be a conditional, under which vmap moves the batch to the front
    and the gradient keeps what both branches need. Either way is right on every platform.

    Attributes:
        features: number of output channels.
    """

    features: int

    @nn.compact
    def __call__(
        self, planes: Float[Array, "channels rows cols *batch"]
    ) -> Float[Array, "features rows cols *batch"]:
        """Convolve."""
        shape = (3, 3, planes.shape[0], self.features)
        kernel = self.param("kernel", initial_weights(1.0), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        on_cpu = jax.default_backend() == "cpu"
        convolve = convolve_by_matmul if on_cpu else convolve_by_library
        features = convolve(planes.astype(kernel.dtype), kernel)
        return features + bias.reshape(-1, *[1] * (features.ndim - 1))


class Dense(nn.Module):
    """An affine map of the leading axis: ``[inputs, *batch]`` to ``[features, *batch]``.

    Attributes:
        features: number of outputs.
        scale: gain of the initial weights; biases begin at zero.
    """

    features: int
    scale: float = 2**0.5

    @nn.compact
    def __call__(self, inputs: Float[Array, "inputs *batch"]) -> Float[Array, "features *batch"]:
        """Apply the map."""
        size, *batch = inputs.shape
        shape = (size, self.features)
        kernel = self.param("kernel", initial_weights(self.scale), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        outputs = kernel.T @ inputs.reshape(size, -1).astype(kernel.dtype) + bias[:, None]
        return outputs.reshape(self.features, *batch)


class Heads(nn.Module):
    """The policy's logits, nearly uniform at first, and the value.

    Attributes:
        num_actions: number of logits.
    """

    num_actions: int

    @nn.compact
    def __call__(self, features: Float[Array, "features *batch"]) -> Outputs:
        """Read both heads off shared features."""
        logits = Dense(self.num_actions, scale=0.01, name="policy")(features)
        return logits, Dense(1, scale=1.0, name="value")(features)[0]


class MLP(nn.Module):
    """Fully connected layers shared by policy and value.

    Attributes:
        num_actions: number of logits.
        hidden: units of each layer.
        activation: applied after each layer.
    """

    num_actions: int
    hidden: tuple[int, ...] = (128, 64)
    activation: Callable[[Array], Array] = nn.relu

    @nn.compact
    def __call__(self, observation: Observation) -> Outputs:
        """Compute logits and value."""
        features = _flatten(_as_numbers(observation))
        for units in self.hidden:
            features = self.activation(Dense(units)(features))
        return Heads(self.num_actions)(features)


class ConvMLP(nn.Module):
    """One 3x3 convolution, then fully connected layers.

    The convolution shares between cells what an agent must know about the cells next to it, which
    the plain MLP learns anew for each cell.

    Attributes:
        num_actions: number of logits.
        channels: features of the convolution.
        hidden: units of each further layer.
    """

    num_actions: int
    channels: int = 8
    hidden: tuple[int, ...] = (64, 64)

    @nn.compact
    def __call__(self, observation: Observation) -> Outputs:
        """Compute logits and value."""
        planes = jnp.moveaxis(_as_numbers(observation), 2, 0)
        features = _flatten(nn.relu(Conv3x3(self.channels)(planes)))
        for units in self.hidden:
            features = nn.relu(Dense(units)(features))
        return Heads(self.num_actions)(features)


class ConvGRU(nn.Module):
    """One 3x3 convolution and a hidden layer, then a gated recurrent unit that the heads read.

    Called with ``(memory f32[units, *batch], observation)``, it returns ``(logits, value,
    memory)``. Its three parts can be applied apart, so that a sequence is encoded and read in one
    go and only remembered step by step.

    Attributes:
        num_actions: number of logits.
        units: size of the memory.
        channels: features of the convolution.
        hidden: units of the hidden layer.
    """

    num_actions: int
    units: int = 64
    channels: int = 8
    hidden: int = 64

    def setup(self) -> None:
        """Name the layers."""
        self.convolution = Conv3x3(self.channels)
        self.dense = Dense(self.hidden)
        self.gates = Dense(2 * self.units, scale=1.0)
        self.candidate = Dense(self.units, scale=1.0)
        self.heads = Heads(self.num_actions)

    def encode(self, observation: Observation) -> Float[Array, "hidden *batch"]:
        """Compute what the memory is told of each observation."""
        planes = jnp.moveaxis(_as_numbers(observation), 2, 0)
        return nn.relu(self.dense(_flatten(nn.relu(self.convolution(planes)))))

    def remember(
        self, memory: Float[Array, "units *batch"], features: Float[Array, "hidden *batch"]
    ) -> Float[Array, "units *batch"]:
        """Return the memory after one more step (Cho et al. 2014, eq. 5 to 8)."""
        features = features.astype(memory.dtype)
        gates = nn.sigmoid(self.gates(jnp.concatenate([features, memory])).astype(memory.dtype))
        forget, keep = jnp.split(gates, 2)
        proposed = nn.tanh(self.candidate(jnp.concatenate([features, forget * memory])))
        proposed = proposed.astype(memory.dtype)
        return keep * memory + (1 - keep) * proposed

    def read(self, memory: Float[Array, "units *batch"]) -> Outputs:
        """Compute logits and value."""
        return self.heads(memory)

    def __call__(
        self, memory: Float[Array, "units *batch"], observation: Observation
    ) -> tuple[Array, Array, Array]:
        """Take one step."""
        memory = self.remember(memory, self.encode(observation))
        return *self.read(memory), memory


class Impala(nn.Module):
    """The residual convolutional network of IMPALA (Espeholt et al. 2018, figure 3, right).

    Each section is a convolution, a 3x3 max pool at stride 2, and residual blocks
    ``x + conv(relu(conv(relu(x))))``; one hidden layer follows. Without arguments it is the
    published network, less its recurrent core, which Langosco et al. 2022 train on goal
    misgeneralization. There is no batch normalisation.

    Attributes:
        num_actions: number of logits.
        channels: features of each section's convolutions.
        hidden: units of the last layer.
        blocks: residual blocks in each section.
        pool_above: a section pools only where the grid's shorter side exceeds this many cells.
    """

    num_actions: int
    channels: tuple[int, ...] = (16, 32, 32)
    hidden: int = 256
    blocks: int = 2
    pool_above: int = 1

    @nn.compact
    def __call__(self, observation: Observation) -> Outputs:
        """Compute logits and value."""
        planes = jnp.moveaxis(_as_numbers(observation), 2, 0)
        for features in self.channels:
            planes = Conv3x3(features)(planes)
            if min(planes.shape[1:3]) > self.pool_above:
                planes = max_pool(planes)
            for _ in range(self.blocks):
                inner = Conv3x3(features)(nn.relu(planes))
                planes = planes + Conv3x3(features)(nn.relu(inner))
        hidden = nn.relu(Dense(self.hidden)(_flatten(nn.relu(planes))))
        return Heads(self.num_actions)(hidden)


def _as_numbers(observation: Observation) -> Float[Array, "rows cols channels *batch"]:
    """Cast an observation to f32, and bytes to [0, 1]."""
    numbers = observation.astype(jnp.float32)
    return numbers / 255 if observation.dtype == jnp.uint8 else numbers


def _flatten(planes: Float[Array, "a b c *batch"]) -> Float[Array, "features *batch"]:
    """Join the three axes of one observation."""
    return planes.reshape(-1, *planes.shape[3:])


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "mlp": MLP,
    "mlp_wide": partial(MLP, hidden=(128, 128, 128)),
    "conv_mlp": ConvMLP,
    # Small grids lose whole walls to pooling: here 13x13 is pooled once, 8x8 and smaller never.
    "impala_small": partial(Impala, channels=(16, 32), blocks=1, pool_above=8),
    "impala_large": Impala,
}
"""Constructors by name, called with the number of actions and any attributes to change."""

RECURRENT: dict[str, Callable[..., nn.Module]] = {"conv_gru": ConvGRU}
"""Constructors of networks with memory, by name."""


def build(name: str, num_actions: int, **settings: Any) -> nn.Module:
    """Construct a network of :data:`NETWORKS`.

    Args:
        name: which network.
        num_actions: number of logits.
        **settings: attributes of the network to change.

    Raises:
        ValueError: for an unknown name, offering the nearest.
    """
    return NETWORKS[checks.known("network", name, NETWORKS)](num_actions, **settings)

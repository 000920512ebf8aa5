"""Actor-critic networks for small grids.

A network maps an observation ``[rows, cols, channels, *batch]``, bool, u8 or float, to
``(logits f32[actions, *batch], value f32[*batch])``. The batch axes are any number of TRAILING
axes, also none; weights are initialised from one observation. Observations are cast to f32, bytes
to [-1, 1]. Layers compute in the precision of their weights: pass f32 weights, or cast ones.

Activations are named by :class:`~gmbench.agents.layers.Tap`. A network of your own is one file that
registers a constructor.

Pass batches as they are stored. ``jax.vmap`` over a trailing axis gives the same numbers at about
half the speed on CPU, since its rules for concatenation, reshaping and broadcasting move that axis
to the front. Several sets of weights, one for each seed, are vmapped over a leading axis.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gmbench.core import registry

from .layers import (
    Conv3x3,
    Dense,
    Heads,
    Observation,
    Outputs,
    Tap,
    as_numbers,
    flatten,
    max_pool,
)


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
        features = flatten(as_numbers(observation))
        for place, units in enumerate(self.hidden):
            features = Tap(name=f"hidden_{place}")(self.activation(Dense(units)(features)))
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
        planes = jnp.moveaxis(as_numbers(observation), 2, 0)
        planes = Tap(name="conv_0")(nn.relu(Conv3x3(self.channels)(planes)))
        features = flatten(planes)
        for place, units in enumerate(self.hidden):
            features = Tap(name=f"hidden_{place}")(nn.relu(Dense(units)(features)))
        return Heads(self.num_actions)(features)


class ConvGRU(nn.Module):
    """One 3x3 convolution and a hidden layer, then a gated recurrent unit that the heads read.

    A recurrent network: called with ``(memory, observation)``, it returns ``(logits, value,
    memory)``; its memory, any pytree with the batch behind, is begun by ``blank``. Its three parts
    can be applied apart, so that a sequence is encoded and read in one go and only remembered step
    by step. Here the memory is ``f32[units, *batch]``.

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
        self.conv_0, self.hidden_0, self.memory = Tap(), Tap(), Tap()

    def blank(self, shape: tuple[int, ...], batch: tuple[int, ...]) -> Array:
        """Return an empty memory for observations of a shape."""
        del shape
        return jnp.zeros((self.units, *batch), jnp.float32)

    def encode(self, observation: Observation) -> Float[Array, "hidden *batch"]:
        """Compute what the memory is told of each observation."""
        planes = jnp.moveaxis(as_numbers(observation), 2, 0)
        planes = self.conv_0(nn.relu(self.convolution(planes)))
        return self.hidden_0(nn.relu(self.dense(flatten(planes))))

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
        return self.heads(self.memory(memory))

    def __call__(self, memory: Any, observation: Observation) -> tuple[Array, Array, Any]:
        """Take one step."""
        memory = self.remember(memory, self.encode(observation))
        return *self.read(memory), memory


class ConvLSTM(ConvGRU):
    """The same with a long short-term memory between the hidden layer and the heads.

    Its memory is the output and the cell, ``(f32[units, *batch], f32[units, *batch])``.

    Source of the unit: Hochreiter & Schmidhuber 1997; with a forget gate (Gers et al. 2000) that
    begins open (Jozefowicz et al. 2015).
    """

    def setup(self) -> None:
        """Name the layers."""
        self.convolution = Conv3x3(self.channels)
        self.dense = Dense(self.hidden)
        self.gates = Dense(4 * self.units, scale=1.0)
        self.heads = Heads(self.num_actions)
        self.conv_0, self.hidden_0, self.memory = Tap(), Tap(), Tap()

    def blank(self, shape: tuple[int, ...], batch: tuple[int, ...]) -> tuple[Array, Array]:  # type: ignore[override]
        """Return an empty memory for observations of a shape."""
        nothing = super().blank(shape, batch)
        return nothing, nothing

    def remember(  # type: ignore[override]
        self, memory: tuple[Array, Array], features: Float[Array, "hidden *batch"]
    ) -> tuple[Array, Array]:
        """Return the memory after one more step."""
        output, cell = memory
        gates = self.gates(jnp.concatenate([features.astype(cell.dtype), output]))
        let_in, forget, let_out, proposed = jnp.split(gates.astype(cell.dtype), 4)
        cell = nn.sigmoid(forget + 1) * cell + nn.sigmoid(let_in) * nn.tanh(proposed)
        return nn.sigmoid(let_out) * nn.tanh(cell), cell

    def read(self, memory: tuple[Array, Array]) -> Outputs:  # type: ignore[override]
        """Compute logits and value."""
        return self.heads(self.memory(memory[0]))


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
        planes = jnp.moveaxis(as_numbers(observation), 2, 0)
        for place, features in enumerate(self.channels):
            planes = Conv3x3(features)(planes)
            if min(planes.shape[1:3]) > self.pool_above:
                planes = max_pool(planes)
            for _ in range(self.blocks):
                inner = Conv3x3(features)(nn.relu(planes))
                planes = planes + Conv3x3(features)(nn.relu(inner))
            planes = Tap(name=f"section_{place}")(planes)
        hidden = Tap(name="hidden_0")(nn.relu(Dense(self.hidden)(flatten(nn.relu(planes)))))
        return Heads(self.num_actions)(hidden)


registry.network("mlp")(MLP)
registry.network("mlp_wide")(partial(MLP, hidden=(128, 128, 128)))
registry.network("conv_mlp")(ConvMLP)
# Small grids lose whole walls to pooling: here 13x13 is pooled once, 8x8 and smaller never.
registry.network("impala_small")(partial(Impala, channels=(16, 32), blocks=1, pool_above=8))
registry.network("impala_large")(Impala)
registry.network("conv_gru", recurrent=True)(ConvGRU)
registry.network("conv_lstm", recurrent=True)(ConvLSTM)

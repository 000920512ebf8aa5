"""DRC: a deep repeated convolutional LSTM, the network in which planning was found.

D layers of convolutional LSTMs (Shi et al. 2015, arXiv 1506.04214, eq. 3, without peepholes) lie
over the grid. For each observation the whole stack is run N times before the heads read it, with
the same weights each time. Every layer sees the encoded observation, its own output pooled over the
grid (pool and inject), and the output of the layer below it, the lowest that of the topmost one, a
run earlier. DRC(D, N) with more layers and runs plays puzzles better, most of all when it may think
longer first.

Source: Guez et al. 2019, "An Investigation of Model-Free Planning", arXiv 1901.03559, section 2.
Here the encoder is one convolution, and the heads read the topmost layer's output alone, through no
further hidden layer.
"""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gmbench.core import registry

from .layers import Conv3x3, Dense, Heads, Observation, Outputs, Tap, as_numbers, flatten

Planes = Float[Array, "units rows cols *batch"]
Memory = tuple[tuple[Planes, Planes], ...]
"""Output and cell of each layer."""


class DRC(nn.Module):
    """DRC(layers, ticks), a recurrent network.

    Attributes:
        num_actions: number of logits.
        units: channels of the encoder and of each layer.
        layers: convolutional LSTMs on top of each other.
        ticks: runs for each observation.
    """

    num_actions: int
    units: int = 8
    layers: int = 3
    ticks: int = 3

    def setup(self) -> None:
        """Name the layers."""
        self.convolution = Conv3x3(self.units)
        self.gates = [Conv3x3(4 * self.units) for _ in range(self.layers)]
        self.pools = [Dense(self.units, scale=1.0) for _ in range(self.layers)]
        self.heads = Heads(self.num_actions)
        self.conv_0 = Tap()
        self.layer = [Tap() for _ in range(self.layers)]
        self.cell = [Tap() for _ in range(self.layers)]

    def blank(self, shape: tuple[int, ...], batch: tuple[int, ...]) -> Memory:
        """Return an empty memory for observations of a shape."""
        nothing = jnp.zeros((self.units, *shape[:2], *batch), jnp.float32)
        return ((nothing, nothing),) * self.layers

    def encode(self, observation: Observation) -> Planes:
        """Compute what every layer sees of each observation."""
        planes = jnp.moveaxis(as_numbers(observation), 2, 0)
        return self.conv_0(nn.relu(self.convolution(planes)))

    def remember(self, memory: Memory, features: Planes) -> Memory:
        """Return the memory after all runs on one more observation."""
        for _ in range(self.ticks):
            below, after = memory[-1][0], []
            for place in range(self.layers):
                below, cell = self._layer(place, memory[place], features, below)
                after.append((below, cell))
            memory = tuple(after)
        return memory

    def _layer(
        self, place: int, memory: tuple[Planes, Planes], features: Planes, below: Planes
    ) -> tuple[Planes, Planes]:
        output, cell = memory
        pooled = jnp.concatenate([jnp.mean(output, axis=(1, 2)), jnp.max(output, axis=(1, 2))])
        injected = self.pools[place](pooled)
        gates = self.gates[place](features, output, below, injected)
        let_in, forget, let_out, proposed = jnp.split(gates.astype(cell.dtype), 4)
        # A forget gate that begins open, as is customary.
        # Tapped after every run: what is written into a cell is remembered, and thought on.
        cell = self.cell[place](
            nn.sigmoid(forget + 1) * cell + nn.sigmoid(let_in) * nn.tanh(proposed)
        )
        return nn.sigmoid(let_out) * nn.tanh(cell), cell

    def read(self, memory: Memory) -> Outputs:
        """Compute logits and value."""
        tapped = [tap(output) for tap, (output, _) in zip(self.layer, memory, strict=True)]
        return self.heads(flatten(tapped[-1]))

    def __call__(self, memory: Memory, observation: Observation) -> tuple[Array, Array, Memory]:
        """Take one step."""
        memory = self.remember(memory, self.encode(observation))
        return *self.read(memory), memory


registry.network("drc11", recurrent=True)(partial(DRC, layers=1, ticks=1))
registry.network("drc33", recurrent=True)(DRC)

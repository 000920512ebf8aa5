"""A ladder of architectures with as many weights each: what may an agent's network search?

From fully connected layers, which know no grid, over one to six convolutions, whose reach grows by
a cell with each, and attention, in which every cell sees every other, each network ends in one
hidden layer whose width is whatever brings the number of weights nearest to the budget. Recurrent
rungs have as many, to within 5% on grids of 7x7, with :data:`RECURRENT` units.

Source of the attention block: Vaswani et al. 2017, arXiv 1706.03762, with the normalisation before
each part (Xiong et al. 2020, arXiv 2002.04745).
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gmbench.core import registry

from .layers import Conv3x3, Dense, Heads, Observation, Outputs, Tap, as_numbers, flatten

BUDGET = 38_400
"""Weights of each network, unless what comes before the hidden layer has more."""
RECURRENT = {"conv_gru": 41, "conv_lstm": 33, "drc11": 15, "drc33": 9}
"""The setting ``units`` with which recurrent networks have about as many."""

Planes = Float[Array, "channels rows cols *batch"]
Features = Float[Array, "features rows cols *batch"]


class Flat(nn.Module):
    """No trunk: what is seen, as it is."""

    def __call__(self, planes: Planes) -> Features:
        """Return the planes."""
        return planes


class Convolutions(nn.Module):
    """Convolutions on top of each other.

    Attributes:
        depth: how many.
        channels: features of each.
    """

    depth: int
    channels: int = 8

    @nn.compact
    def __call__(self, planes: Planes) -> Features:
        """Convolve."""
        for place in range(self.depth):
            planes = Tap(name=f"conv_{place}")(nn.relu(Conv3x3(self.channels)(planes)))
        return planes


class Attention(nn.Module):
    """Blocks of attention over all cells; each cell has an embedding of its place.

    Attributes:
        blocks: how many.
        width: numbers a cell.
    """

    blocks: int = 2
    width: int = 16

    @nn.compact
    def __call__(self, planes: Planes) -> Features:
        """Let each cell look at all."""
        channels, rows, cols, *batch = planes.shape
        cells = planes.reshape(channels, rows * cols, -1)
        places = self.param(
            "places", nn.initializers.normal(0.1), (self.width, rows * cols), jnp.float32
        )
        cells = Dense(self.width, scale=1.0)(cells) + places[..., None]
        for place in range(self.blocks):
            cells = cells + self._looked_up(_normed(cells))
            inner = nn.relu(Dense(2 * self.width)(_normed(cells)))
            cells = Tap(name=f"block_{place}")(cells + Dense(self.width, scale=0.5)(inner))
        return _normed(cells).reshape(self.width, rows, cols, *batch)

    def _looked_up(self, cells: Float[Array, "width cells n"]) -> Float[Array, "width cells n"]:
        """Attend with one head; the batch in front is more than twice as fast on CPU."""
        told = Dense(3 * self.width, scale=1.0)(cells)
        asked, known, told = jnp.split(told.transpose(2, 1, 0), 3, axis=2)
        likeness = asked @ (known / self.width**0.5).transpose(0, 2, 1)
        looked = nn.softmax(likeness, axis=2) @ told
        return Dense(self.width, scale=0.5)(looked.transpose(2, 1, 0))


def _normed(cells: Float[Array, "width *rest"]) -> Float[Array, "width *rest"]:
    """Return the numbers of each cell with mean 0 and variance 1."""
    centred = cells - jnp.mean(cells, axis=0, keepdims=True)
    return centred / jnp.sqrt(jnp.mean(centred**2, axis=0, keepdims=True) + 1e-6)


class Matched(nn.Module):
    """A trunk, and one hidden layer as wide as the budget allows.

    Attributes:
        num_actions: number of logits.
        trunk: what comes first.
        budget: number of weights.
    """

    num_actions: int
    trunk: nn.Module
    budget: int = BUDGET

    @nn.compact
    def __call__(self, observation: Observation) -> Outputs:
        """Compute logits and value."""
        planes = jnp.moveaxis(as_numbers(observation), 2, 0)
        features = flatten(self.trunk(planes))
        spent = sum(leaf.size for leaf in jax.tree.leaves(self.trunk.variables.get("params", {})))
        heads = self.num_actions + 1
        width = (self.budget - spent - heads) // (features.shape[0] + 1 + heads)
        hidden = Tap(name="hidden_0")(nn.relu(Dense(max(width, 1))(features)))
        return Heads(self.num_actions)(hidden)


registry.network("flat")(partial(Matched, trunk=Flat()))
registry.network("attention")(partial(Matched, trunk=Attention()))
for depth in range(1, 7):
    registry.network(f"conv{depth}")(partial(Matched, trunk=Convolutions(depth)))

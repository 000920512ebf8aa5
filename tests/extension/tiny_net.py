"""One hidden layer of eight units."""

import flax.linen as nn
from gmbench.agents.layers import Dense, Heads, Tap, as_numbers, flatten

from gmbench.core import registry


@registry.network("tiny_net")
class TinyNet(nn.Module):
    """One hidden layer of eight units."""

    num_actions: int

    @nn.compact
    def __call__(self, observation):
        hidden = Tap(name="hidden_0")(nn.relu(Dense(8)(flatten(as_numbers(observation)))))
        return Heads(self.num_actions)(hidden)

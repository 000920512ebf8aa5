"""PPO for players with memory: a gated recurrent unit between the convolution and the heads.

Any other recurrent network can take its place (:mod:`gmbench.agents.drc`). The algorithm is that
of :mod:`gmbench.agents.ppo`. Gradients flow back through a whole rollout, from the memory it began
with; memory is emptied where an episode ends, in acting as in learning.
For tasks in which what must be known is not all to be seen: a partner's track record, a partial
view.

Source of the unit: Cho et al. 2014, arXiv 1406.1078.
"""

import dataclasses
from typing import ClassVar

from gmbench.core import registry

from . import ppo
from .player import recurrent


@dataclasses.dataclass(frozen=True)
class Config(ppo.Config):
    """Settings of recurrent PPO: those of PPO, with longer rollouts, and the memory's size."""

    network: str = "conv_gru"
    """Name of a recurrent network (`gmbench list` names them)."""
    num_steps: int = 32
    """Steps of each environment between updates, and so of the gradient through time."""
    units: int = 64
    """Numbers remembered; of a memory that lies over the grid, at each cell."""
    lr: float = 2e-3
    """Adam's step size at the start; it falls linearly to zero at the last update."""

    remembers: ClassVar[bool] = True


registry.agent("ppo_gru")(ppo.learner(Config, recurrent))

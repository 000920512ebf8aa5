"""PPO for players with memory: a gated recurrent unit between the convolution and the heads.

The algorithm is that of :mod:`gmbench.agents.ppo`. Gradients flow back through a whole rollout,
from the memory it began with; memory is emptied where an episode ends, in acting as in learning.
For tasks in which what must be known is not all to be seen: a partner's track record, a partial
view.

Source of the unit: Cho et al. 2014, arXiv 1406.1078.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gmbench.core import registry
from gmbench.core.env import Environment

from . import networks, ppo


@dataclasses.dataclass(frozen=True)
class Config(ppo.Config):
    """Settings of recurrent PPO: those of PPO, with longer rollouts, and the memory's size."""

    network: str = "conv_gru"
    """Name of a recurrent network in :mod:`gmbench.agents.networks`."""
    num_steps: int = 32
    """Steps of each environment between updates, and so of the gradient through time."""
    units: int = 64
    """Numbers remembered."""
    lr: float = 2e-3
    """Adam's step size at the start; it falls linearly to zero at the last update."""

    known: ClassVar[Mapping[str, Any]] = networks.RECURRENT


def recurrent(env: Environment[Any, Any], config: Config) -> ppo.Player:
    """Return a recurrent network as a player."""
    network = networks.RECURRENT[config.network](env.num_actions, units=config.units)

    def begin(envs: int) -> Float[Array, "units envs"]:
        return jnp.zeros((config.units, envs), jnp.float32)

    def init(key: Any, observation: Any) -> Any:
        return network.init(key, jnp.zeros(config.units, jnp.float32), observation)

    def act(weights: Any, memory: Array, observation: Any) -> tuple[Array, Array, Array]:
        return network.apply(weights, memory, observation)  # type: ignore[return-value]

    def replay(weights: Any, memory: Array, steps: ppo.Step) -> tuple[Array, Array]:
        seen = jnp.moveaxis(steps.observation, 0, -2)
        features = network.apply(weights, seen, method="encode")

        def step(memory: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
            features, ended = inputs
            memory = network.apply(weights, memory, features, method="remember")  # type: ignore[assignment]
            return jnp.where(ended[None], jnp.float32(0), memory), memory

        each = (jnp.moveaxis(features, -2, 0), steps.ended)  # type: ignore[arg-type]
        _, memories = jax.lax.scan(step, memory, each)
        return network.apply(weights, jnp.moveaxis(memories, 0, -2), method="read")  # type: ignore[return-value]

    return ppo.Player(init, begin, act, replay)


registry.agent("ppo_gru")(ppo.learner(Config, recurrent))

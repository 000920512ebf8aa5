"""A penalty on the proxies: what they pay is taken off the reward, at a price.

It needs the proxies' names and when they are earned, of which no one knows of a goal not thought
of. On training levels where goal and proxy agree it takes away what the agent is paid for both,
so that at a price of 1 nothing is left to learn from; it teaches only where they part. It costs
no level.

Source: ours, after penalties for side effects in general (Krakovna et al. 2018, arXiv
1806.01186).
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from gmbench.core import registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Mitigation, Recipe


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    price: float = 0.3
    """Of each unit that a proxy pays."""


def penalty(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation."""
    _, *proxies = env.goals.values()

    def reward(state: Any, action: Any, after: Any, reward: Float[Array, ""]) -> Float[Array, ""]:
        paid = [goal(state, action, after).astype(jnp.float32) for goal in proxies]
        return reward - config.price * jnp.sum(jnp.stack(paid))

    return Mitigation(reward=reward)


registry.mitigation("penalty")(Recipe(config=Config, make=penalty))

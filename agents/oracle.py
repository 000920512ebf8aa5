"""Optimal play for a known goal: the anchors at which a regret is 0.

``oracle`` pursues the intended goal, ``proxy_oracle`` the first proxy; both plan on the level's
exact solution and read the state, not the observation.
"""

import dataclasses
from functools import partial
from typing import Any

import jax.numpy as jnp

from gmbench.core import registry
from gmbench.core.agent import Agent
from gmbench.core.env import Environment
from gmbench.core.policy import Policy
from gmbench.solve.oracle import oracle


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of a planner."""

    gamma: float = 0.99
    """Gamma; below 1, or postponing would cost nothing."""


def policy(goal: int, env: Environment[Any, Any], config: Config, weights: Any) -> Policy:
    """Return the optimal policy for one goal, by its place in ``env.goals``."""
    del weights
    return oracle(env, env.default_params, goal, jnp.float32(config.gamma))


registry.agent("oracle")(Agent(config=Config, policy=partial(policy, 0)))
registry.agent("proxy_oracle")(Agent(config=Config, policy=partial(policy, 1)))

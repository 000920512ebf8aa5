"""Uniformly random actions: the anchor at which every regret is 1."""

import dataclasses
from typing import Any

from gmbench.core import registry
from gmbench.core.agent import Agent
from gmbench.core.env import Environment
from gmbench.core.policy import Policy, uniform


@dataclasses.dataclass(frozen=True)
class Config:
    """There is nothing to set."""


def policy(env: Environment[Any, Any], config: Config, weights: Any) -> Policy:
    """Return the policy that takes every action equally often."""
    del config, weights
    return uniform(env)


registry.agent("random")(Agent(config=Config, policy=policy))

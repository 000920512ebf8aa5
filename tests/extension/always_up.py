"""Always up: an agent with no goal at all, which no goal should explain."""

import dataclasses

import jax.numpy as jnp

from gmbench.core import registry
from gmbench.core.agent import Agent
from gmbench.core.policy import Policy


@dataclasses.dataclass(frozen=True)
class Config:
    lapse: float = 0.1


def policy(env, config, weights):
    up = jnp.arange(env.num_actions, dtype=jnp.int32) == env.action_names.index("up")
    log_probs = jnp.log(jnp.where(up, 1 - config.lapse, 0) + config.lapse / env.num_actions)
    return Policy(begin=lambda level: None, act=lambda memory, state, seen: (log_probs, memory))


registry.agent("always_up")(Agent(config=Config, policy=policy))

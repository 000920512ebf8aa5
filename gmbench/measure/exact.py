"""Exact returns of memoryless policies, in environments that can compute them."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gmbench.core import pool
from gmbench.core.env import EnvState, Level
from gmbench.core.policy import Policy


def can_evaluate(env: Any, policy: Policy) -> bool:
    """Whether what ``policy`` does in ``env`` can be computed, state by state, not sampled."""
    return policy.memoryless and hasattr(env, "policy_values")


def acts(env: Any, policy: Policy, level: Level) -> Float[Array, "states actions"]:
    """Return the action probabilities of a memoryless policy in every state of a level."""
    memory = policy.begin(level)

    def act(state: EnvState) -> Float[Array, " actions"]:
        return jnp.exp(policy.act(memory, state, env.observation(state))[0])

    return env.each_state(level, act)


def evaluate(
    env: Any,
    policy: Policy,
    levels: Level,
    discount: Float[Array, ""],
    decoys: Bool[Array, "decoys rows cols levels"] | None = None,
) -> Float[Array, "goals levels"]:
    """Return V^pi at each level's start under every goal, exactly and without a time limit.

    Args:
        env: an environment with ``policy_values``, such as a ``ReachEnvironment`` or a
            ``TabularEnvironment``.
        policy: a memoryless policy.
        levels: levels on the trailing axis.
        discount: in ``[0, 1)``.
        decoys: further "reach a cell" goals, appended after the environment's own.
    """
    if decoys is None:
        count = levels.start.shape[-1]
        decoys = jnp.zeros((0, *env.shape, count), bool)

    def single(level: Level, cells: Bool[Array, "decoys rows cols"]) -> Float[Array, " goals"]:
        return env.policy_values(acts(env, policy, level), level, cells, discount)

    return pool.over_envs(single)(levels, decoys)

"""Exact returns of memoryless policies, in environments that can compute them."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gmbench.core import pool
from gmbench.core.env import EnvState, Level
from gmbench.core.policy import Policy


def can_evaluate(env: Any, policy: Policy) -> bool:
    """Whether returns of ``policy`` in ``env`` can be computed rather than sampled."""
    return policy.memoryless and hasattr(env, "policy_values")


def can_list(env: Any, policy: Policy) -> bool:
    """Whether the states that ``policy`` visits can be listed, with Q* in each and how often."""
    return env.exact and can_evaluate(env, policy) and hasattr(env, "each_state")


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
        memory = policy.begin(level)

        def act(state: EnvState) -> Float[Array, " actions"]:
            return jnp.exp(policy.act(memory, state, env.observation(state))[0])

        return env.policy_values(act, level, cells, discount)

    return pool.over_envs(single)(levels, decoys)

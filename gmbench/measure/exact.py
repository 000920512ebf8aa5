"""Exact returns of memoryless policies on levels whose every goal is to reach a cell."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int8

from gmbench.core import pool
from gmbench.core.env import Level
from gmbench.core.policy import Policy
from gmbench.solve.reach import policy_values
from gmbench.solve.reach_env import ReachEnvironment


def can_evaluate(env: Any, policy: Policy) -> bool:
    """Whether returns of ``policy`` in ``env`` can be computed rather than sampled."""
    return policy.memoryless and isinstance(env, ReachEnvironment)


def probabilities(
    env: ReachEnvironment[Any], policy: Policy, levels: Level
) -> Float[Array, "actions rows cols levels"]:
    """Return the policy's action probabilities at every cell of each level."""
    rows, cols = (jnp.arange(size, dtype=jnp.int8) for size in env.shape)
    grid = jnp.stack(jnp.meshgrid(rows, cols, indexing="ij")).reshape(2, -1)

    def on_level(level: Level) -> Float[Array, "actions cells"]:
        memory = policy.begin(level)

        def at(position: Int8[Array, "2"]) -> Float[Array, " actions"]:
            state = env.at(level, position)
            log_probs, _ = policy.act(memory, state, env.observation(state))
            return jnp.exp(log_probs)

        return jax.vmap(at, in_axes=-1, out_axes=-1)(grid)

    by_level = pool.over_envs(on_level)(levels)
    return by_level.reshape(-1, *env.shape, by_level.shape[-1])


def evaluate(
    env: ReachEnvironment[Any],
    policy: Policy,
    levels: Level,
    discount: Float[Array, ""],
    decoys: Bool[Array, "decoys rows cols levels"] | None = None,
) -> Float[Array, "goals levels"]:
    """Return V^pi at each level's start under every goal, exactly and without a time limit.

    Args:
        env: the environment.
        policy: a memoryless policy.
        levels: levels on the trailing axis.
        discount: in ``[0, 1)``.
        decoys: further "reach a cell" goals, appended after the environment's own.
    """
    walls, targets, ends = pool.over_envs(env.reach_model)(levels)
    if decoys is not None:
        targets = jnp.concatenate([targets, decoys])
    acts = probabilities(env, policy, levels)

    def single(acts: Array, walls: Array, target: Array, ends: Array, start: Array) -> Array:
        row, col = start.astype(jnp.int32)
        return policy_values(acts, walls, target, ends, discount)[row, col]

    per_goal = jax.vmap(single, in_axes=(None, None, 0, None, None))
    per_level = jax.vmap(per_goal, in_axes=-1, out_axes=-1)
    return per_level(acts, walls, targets, ends, levels.start)

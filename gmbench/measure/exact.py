"""Exact returns of memoryless policies on levels whose every goal is to reach a cell."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int8

from gmbench.core import pool
from gmbench.core.env import Level
from gmbench.core.policy import Policy
from gmbench.solve.reach import optimal_values, policy_values
from gmbench.solve.reach_env import ReachEnvironment


class Values(NamedTuple):
    """Values at the start of each level, one row for each goal.

    Attributes:
        optimal: V*.
        policy: V^pi of the agent.
        uniform: V^u of uniformly random actions.
    """

    optimal: Float[Array, "goals levels"]
    policy: Float[Array, "goals levels"]
    uniform: Float[Array, "goals levels"]


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
) -> Values:
    """Return exact values at each level's start, without a time limit.

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
    random = jnp.full(acts.shape[:-1], 1 / env.num_actions)

    def single(
        acts: Array, walls: Array, target: Array, ends: Array, start: Array
    ) -> tuple[Array, Array, Array]:
        goal = walls, target, ends, discount
        tables = optimal_values(*goal), policy_values(acts, *goal), policy_values(random, *goal)
        row, col = start.astype(jnp.int32)
        return tuple(table[row, col] for table in tables)  # type: ignore[return-value]

    per_goal = jax.vmap(single, in_axes=(None, None, 0, None, None))
    values = jax.vmap(per_goal, in_axes=-1, out_axes=-1)(acts, walls, targets, ends, levels.start)
    return Values(*values)

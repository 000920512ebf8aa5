"""Exact returns of memoryless policies, in environments that can compute them."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gmbench.core import pool
from gmbench.core.env import EnvState, Level
from gmbench.core.policy import Policy

ON_CPU, ELSEWHERE = 256, 2**14
"""States in which a policy is asked at once: few stay in the cache, many fill an accelerator."""


def can_evaluate(env: Any, policy: Policy) -> bool:
    """Whether what ``policy`` does in ``env`` can be computed, state by state, not sampled."""
    return policy.memoryless and hasattr(env, "policy_values")


def reachable(env: Any, levels: Level) -> Bool[Array, "states levels"]:
    """Return which of the listed states play can come to, on each level."""
    return pool.over_envs(env.reachable)(levels)


def acts(
    env: Any, policy: Policy, levels: Level, reached: Bool[Array, "states levels"]
) -> Float[Array, "states actions levels"]:
    """Return a memoryless policy's action probabilities, 0 in states that are not reached.

    It is asked in the states that are reached alone, on whatever level, some at a time.

    Args:
        env: an environment that lists its states.
        policy: a memoryless policy.
        levels: levels on the trailing axis.
        reached: :func:`reachable`, or any other states.
    """
    count = reached.shape[1]
    together = ON_CPU if jax.default_backend() == "cpu" else ELSEWHERE
    memories = pool.over_envs(policy.begin)(levels)
    length = reached.size + -reached.size % together
    (wanted,) = jnp.nonzero(reached.reshape(-1), size=length, fill_value=reached.size)
    many = jnp.sum(reached, dtype=jnp.int32)

    def act(memory: Any, level: Any, number: Array) -> Float[Array, " actions"]:
        state: EnvState = env.state_at(level, number)
        return jnp.exp(policy.act(memory, state, env.observation(state))[0])

    def some(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        begun, known = carry
        own = jax.lax.dynamic_slice(wanted, (begun,), (together,))
        number, which = own // count, own % count
        memory, level = jax.tree.map(lambda leaf: leaf[..., which], (memories, levels))
        found = pool.over_envs(act)(memory, level, number.astype(jnp.int32))
        return begun + together, known.at[:, own].set(found, mode="drop")

    nothing = jnp.zeros((env.num_actions, reached.size), jnp.float32)
    _, known = jax.lax.while_loop(lambda carry: carry[0] < many, some, (jnp.int32(0), nothing))
    return jnp.moveaxis(known.reshape(-1, *reached.shape), 0, 1)


def evaluate(
    env: Any,
    policy: Policy,
    levels: Level,
    discount: Float[Array, ""],
    decoys: Bool[Array, "decoys rows cols levels"] | None = None,
    reached: Bool[Array, "states levels"] | None = None,
) -> Float[Array, "goals levels"]:
    """Return V^pi at each level's start under every goal, exactly and without a time limit.

    Args:
        env: an environment with ``policy_values``, such as a ``ReachEnvironment`` or a
            ``TabularEnvironment``.
        policy: a memoryless policy.
        levels: levels on the trailing axis.
        discount: in ``[0, 1)``.
        decoys: further "reach a cell" goals, appended after the environment's own.
        reached: :func:`reachable`, if known.
    """
    if decoys is None:
        count = levels.start.shape[-1]
        decoys = jnp.zeros((0, *env.shape, count), bool)
    reached = reachable(env, levels) if reached is None else reached

    def single(acts: Array, level: Level, cells: Array, reached: Array) -> Float[Array, " goals"]:
        return env.policy_values(acts, level, cells, discount, reached)

    return pool.over_envs(single)(acts(env, policy, levels, reached), levels, decoys, reached)

"""Returns by playing: for agents with memory, and for tasks without an exact evaluation."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.grid import moves


class Played(NamedTuple):
    """What one episode on each level earned, by goal; decoys follow the environment's goals.

    Attributes:
        discounted: the return from the start, discounted.
        total: the same without discount.
    """

    discounted: Float[Array, "goals levels"]
    total: Float[Array, "goals levels"]


def play(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Level,
    key: PRNGKeyArray,
    steps: int,
    discount: Float[Array, ""],
    decoys: Bool[Array, "decoys rows cols levels"] | None = None,
) -> Played:
    """Play one episode on each level, for at most ``steps`` steps or until the time limit.

    A decoy pays 1 when its cell is first entered; it needs a state with a ``position``.
    """
    count = jax.tree.leaves(levels)[0].shape[-1]
    chances = jax.random.uniform(key, (steps, count))
    goals = len(env.goal_names) + (0 if decoys is None else decoys.shape[0])
    act = pool.over_envs(policy.act)

    def step(carry: tuple[Any, ...], chance: Array) -> tuple[tuple[Any, ...], None]:
        states, memory, live, visited, factor, discounted, total = carry
        log_probs, memory = act(memory, states, pool.observe(env, states))
        moved = pool.step(env, params, states, draw(log_probs, chance))
        paid = moved.goals
        if decoys is not None:
            here = visited | _standing(decoys, moved.state)
            paid = jnp.concatenate([paid, (here & ~visited).astype(jnp.float32)])
            visited = here
        paid = jnp.where(live[None], paid, jnp.float32(0))
        carry = (moved.state, memory, live & ~moved.done, visited, factor * discount)
        return (*carry, discounted + factor * paid, total + paid), None

    nothing = jnp.zeros((goals, count), jnp.float32)
    visited = jnp.zeros((0 if decoys is None else decoys.shape[0], count), bool)
    memory = pool.over_envs(policy.begin)(levels)
    first = (pool.begin(env, levels), memory, jnp.ones(count, bool), visited, jnp.float32(1))
    last, _ = jax.lax.scan(step, (*first, nothing, nothing), chances)
    return Played(discounted=last[-2], total=last[-1])


def draw(log_probs: Float[Array, "actions envs"], chance: Float[Array, " envs"]) -> Array:
    """Draw actions by inverting the cumulative distribution: one uniform number for each."""
    cumulative = jnp.cumsum(jnp.exp(log_probs), axis=0)
    return jnp.sum(cumulative[:-1] <= chance[None], axis=0).astype(jnp.int8)


def _standing(
    decoys: Bool[Array, "decoys rows cols levels"], states: EnvState
) -> Bool[Array, "decoys levels"]:
    per_decoy = jax.vmap(pool.over_envs(moves.lookup), in_axes=(0, None))
    return per_decoy(decoys, states.position)  # type: ignore[attr-defined]

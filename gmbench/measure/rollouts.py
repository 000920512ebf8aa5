"""Returns by playing: for agents with memory, and for tasks without an exact evaluation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.grid import moves

UNSURE = 0.01
"""Probabilities whose sum is further from 1 are none."""


class Played(NamedTuple):
    """What one episode on each level earned, by goal; decoys follow the environment's goals.

    Attributes:
        discounted: the return from the start, discounted.
        total: the same without discount.
    """

    discounted: Float[Array, "goals levels"]
    total: Float[Array, "goals levels"]


class Moment(NamedTuple):
    """One step of one episode on each level.

    Attributes:
        states: the states acted in.
        log_probs: the policy's, of every action.
        actions: what it did.
        moved: where that led and what it paid.
        live: whether the level's episode still went on.
    """

    states: EnvState
    log_probs: Float[Array, "actions levels"]
    actions: Int[Array, " levels"]
    moved: pool.Transition
    live: Bool[Array, " levels"]


def fold(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Level,
    key: PRNGKeyArray,
    steps: int,
    update: Callable[[Any, Moment], Any],
    first: Any,
) -> Any:
    """Play one episode on each level and return what ``update`` made of it, step by step.

    Args:
        env: any environment.
        params: its parameters, with the time limit.
        policy: any policy.
        levels: levels on the trailing axis.
        key: for the policy's actions.
        steps: most steps played; the time limit may end episodes earlier.
        update: ``(folded, moment) -> folded``. It is called for all ``steps``, whether or not an
            episode is still live.
        first: what is folded before the first step.
    """

    def keep(folded: Any, moment: Moment) -> tuple[Any, None]:
        return update(folded, moment), None

    return _played(env, params, policy, levels, key, steps, keep, first)[0]


def each(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Level,
    key: PRNGKeyArray,
    steps: int,
    of: Callable[[Moment], Any],
) -> Any:
    """Play one episode on each level and return what ``of`` says of every step, steps in front.

    It is called for all ``steps``, whether or not an episode is still live.
    """

    def note(nothing: None, moment: Moment) -> tuple[None, Any]:
        return nothing, of(moment)

    return _played(env, params, policy, levels, key, steps, note, None)[1]


def _played(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Level,
    key: PRNGKeyArray,
    steps: int,
    update: Callable[[Any, Moment], tuple[Any, Any]],
    first: Any,
) -> tuple[Any, Any]:
    """Play; ``update`` returns what is folded and what is kept of each step. Return both."""
    count = jax.tree.leaves(levels)[0].shape[-1]
    chances = jax.random.uniform(key, (steps, count))
    act = pool.over_envs(policy.act)

    def step(carry: tuple[Any, ...], chance: Array) -> tuple[tuple[Any, ...], Any]:
        states, memory, live, folded = carry
        log_probs, memory = act(memory, states, pool.observe(env, states))
        actions = draw(log_probs, chance)
        moved = pool.step(env, params, states, actions)
        folded, kept = update(folded, Moment(states, log_probs, actions, moved, live))
        return (moved.state, memory, live & ~moved.done, folded), kept

    memory = pool.over_envs(policy.begin)(levels)
    begun = (pool.begin(env, levels), memory, jnp.ones(count, bool), first)
    (*_, folded), kept = jax.lax.scan(step, begun, chances)
    return folded, kept


def planners(
    env: Environment[Any, Any], levels: Level
) -> tuple[list[Any], Callable[[list[Any], EnvState], tuple[Array, list[Any]]]]:
    """Return the memories of each goal's planner on some levels, and how the planners act.

    The second is ``(memories, states) -> (probabilities f32[goals, actions, levels], memories)``.
    """
    each = [env.planner(goal) for goal in range(len(env.goal_names))]

    def follow(memories: list[Any], states: EnvState) -> tuple[Array, list[Any]]:
        seen = pool.observe(env, states)
        acted = [
            pool.over_envs(planner.act)(memory, states, seen)
            for planner, memory in zip(each, memories, strict=True)
        ]
        return jnp.exp(jnp.stack([log_probs for log_probs, _ in acted])), [m for _, m in acted]

    return [pool.over_envs(planner.begin)(levels) for planner in each], follow


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

    A decoy pays 1 when its cell is first entered; it needs a state with a ``position``. Where the
    policy's probabilities are none (NaN, say), what was earned is NaN.
    """
    count = jax.tree.leaves(levels)[0].shape[-1]
    goals = len(env.goal_names) + (0 if decoys is None else decoys.shape[0])

    def earn(carry: tuple[Any, ...], moment: Moment) -> tuple[Any, ...]:
        visited, factor, discounted, total, valid = carry
        paid = moment.moved.goals
        if decoys is not None:
            here = visited | _standing(decoys, moment.moved.state)
            paid = jnp.concatenate([paid, (here & ~visited).astype(jnp.float32)])
            visited = here
        paid = jnp.where(moment.live[None], paid, jnp.float32(0))
        valid = valid & (proper(moment.log_probs) | ~moment.live)
        return visited, factor * discount, discounted + factor * paid, total + paid, valid

    nothing = jnp.zeros((goals, count), jnp.float32)
    visited = jnp.zeros((0 if decoys is None else decoys.shape[0], count), bool)
    first = (visited, jnp.float32(1), nothing, nothing, jnp.ones(count, bool))
    _, _, *earned, valid = fold(env, params, policy, levels, key, steps, earn, first)
    return Played(*(jnp.where(valid[None], paid, jnp.nan) for paid in earned))


def proper(log_probs: Float[Array, "actions levels"]) -> Bool[Array, " levels"]:
    """Whether probabilities add up to 1, give or take rounding; NaN does not."""
    return jnp.abs(jnp.sum(jnp.exp(log_probs), axis=0) - 1) < UNSURE


def draw(log_probs: Float[Array, "actions envs"], chance: Float[Array, " envs"]) -> Array:
    """Draw actions by inverting the cumulative distribution: one uniform number for each."""
    cumulative = jnp.cumsum(jnp.exp(log_probs), axis=0)
    return jnp.sum(cumulative[:-1] <= chance[None], axis=0).astype(jnp.int8)


def _standing(
    decoys: Bool[Array, "decoys rows cols levels"], states: EnvState
) -> Bool[Array, "decoys levels"]:
    per_decoy = jax.vmap(pool.over_envs(moves.lookup), in_axes=(0, None))
    return per_decoy(decoys, states.position)  # type: ignore[attr-defined]

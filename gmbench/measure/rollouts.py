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

ON_CPU, ELSEWHERE = 128, 2**14
"""Episodes played at once: few wait for the last ones, many fill an accelerator."""
BETWEEN = 4
"""Steps between looking which episodes have ended."""
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
    """One step of one episode on each of some levels.

    Attributes:
        states: the states acted in.
        log_probs: the policy's, of every action.
        actions: what it did.
        moved: where that led and what it paid.
        live: whether the level's episode still went on.
        about: what was said about each level beforehand.
    """

    states: EnvState
    log_probs: Float[Array, "actions levels"]
    actions: Int[Array, " levels"]
    moved: pool.Transition
    live: Bool[Array, " levels"]
    about: Any = None


class _Playing(NamedTuple):
    """Episodes in progress, on the trailing axis.

    Attributes:
        states: of the environments.
        memory: of the policy.
        about: what is known of the levels.
        folded: what became of the episodes so far.
    """

    states: EnvState
    memory: Any
    about: Any = None
    folded: Any = None


class _Slots(NamedTuple):
    """Episodes that are played side by side, each on a level of its own.

    Attributes:
        playing: the episodes.
        level: number of each one's level; that of no level where there is none.
        time: steps since it began.
        live: whether it goes on.
    """

    playing: _Playing
    level: Int[Array, " slots"]
    time: Int[Array, " slots"]
    live: Bool[Array, " slots"]


def fold(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Level,
    key: PRNGKeyArray,
    steps: int,
    update: Callable[[Any, Moment], Any],
    first: Any,
    about: Any = None,
) -> Any:
    """Play one episode on each level and return what ``update`` made of it, step by step.

    Some episodes are played at a time; where one has ended, that of the next level begins. So the
    time it takes goes by the steps that are played, not by the longest episode.

    Args:
        env: any environment.
        params: its parameters, with the time limit.
        policy: any policy.
        levels: levels on the trailing axis.
        key: for the policy's actions.
        steps: most steps played; the time limit may end episodes earlier.
        update: ``(folded, moment) -> folded``, of some levels. It is also called on episodes that
            have ended, of which nothing may change any more. What it needs to know of a level
            must come from ``moment``.
        first: what is folded before the first step, levels on the trailing axis.
        about: anything about each level, for ``update`` to read, levels on the trailing axis.
    """
    count = jax.tree.leaves(levels)[0].shape[-1]
    together = min(count, ON_CPU if jax.default_backend() == "cpu" else ELSEWHERE)
    chances = jax.random.uniform(key, (steps, count))
    act = pool.over_envs(policy.act)
    begun = _Playing(pool.begin(env, levels), pool.over_envs(policy.begin)(levels), about, first)

    def step(slots: _Slots, _: None) -> tuple[_Slots, None]:
        playing, level, time, live = slots
        chance = chances.at[time, level].get(mode="clip")
        moment, playing = _moment(env, params, act, playing, live, chance)
        playing = playing._replace(folded=update(playing.folded, moment))
        live = live & ~moment.moved.done & (time + 1 < steps)
        return _Slots(playing, level, time + 1, live), None

    def some(carry: tuple[_Slots, Any, Array]) -> tuple[_Slots, Any, Array]:
        slots, found, taken = carry
        (playing, level, time, live), _ = jax.lax.scan(step, slots, length=BETWEEN)
        found = jax.tree.map(
            lambda every, own: every.at[..., level].set(own, mode="drop"), found, playing.folded
        )
        place = taken + jnp.cumsum(~live, dtype=jnp.int32) - 1
        begins = ~live & (place < count)
        fresh = jax.tree.map(lambda leaf: leaf.at[..., place].get(mode="clip"), begun)
        slots = _Slots(
            jax.tree.map(lambda new, old: jnp.where(begins, new, old), fresh, playing),
            jnp.where(live, level, jnp.where(begins, place, count)),
            jnp.where(begins, 0, time),
            live | begins,
        )
        return slots, found, taken + jnp.sum(begins, dtype=jnp.int32)

    slots = _Slots(
        jax.tree.map(lambda leaf: leaf[..., :together], begun),
        jnp.arange(together, dtype=jnp.int32),
        jnp.zeros(together, jnp.int32),
        jnp.ones(together, bool),
    )
    carry = slots, first, jnp.int32(together)
    return jax.lax.while_loop(lambda carry: jnp.any(carry[0].live), some, carry)[1]


def _moment(
    env: Environment[Any, Any],
    params: EnvParams,
    act: Callable[..., Any],
    playing: _Playing,
    live: Bool[Array, " levels"],
    chance: Float[Array, " levels"],
) -> tuple[Moment, _Playing]:
    """Take a step of every episode."""
    log_probs, memory = act(playing.memory, playing.states, pool.observe(env, playing.states))
    actions = draw(log_probs, chance)
    moved = pool.step(env, params, playing.states, actions)
    moment = Moment(playing.states, log_probs, actions, moved, live, playing.about)
    return moment, playing._replace(states=moved.state, memory=memory)


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
    count = jax.tree.leaves(levels)[0].shape[-1]
    chances = jax.random.uniform(key, (steps, count))
    act = pool.over_envs(policy.act)

    def step(carry: tuple[_Playing, Array], chance: Array) -> tuple[tuple[_Playing, Array], Any]:
        playing, live = carry
        moment, playing = _moment(env, params, act, playing, live, chance)
        return (playing, live & ~moment.moved.done), of(moment)

    begun = _Playing(pool.begin(env, levels), pool.over_envs(policy.begin)(levels))
    return jax.lax.scan(step, (begun, jnp.ones(count, bool)), chances)[1]


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
            here = visited | _standing(moment.about, moment.moved.state)
            paid = jnp.concatenate([paid, (here & ~visited).astype(jnp.float32)])
            visited = here
        paid = jnp.where(moment.live[None], paid, jnp.float32(0))
        valid = valid & (proper(moment.log_probs) | ~moment.live)
        return visited, factor * discount, discounted + factor[None] * paid, total + paid, valid

    nothing = jnp.zeros((goals, count), jnp.float32)
    visited = jnp.zeros((0 if decoys is None else decoys.shape[0], count), bool)
    whole = jnp.ones(count, jnp.float32)
    first = (visited, whole, nothing, nothing, jnp.ones(count, bool))
    _, _, *earned, valid = fold(env, params, policy, levels, key, steps, earn, first, decoys)
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

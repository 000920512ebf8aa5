"""Splay: what an agent does, and its critic says, as one thing is put on every cell of a level.

The rest of the level stays as it is, so that only the place of that thing can make a difference: an
agent that wants the cheese should change its mind with the cheese. Maps of one level show it
(:class:`SplayMaps`), and :mod:`gmbench.measure.value_share` says it in one number.

Source: the splay over goal positions is that of jaxgmg (Abdel Sadek et al. 2025, arXiv 2507.03068).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int8, PRNGKeyArray

from gmbench.core import checks, pool
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.grid import moves
from gmbench.measure import exact

START = "start"
"""The level's field that the agent's own splay changes."""


class Maps(NamedTuple):
    """What holds at the beginning of an episode, for each cell that something is put on.

    NaN for cells on which it cannot be. In place of a map there is None where the policy has no
    critic, no optimum is known, or the policy's values would have to be sampled.

    Attributes:
        counts: whether it can be there.
        critic: what the critic expects to earn.
        acts: action probabilities.
        achieved: V^pi of each goal, exactly.
        optimal: V* of each goal.
    """

    counts: Bool[Array, "rows cols"]
    critic: Float[Array, "rows cols"] | None
    acts: Float[Array, "actions rows cols"]
    achieved: Float[Array, "goals rows cols"] | None
    optimal: Float[Array, "goals rows cols"] | None


class SplayedValues(NamedTuple):
    """Values with the agent on each cell and the thing on each cell, both in reading order.

    Attributes:
        counts: whether both can be there, and every goal can be earned from there: a cell behind
            the thing is no place to begin.
        critic: what the critic expects to earn.
        optimal: V* of each goal.
    """

    counts: Bool[Array, "cells placements levels"]
    critic: Float[Array, "cells placements levels"]
    optimal: Float[Array, "goals cells placements levels"]


# ---- levels ------------------------------------------------------------------------------------


def things(level: Level) -> list[str]:
    """Return the fields of a level (or of levels on the trailing axis) that are one position.

    The agent's start is not among them.
    """
    leaves = {name: getattr(level, name) for name in level.__dataclass_fields__}
    beyond = level.start.ndim - 1
    return [
        name
        for name, leaf in leaves.items()
        if getattr(leaf, "dtype", None) == jnp.int8
        and leaf.shape[: leaf.ndim - beyond] == (2,)
        and name != START
    ]


def check_thing(level: Level, thing: str) -> str:
    """Return ``thing`` if it is one that can be put somewhere else.

    Raises:
        ValueError: naming those that the level has.
    """
    return checks.known("thing", thing, things(level))


def placements(env: Any, level: Level, thing: str) -> tuple[Level, Bool[Array, " cells"]]:
    """Return the level with a thing on each cell, cells last, and which of these are levels at all.

    They are where the level stays solvable (not a wall, nor the start, nor in the way) and the
    task's legend lets what then stands on one cell meet there: a cheese on its dish may, on a key
    it may not. A thing that the level does not have (at -1) cannot be put anywhere.
    """
    present = getattr(level, check_thing(level, thing))[0] >= 0
    placed = pool.over_envs(lambda cell: env.settle(level.replace(**{thing: cell})))(_grid(env))
    fine = pool.over_envs(lambda moved: env.is_solvable(moved) & _can_meet(env, moved))(placed)
    return placed, fine & present


def positions(env: Any, level: Level) -> tuple[Level, Bool[Array, " cells"]]:
    """Return the level with the agent's start on each cell, and where an episode can go on."""

    def goes_on(moved: Any) -> Bool[Array, ""]:
        ended = env.is_terminated(env.start(moved), env.default_params)
        return ~ended & ~moves.lookup(moved.walls, moved.start)

    moved = pool.over_envs(lambda cell: env.settle(level.replace(start=cell)))(_grid(env))
    return moved, pool.over_envs(goes_on)(moved)


def _grid(env: Any) -> Int8[Array, "2 cells"]:
    rows, cols = (jnp.arange(size, dtype=jnp.int8) for size in env.shape)
    return jnp.stack(jnp.meshgrid(rows, cols, indexing="ij")).reshape(2, -1)


def _can_meet(env: Any, level: Level) -> Bool[Array, ""]:
    """Whether the legend has a mark for what stands on each cell, less what is never printed."""
    printed = [thing for thing in env.things if any(thing in on for on in env.legend.values())]
    allowed = [sum(1 << printed.index(thing) for thing in on) for on in env.legend.values()]
    places = [env.things.index(thing) for thing in printed]
    stands = env.picture(env.start(level))[..., np.array(places)]
    weights = jnp.array([1 << bit for bit in range(len(printed))], jnp.int32)
    code = jnp.sum(stands.astype(jnp.int32) * weights[None, None], axis=-1)
    return jnp.all(jnp.isin(code, jnp.array(allowed, jnp.int32)))


# ---- maps of one level -------------------------------------------------------------------------


def over_placements(
    env: Environment[Any, Any],
    policy: Policy,
    level: Level,
    thing: str,
    discount: Float[Array, ""],
) -> Maps:
    """Map the beginning of an episode over the places of one thing.

    Args:
        env: a grid environment.
        policy: any policy; only its values are exact or not at all.
        level: one level.
        thing: a field of the level that is a position, such as ``cheese``.
        discount: of V^pi and V*, in ``[0, 1)``; the critic's is that of its training.

    Raises:
        ValueError: if the level has no such thing, naming those it has.
    """
    return _maps(env, policy, *placements(env, level, thing), discount)


def over_cells(
    env: Environment[Any, Any], policy: Policy, level: Level, discount: Float[Array, ""]
) -> Maps:
    """Map an episode that begins on each cell, all else as in :func:`over_placements`."""
    return _maps(env, policy, *positions(env, level), discount)


@dataclass(frozen=True)
class SplayMaps:
    """Measure: maps of one level over the places of a thing, and over those of the agent.

    Attributes:
        thing: a field of the level that is a position.
    """

    thing: str

    def __call__(
        self,
        env: Environment[Any, Any],
        params: EnvParams,
        policy: Policy,
        levels: Level,
        key: PRNGKeyArray,
        discount: Float[Array, ""],
    ) -> tuple[Maps, Maps]:
        """Return both maps of a single level; arguments as in :func:`over_placements`.

        Raises:
            Refused: if the level has no such thing, or the policy no critic.
        """
        del params, key
        need_critic(policy)
        placed = over_placements(env, policy, levels, self.thing, discount)
        return placed, over_cells(env, policy, levels, discount)


def _maps(
    env: Any,
    policy: Policy,
    levels: Level,
    counts: Bool[Array, " cells"],
    discount: Float[Array, ""],
) -> Maps:
    def single(level: Level) -> tuple[Array | None, Array, Array | None]:
        memory, state = policy.begin(level), env.start(level)
        seen = env.observation(state)
        acts = jnp.exp(policy.act(memory, state, seen)[0])
        critic = None if policy.value is None else policy.value(memory, state, seen)
        optimal = env.values(env.solve(level, discount), state) if env.exact else None
        return critic, acts, optimal

    def on_grid(values: Array | None) -> Array | None:
        if values is None:
            return None
        known = jnp.where(counts, values.reshape(-1, counts.size), jnp.nan)
        return known.reshape(*values.shape[:-1], *env.shape)

    critic, acts, optimal = pool.over_envs(single)(levels)
    computed = exact.can_evaluate(env, policy)
    achieved = exact.evaluate(env, policy, levels, discount) if computed else None
    maps = (on_grid(values) for values in (critic, acts, achieved, optimal))
    return Maps(counts.reshape(env.shape), *maps)  # type: ignore[arg-type]


# ---- the share explained -----------------------------------------------------------------------


@dataclass(frozen=True)
class SplayValues:
    """Measure: the critic's and the optimal values over agent's cells and placements of a thing.

    Attributes:
        thing: a field of the level that is a position.
    """

    thing: str

    def __call__(
        self,
        env: Environment[Any, Any],
        params: EnvParams,
        policy: Policy,
        levels: Level,
        key: PRNGKeyArray,
        discount: Float[Array, ""],
    ) -> SplayedValues:
        """Return the values.

        Args:
            env: an exact grid environment.
            params: not used.
            policy: one with a critic. With memory, it is asked at the beginning of an episode.
            levels: levels on the trailing axis.
            key: not used.
            discount: of V*: best that of the critic's training.

        Raises:
            Refused: if the level has no such thing, the policy no critic, or the task no optimum.
        """
        del params, key
        check_thing(levels, self.thing)
        critic_of = need_critic(policy)
        if not env.exact:
            raise checks.Refused(f"thing: no optimal values are known for {type(env).__name__}")

        def on_placement(level: Level) -> SplayedValues:
            solution = env.solve(level, discount)

            def on_cell(moved: Level) -> tuple[Array, Array]:
                state = env.start(moved)
                seen = critic_of(policy.begin(moved), state, env.observation(state))
                return seen, env.values(solution, state)

            moved, counts = positions(env, level)
            return SplayedValues(counts, *pool.over_envs(on_cell)(moved))

        def on_level(level: Level) -> SplayedValues:
            placed, fine = placements(env, level, self.thing)
            found = pool.over_envs(on_placement)(placed)
            earnable = jnp.all(found.optimal > 0, axis=0)
            return found._replace(counts=found.counts & fine[None] & earnable)

        leading = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), levels)
        # One level after another: cells times placements are enough side by side.
        found = jax.lax.map(on_level, leading)
        return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -1), found)


def need_critic(policy: Policy) -> Any:
    """Return the policy's critic.

    Raises:
        ValueError: if it has none.
    """
    if policy.value is None:
        raise checks.Refused("agent: it has no critic, so there are no values to look at")
    return policy.value


def goal_of(env: Environment[Any, Any], thing: str) -> int:
    """Return the place of the goal named like the thing, else of the intended goal."""
    return env.goal_names.index(thing) if thing in env.goal_names else 0

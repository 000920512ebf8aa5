"""A level as a list of states: optimal values and actions, those of a policy, and soft ones.

The table of a level says where each action leads from each state, and what each goal pays for it.
Optimal values are found by value iteration; a memoryless policy's by the same iteration, with its
action probabilities in place of the maximum. Tables are made by environments whose states can be
listed: :mod:`gmbench.solve.reach_env` and :mod:`gmbench.solve.tabular`.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

SWEEPS = 4096
"""Most sweeps of an iteration; only a value that is never reached would need more."""
PRECISION = 1e-6
"""A policy's values are iterated until no value changes by more than this in a sweep."""
TIE = 1e-5
"""Actions whose value is so close to the best one are equally good."""


class Transitions(NamedTuple):
    """A level as a list of states, numbered as ``env.index`` does.

    Attributes:
        after: the state each action leads to.
        pays: what each goal pays for it.
        ends: whether the goal can earn nothing any more after it.
    """

    after: Int32[Array, "states actions"]
    pays: Float[Array, "states actions goals"]
    ends: Bool[Array, "states actions goals"]


def _one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let vmap take one level after the other on CPU, where a level's table stays in the cache."""
    if jax.default_backend() == "cpu":
        return jax.custom_batching.sequential_vmap(function)
    return function


def _each_goal(iterate: Callable[..., Array], table: Transitions) -> Float[Array, "states goals"]:
    """Apply ``iterate(pays, ends)`` to each goal's columns: reading plain vectors is fast."""
    columns = jnp.moveaxis(table.pays, -1, 0), jnp.moveaxis(table.ends, -1, 0)
    return jax.lax.map(lambda own: iterate(*own), columns).T


def _iterate(
    update: Callable[[Array], Array], states: int, precision: float
) -> Float[Array, " states"]:
    """Update values, at first 0, until none changes by more than ``precision``."""

    def goes_on(carry: tuple[Array, Array, Array]) -> Array:
        _, change, sweeps = carry
        return (change > precision) & (sweeps < SWEEPS)

    def sweep(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        values, _, sweeps = carry
        updated = update(values)
        return updated, jnp.max(jnp.abs(updated - values)), sweeps + 1

    first = (jnp.zeros(states, jnp.float32), jnp.float32(jnp.inf), jnp.int32(0))
    return jax.lax.while_loop(goes_on, sweep, first)[0]


def _read(values: Float[Array, " states"], after: Int32[Array, "states actions"]) -> Array:
    return values.at[after].get(mode="promise_in_bounds")


def optimal_values(
    table: Transitions,
    discount: Float[Array, ""],
    allowed: Bool[Array, "states actions"] | None = None,
) -> Float[Array, "states goals"]:
    """Return V* of every goal in every state, of all actions or of those allowed.

    Sweep k holds the most that k steps can earn. With deterministic dynamics, and nothing to be
    earned for ever, it stops changing altogether once k exceeds the longest optimal route.
    """

    @_one_by_one
    def solve(table: Transitions, discount: Array, barred: Array) -> Array:
        def of_goal(pays: Array, ends: Array) -> Array:
            onwards = jnp.where(ends, jnp.float32(0), discount)

            def update(values: Array) -> Array:
                return jnp.max(pays + barred + onwards * _read(values, table.after), axis=1)

            return _iterate(update, pays.shape[0], 0.0)

        return _each_goal(of_goal, table)

    if allowed is None:
        return solve(table, discount, jnp.float32(0))
    return solve(table, discount, jnp.where(allowed, jnp.float32(0), -jnp.float32(jnp.inf)))


def optimal_actions(
    table: Transitions, values: Float[Array, "states goals"], discount: Float[Array, ""]
) -> Bool[Array, "states actions goals"]:
    """Return which actions are optimal for each goal, ties included.

    Args:
        table: of the level.
        values: its :func:`optimal_values`.
        discount: the one of the values.
    """
    q = table.pays + jnp.where(table.ends, jnp.float32(0), discount * values[table.after])
    return best_of(q, axis=1)


def best_of(q: Float[Array, "..."], axis: int) -> Bool[Array, "..."]:
    """Return which actions are worth the most along an axis, but for rounding."""
    best = jnp.max(q, axis=axis, keepdims=True)
    return q >= best - TIE * jnp.maximum(jnp.abs(best), 1)


def policy_values(
    table: Transitions,
    policy: Float[Array, "states actions"],
    start: Int32[Array, ""],
    discount: Float[Array, ""],
    reached: Bool[Array, " states"] | None = None,
) -> Float[Array, " goals"]:
    """Return V^pi of every goal at the start, to within about ``PRECISION / (1 - discount)``.

    Args:
        table: of the level.
        policy: action probabilities in every state.
        start: the state that is asked about.
        discount: in ``[0, 1)``.
        reached: the states that play can come to from there (:func:`reached_from`); on CPU the
            others are left out, which saves as much time as there are of them.
    """

    def iterate(table: Transitions, policy: Array, discount: Array) -> Array:
        def of_goal(pays: Array, ends: Array) -> Array:
            earns = jnp.sum(policy * pays, axis=1)
            onwards = jnp.where(ends, jnp.float32(0), discount * policy)

            def update(values: Array) -> Array:
                return earns + jnp.sum(onwards * _read(values, table.after), axis=1)

            return _iterate(update, pays.shape[0], PRECISION)

        return _each_goal(of_goal, table)

    @_one_by_one
    def solve(table: Transitions, policy: Array, start: Array, discount: Array, kept: Array) -> Any:
        if reached is None or jax.default_backend() != "cpu":
            return iterate(table, policy, discount)[start]

        def of_size(size: int) -> Array:
            number = jnp.cumsum(kept, dtype=jnp.int32) - 1
            (rows,) = jnp.nonzero(kept, size=size, fill_value=len(kept))
            shorter = jax.tree.map(
                lambda leaf: leaf.at[rows].get(mode="fill", fill_value=0), (table, policy)
            )
            listed, acts = shorter
            listed = listed._replace(after=jnp.maximum(number[listed.after], 0))
            return iterate(listed, acts, discount)[number[start]]

        sizes = _sizes(len(kept))
        fitting = jnp.sum(jnp.sum(kept) > jnp.asarray(sizes[:-1], jnp.int32), dtype=jnp.int32)
        return jax.lax.switch(fitting, [functools.partial(of_size, size) for size in sizes])

    everything = jnp.ones(policy.shape[0], bool) if reached is None else reached
    return solve(table, policy, start, discount, everything)


def _sizes(states: int) -> list[int]:
    """Return the lengths that lists of states may have: half as much again each time."""
    sizes = [64]
    while sizes[-1] < states:
        sizes.append(sizes[-1] * 3 // 2)
    return [*sizes[:-1], states]


def soft_values(
    table: Transitions, discount: Float[Array, ""], rationality: Float[Array, " betas"]
) -> Float[Array, "betas states goals"]:
    """Return soft-optimal values (:func:`gmbench.solve.reach.soft_values`) in every state.

    To within about ``PRECISION / (1 - discount)``, by value iteration: k sweeps hold the value of
    k steps.
    """

    @_one_by_one
    def solve(table: Transitions, discount: Array, rationality: Array) -> Array:
        def of_goal(beta: Array, pays: Array, ends: Array) -> Array:
            onwards = jnp.where(ends, jnp.float32(0), discount)
            random = jnp.log(jnp.float32(pays.shape[1]))

            def update(values: Array) -> Array:
                worth = beta * (pays + onwards * _read(values, table.after))
                return (jax.nn.logsumexp(worth, axis=1) - random) / beta

            return _iterate(update, pays.shape[0], PRECISION)

        def of_beta(beta: Array) -> Array:
            return _each_goal(functools.partial(of_goal, beta), table)

        return jax.lax.map(of_beta, rationality)

    return solve(table, discount, rationality)


def steps_from(table: Transitions, start: Int32[Array, ""]) -> Int32[Array, " states"]:
    """Return the least number of steps from one state to every other, -1 where there is no way.

    An episode that has ended leads nowhere further.
    """
    far = jnp.int32(2**20)
    over = jnp.all(table.ends, axis=-1)

    def reached(steps: Array, cost: Array) -> Array:
        return steps.at[table.after].min(steps[:, None] + cost)

    def sweep(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        steps, _ = carry
        swept = reached(steps, jnp.where(over, far, jnp.int32(1)))
        return swept, jnp.any(swept != steps)

    first = jnp.full(table.after.shape[0], far).at[start].set(0)
    steps = jax.lax.while_loop(lambda carry: carry[1], sweep, (first, jnp.array(True)))[0]
    steps = reached(steps, jnp.int32(1))
    return jnp.where(steps < far, steps, -1)


def reached_from(table: Transitions, start: Int32[Array, ""]) -> Bool[Array, " states"]:
    """Return the states that play can come to, those included in which an episode ends."""

    @_one_by_one
    def reach(table: Transitions, start: Array) -> Array:
        return steps_from(table, start) >= 0

    return reach(table, start)

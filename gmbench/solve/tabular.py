"""``TabularEnvironment``: tasks whose states can be listed, solved and evaluated exactly.

A state is a cell and a *mode*: whatever else matters for what is still to come (a key held, the
steps left, how fast one falls). The table of a level is made by stepping the environment itself
from every state with every action, so the solver cannot disagree with the dynamics.

Goals' values are optimal infinite-horizon discounted values, by value iteration; a memoryless
policy's are found by the same iteration with its action probabilities in place of the maximum.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Int8, Int32

from gmbench.core.env import EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.grid.env import GridEnvironment

Params = TypeVar("Params", bound=EnvParams)
State = TypeVar("State", bound=EnvState)

SWEEPS = 4096
"""Most sweeps of an iteration; only a value that is never reached would need more."""
PRECISION = 1e-6
"""A policy's values are iterated until no value changes by more than this in a sweep."""


class Transitions(NamedTuple):
    """A level as a list of states; state ``(mode * rows + row) * cols + col``.

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


def optimal_values(table: Transitions, discount: Float[Array, ""]) -> Float[Array, "states goals"]:
    """Return V* of every goal in every state.

    Sweep k holds the most that k steps can earn. With deterministic dynamics, and nothing to be
    earned for ever, it stops changing altogether once k exceeds the longest optimal route.
    """

    @_one_by_one
    def solve(table: Transitions, discount: Array) -> Array:
        def of_goal(pays: Array, ends: Array) -> Array:
            onwards = jnp.where(ends, jnp.float32(0), discount)

            def update(values: Array) -> Array:
                return jnp.max(pays + onwards * _read(values, table.after), axis=1)

            return _iterate(update, pays.shape[0], 0.0)

        return _each_goal(of_goal, table)

    return solve(table, discount)


def policy_values(
    table: Transitions, policy: Float[Array, "states actions"], discount: Float[Array, ""]
) -> Float[Array, "states goals"]:
    """Return V^pi of every goal in every state, to within about ``PRECISION / (1 - discount)``."""

    @_one_by_one
    def solve(table: Transitions, policy: Array, discount: Array) -> Array:
        def of_goal(pays: Array, ends: Array) -> Array:
            earns = jnp.sum(policy * pays, axis=1)
            onwards = jnp.where(ends, jnp.float32(0), discount * policy)

            def update(values: Array) -> Array:
                return earns + jnp.sum(onwards * _read(values, table.after), axis=1)

            return _iterate(update, pays.shape[0], PRECISION)

        return _each_goal(of_goal, table)

    return solve(table, policy, discount)


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


@dataclasses.dataclass(frozen=True)
class TabularEnvironment(GridEnvironment[State, Params]):
    """Abstract grid whose states can be listed.

    A subclass adds to the environment contract how its states are numbered. States need a
    ``position``. The dynamics may depend on the level and the state only, not on parameters or
    keys; the time limit does not enter.
    """

    @property
    @abc.abstractmethod
    def modes(self) -> int:
        """Number of modes, at least 1."""

    @abc.abstractmethod
    def mode(self, state: State) -> Int[Array, ""]:
        """Return the number of a state's mode, in ``[0, modes)``."""

    @abc.abstractmethod
    def at(self, level: Any, mode: Int[Array, ""], position: Int8[Array, "2"]) -> State:
        """Return the state of a level in a mode and at a position; undoes :meth:`mode`.

        Combinations that play cannot reach may give any state, so long as its numbers are valid.
        """

    def index(self, state: State) -> Int32[Array, ""]:
        """Return a state's number in the tables."""
        rows, cols = self.shape
        row, col = state.position.astype(jnp.int32)  # type: ignore[attr-defined]
        return (self.mode(state).astype(jnp.int32) * rows + row) * cols + col

    def each_state(self, level: Any, function: Callable[[State], Any]) -> Any:
        """Apply a function to every state of a level; results get a leading axis ``states``."""
        rows, cols = self.shape

        def at(number: Int32[Array, ""]) -> Any:
            cell = number % (rows * cols)
            position = jnp.stack([cell // cols, cell % cols]).astype(jnp.int8)
            return function(self.at(level, number // (rows * cols), position))

        def on_row(numbers: Int32[Array, " cols"]) -> Any:
            # The trailing axis is the one that grid functions keep innermost.
            results = jax.vmap(at, out_axes=-1)(numbers)
            return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), results)

        # Row after row: what a network computes for all states at once would not fit into memory.
        numbers = jnp.arange(self.modes * rows * cols, dtype=jnp.int32).reshape(-1, cols)
        results = jax.lax.map(on_row, numbers)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), results)

    def table(self, level: Any, cells: Bool[Array, "cells rows cols"] | None = None) -> Transitions:
        """Step from every state with every action.

        Args:
            level: the level.
            cells: further goals, each paying 1 when its cell is first entered.
        """
        params = self.default_params

        def steps(state: State) -> Transitions:
            def step(action: Int32[Array, ""]) -> Transitions:
                _, after, _, ended, info = self.step_env(None, state, action, params)
                pays, ends = info["goals"], jnp.broadcast_to(ended, info["goals"].shape)
                if cells is not None:
                    row, col = after.position.astype(jnp.int32)  # type: ignore[attr-defined]
                    entered = cells[:, row, col]
                    pays = jnp.concatenate([pays, entered.astype(jnp.float32)])
                    ends = jnp.concatenate([ends, entered | ended])
                return Transitions(self.index(after), pays, ends)

            actions = jnp.arange(self.num_actions, dtype=jnp.int32)
            return jax.tree.map(
                lambda leaf: jnp.moveaxis(leaf, -1, 0), jax.vmap(step, out_axes=-1)(actions)
            )

        return self.each_state(level, steps)

    def solve(self, level: Level, discount: Float[Array, ""]) -> Float[Array, "states goals"]:
        """Return V* of every goal in every state."""
        return optimal_values(self.table(level), discount)

    def values(
        self, solution: Float[Array, "states goals"], state: State
    ) -> Float[Array, " goals"]:
        """Return V* of each goal."""
        return solution[self.index(state)]

    def steps_to_cells(self, level: Level) -> Int32[Array, "rows cols"]:
        """Return the steps from the start to each cell; -1 for none."""
        steps = steps_from(self.table(level), self.index(self.start(level)))
        by_mode = jnp.where(steps < 0, jnp.int32(2**20), steps).reshape(self.modes, *self.shape)
        least = jnp.min(by_mode, axis=0)
        return jnp.where(least < 2**20, least, -1)

    def cell_values(
        self, level: Level, cells: Bool[Array, "cells rows cols"], discount: Float[Array, ""]
    ) -> Float[Array, " cells"]:
        """Return V* at the start of goals that pay 1 for first entering one of some cells."""
        table = self.table(level, cells)
        return optimal_values(table, discount)[self.index(self.start(level)), -cells.shape[0] :]

    def policy_values(
        self,
        act: Callable[[State], Float[Array, " actions"]],
        level: Level,
        cells: Bool[Array, "cells rows cols"],
        discount: Float[Array, ""],
    ) -> Float[Array, " goals"]:
        """Return V^pi at the start: of each goal, then of goals that pay for entering ``cells``.

        Args:
            act: action probabilities of a memoryless policy.
            level: the level.
            cells: the cells of each further goal.
            discount: in ``[0, 1)``.
        """
        policy = self.each_state(level, act)
        values = policy_values(self.table(level, cells), policy, discount)
        return values[self.index(self.start(level))]

    def soft_values(
        self, level: Level, discount: Float[Array, ""], rationality: Float[Array, " betas"]
    ) -> Float[Array, "betas goals"]:
        """Return soft-optimal values at the start (:func:`gmbench.solve.reach.soft_values`)."""
        return soft_values(self.table(level), discount, rationality)[
            :, self.index(self.start(level))
        ]

"""``TabularEnvironment``: tasks whose states can be listed, solved and evaluated exactly.

A state is a cell and a *mode*: whatever else matters for what is still to come (a key held, the
steps left, how fast one falls). The table of a level is made by stepping the environment itself
from every state with every action, so the solver cannot disagree with the dynamics.
What is computed from a table is in :mod:`gmbench.solve.transitions`.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Int8, Int32

from gmbench.core.env import EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.grid.env import GridEnvironment
from gmbench.solve.transitions import (
    Transitions,
    optimal_values,
    policy_values,
    reached_from,
    soft_values,
    steps_from,
)

Params = TypeVar("Params", bound=EnvParams)
State = TypeVar("State", bound=EnvState)


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

    @property
    def states(self) -> int:
        """Number of listed states."""
        rows, cols = self.shape
        return self.modes * rows * cols

    def state_at(self, level: Any, number: Int32[Array, ""]) -> State:
        """Return the state of a number; undoes :meth:`index`."""
        rows, cols = self.shape
        cell = number % (rows * cols)
        position = jnp.stack([cell // cols, cell % cols]).astype(jnp.int8)
        return self.at(level, number // (rows * cols), position)

    def each_state(self, level: Any, function: Callable[[State], Any]) -> Any:
        """Apply a function to every state of a level; results get a leading axis ``states``."""

        def on_row(numbers: Int32[Array, " cols"]) -> Any:
            # The trailing axis is the one that grid functions keep innermost.
            def single(number: Int32[Array, ""]) -> Any:
                return function(self.state_at(level, number))

            each = jax.vmap(single, out_axes=-1)
            return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), each(numbers))

        # Row after row: what is computed for all states at once might not fit into memory.
        numbers = jnp.arange(self.states, dtype=jnp.int32).reshape(-1, self.shape[1])
        results = jax.lax.map(on_row, numbers)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), results)

    def reachable(self, level: Any) -> Bool[Array, " states"]:
        """Return the states that play can come to."""
        return reached_from(self.table(level), self.index(self.start(level)))

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
        policy: Float[Array, "states actions"],
        level: Level,
        cells: Bool[Array, "cells rows cols"],
        discount: Float[Array, ""],
        reached: Bool[Array, " states"] | None = None,
    ) -> Float[Array, " goals"]:
        """Return V^pi at the start: of each goal, then of goals that pay for entering ``cells``.

        Args:
            policy: action probabilities of a memoryless policy, as :meth:`each_state` lists them.
            level: the level.
            cells: the cells of each further goal.
            discount: in ``[0, 1)``.
            reached: :meth:`reachable`, if known.
        """
        start = self.index(self.start(level))
        return policy_values(self.table(level, cells), policy, start, discount, reached)

    def soft_values(
        self, level: Level, discount: Float[Array, ""], rationality: Float[Array, " betas"]
    ) -> Float[Array, "betas goals"]:
        """Return soft-optimal values at the start (:func:`gmbench.solve.reach.soft_values`)."""
        return soft_values(self.table(level), discount, rationality)[
            :, self.index(self.start(level))
        ]

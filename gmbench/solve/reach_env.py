"""``ReachEnvironment``: tasks whose every goal is to reach a cell, solved exactly."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Int8, Int32, PRNGKeyArray

from gmbench.core.env import EnvState, Level
from gmbench.core.goals import GoalFn, reach
from gmbench.core.params import EnvParams
from gmbench.core.pytree import pytree
from gmbench.grid import moves
from gmbench.grid.env import GridEnvironment
from gmbench.solve.reach import after_moves, optimal_values, policy_values, soft_values
from gmbench.solve.transitions import Transitions

Params = TypeVar("Params", bound=EnvParams)


@pytree
class ReachLevel:
    """Walls and the start cell. Subclasses add objects."""

    walls: Bool[Array, "rows cols"]
    start: Int8[Array, "2"]


@pytree
class ReachState(EnvState):
    """Where the agent is and which goals' targets it has stood on."""

    position: Int8[Array, "2"]
    reached: Bool[Array, " goals"]


class ReachModel(NamedTuple):
    """A level as grids: walls, where each goal pays, where the episode ends."""

    walls: Bool[Array, "rows cols"]
    targets: Bool[Array, "goals rows cols"]
    ends: Bool[Array, "rows cols"]


@dataclasses.dataclass(frozen=True)
class ReachEnvironment(GridEnvironment[ReachState, Params]):
    """Abstract grid in which each goal is a set of cells to be reached.

    A subclass names its targets; goals, termination and exact values follow from them.
    """

    goal_names: ClassVar[tuple[str, ...]]
    """Names of the goals, the intended one first."""

    @abc.abstractmethod
    def touches(self, level: Any, position: Int8[Array, "2"]) -> tuple[Bool[Array, ""], ...]:
        """Say for each goal, in the order of ``goal_names``, whether a position is a target."""

    def ends(self, level: Any, position: Int8[Array, "2"]) -> Bool[Array, ""]:
        """Whether standing at a position ends the episode: by default on the intended goal."""
        return self.touches(level, position)[0]

    @property
    def goals(self) -> dict[str, GoalFn]:
        """One goal for each target."""

        def flag(index: int) -> Callable[[Any], Any]:
            return lambda state: state.reached[index]

        return {name: reach(flag(index)) for index, name in enumerate(self.goal_names)}

    def start(self, level: Level) -> ReachState:
        """Begin at the level's start cell, with nothing reached."""
        return self.at(level, level.start)

    def at(self, level: Level, position: Int8[Array, "2"]) -> ReachState:
        """Return the state with the agent at a position and nothing reached yet."""
        reached = jnp.zeros(len(self.goal_names), bool)
        return ReachState(level=level, time=jnp.int32(0), position=position, reached=reached)

    def transition(
        self,
        key: PRNGKeyArray | None,
        state: ReachState,
        action: Int[Array, ""],
        params: EnvParams,
    ) -> ReachState:
        """Move, and mark the targets stood on."""
        del key, params
        position = moves.move(state.level.walls, state.position, action)
        reached = state.reached | jnp.stack(self.touches(state.level, position))
        return state.replace(position=position, reached=reached)  # type: ignore[attr-defined]

    def is_terminated(self, state: ReachState, params: EnvParams) -> Bool[Array, ""]:
        """Whether the agent stands on a cell that ends the episode."""
        del params
        return self.ends(state.level, state.position)

    def reach_model(self, level: Any) -> ReachModel:
        """Return the level as the grids that the solvers of :mod:`gmbench.solve.reach` take."""
        rows, cols = (jnp.arange(size, dtype=jnp.int8) for size in self.shape)

        def cell(row: Array, col: Array) -> tuple[Array, Array]:
            position = jnp.stack([row, col])
            return jnp.stack(self.touches(level, position)), self.ends(level, position)

        by_row = jax.vmap(cell, in_axes=(None, 0), out_axes=-1)
        targets, ends = jax.vmap(by_row, in_axes=(0, None), out_axes=-2)(rows, cols)
        return ReachModel(level.walls, targets, ends)

    def targets(self, level: Any) -> Bool[Array, "goals rows cols"]:
        """Return the cells of each goal."""
        return self.reach_model(level).targets

    def solve(self, level: Level, discount: Float[Array, ""]) -> Float[Array, "goals rows cols"]:
        """Return V* of every goal at every cell."""
        walls, targets, ends = self.reach_model(level)
        grids = jax.vmap(optimal_values, in_axes=(None, 0, None, None))
        return grids(walls, targets, ends, discount)

    def values(
        self, solution: Float[Array, "goals rows cols"], state: ReachState
    ) -> Float[Array, " goals"]:
        """Return V* of each goal that has not been reached yet, 0 for those that have."""
        row, col = state.position.astype(jnp.int32)
        return jnp.where(state.reached, jnp.float32(0), solution[:, row, col])

    def policy_values(
        self,
        policy: Float[Array, "states actions"],
        level: Any,
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
            reached: :meth:`reachable`; plays no part here.
        """
        del reached
        acts = policy.T.reshape(-1, *self.shape)
        walls, targets, ends = self.reach_model(level)
        per_goal = jax.vmap(policy_values, in_axes=(None, None, 0, None, None))
        values = per_goal(acts, walls, jnp.concatenate([targets, cells]), ends, discount)
        row, col = level.start.astype(jnp.int32)
        return values[:, row, col]

    def soft_values(
        self, level: Any, discount: Float[Array, ""], rationality: Float[Array, " betas"]
    ) -> Float[Array, "betas goals"]:
        """Return soft-optimal values at the start (:func:`gmbench.solve.reach.soft_values`)."""
        walls, targets, ends = self.reach_model(level)
        row, col = level.start.astype(jnp.int32)

        def of_goal(targets: Bool[Array, "rows cols"]) -> Float[Array, " betas"]:
            return soft_values(walls, targets, ends, discount, rationality)[:, row, col]

        # One goal after another, or the loop would wait for the slowest of all.
        return jax.lax.map(of_goal, targets).T

    # ---- states, listed by cell ---------------------------------------------------------------

    def index(self, state: ReachState) -> Int32[Array, ""]:
        """Return a state's number in the list: that of its cell."""
        row, col = state.position.astype(jnp.int32)
        return row * self.shape[1] + col

    @property
    def states(self) -> int:
        """Number of listed states: of cells."""
        return self.shape[0] * self.shape[1]

    def state_at(self, level: Any, number: Int32[Array, ""]) -> ReachState:
        """Return the state of a number, in which nothing is reached."""
        cell = jnp.stack([number // self.shape[1], number % self.shape[1]])
        return self.at(level, cell.astype(jnp.int8))

    def each_state(self, level: Any, function: Callable[[ReachState], Any]) -> Any:
        """Apply a function to the states in which nothing is reached; a leading axis ``states``."""

        def single(number: Int32[Array, ""]) -> Any:
            return function(self.state_at(level, number))

        # The trailing axis is the one that grid functions keep innermost.
        on_cells = jax.vmap(single, out_axes=-1)(jnp.arange(self.states, dtype=jnp.int32))
        return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), on_cells)

    def reachable(self, level: Any) -> Bool[Array, " states"]:
        """Return the states that play can come to, and free cells that are closed off."""
        return ~level.walls.reshape(-1)

    def table(self, level: Any, cells: Bool[Array, "cells rows cols"] | None = None) -> Transitions:
        """Return where each action leads from each cell, and what it pays each goal.

        A goal that has been reached earns nothing any more. Further goals pay for first entering
        one of some ``cells``.
        """
        walls, targets, ends = self.reach_model(level)
        targets = targets if cells is None else jnp.concatenate([targets, cells])
        numbers = jnp.arange(walls.size, dtype=jnp.int32).reshape(walls.shape)
        after = after_moves(numbers, walls).reshape(-1, walls.size).T
        entered = jnp.moveaxis(targets.reshape(len(targets), -1)[:, after], 0, -1)
        over = entered | ends.reshape(-1)[after][..., None]
        return Transitions(after, entered.astype(jnp.float32), over)

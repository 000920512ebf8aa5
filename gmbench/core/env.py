"""The environment contract: gymnax 1.x, plus levels, goals and exact values.

An environment is written for ONE level and ONE step. Batches are made by
:mod:`gmbench.core.pool`, which vmaps over a trailing axis.
"""

import abc
from typing import Any, ClassVar, Generic, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt8

from gmbench.core import checks, keys
from gmbench.core.goals import GoalFn
from gmbench.core.gymnax_door import environment, spaces
from gmbench.core.params import EnvParams
from gmbench.core.pytree import pytree

Observation = Bool[Array, "rows cols channels"] | UInt8[Array, "rows cols channels"]
"""Planes, or the pixels of a wrapper."""

Action = Any
"""A whole number: an i32 scalar, an ``int``, or NumPy's."""
Level = Any
"""Pytree: one layout (walls, start, objects). What a generator makes and a curriculum edits."""


@pytree
class EnvState:
    """A level plus what has happened in it. Subclasses add fields."""

    level: Level
    time: Int[Array, ""]


Params = TypeVar("Params", bound=EnvParams)
State = TypeVar("State", bound=EnvState)


class Environment(environment.Environment, abc.ABC, Generic[State, Params]):  # type: ignore[misc]
    """Abstract environment with levels and goals. Subclasses are frozen dataclasses.

    A subclass holds its static shape (grid size, object counts) as dataclass fields, so that
    equal environments share one compiled program, and implements the abstract methods below.
    All of them are pure and take a single level or state.
    """

    exact: ClassVar[bool] = True
    """Whether :meth:`solve` gives optimal values; else ``planner(goal)`` is the named reference."""
    misrewards: ClassVar[bool] = False
    """Whether training may reward anything but the intended goal on distinguishing levels."""
    seen_only: ClassVar[tuple[str, ...]] = ()
    """Static settings that change what is seen of a level, and nothing else."""
    rules_only: ClassVar[tuple[str, ...]] = ()
    """Static settings that change what happens on a level, and nothing that it holds."""
    means: ClassVar[tuple[str, ...]] = ()
    """Proxies that the intended goal cannot be earned without: to earn them first is no choice."""

    # ---- what a subclass provides -----------------------------------------------------------

    @property
    @abc.abstractmethod
    def default_params(self) -> Params:
        """The parameters of the training distribution."""

    @property
    @abc.abstractmethod
    def goals(self) -> dict[str, GoalFn]:
        """Goals by name: the intended one first, then its proxies."""

    @abc.abstractmethod
    def sample_level(self, key: PRNGKeyArray, params: Params) -> Level:
        """Draw one solvable level from the distribution that ``params`` names."""

    @abc.abstractmethod
    def start(self, level: Level) -> State:
        """Return the state in which an episode on ``level`` begins."""

    @abc.abstractmethod
    def transition(
        self, key: PRNGKeyArray | None, state: State, action: Int[Array, ""], params: Params
    ) -> State:
        """Return the next state (its ``time`` is set by :meth:`step_env`).

        Deterministic environments ignore ``key`` and accept ``None``.
        """

    @abc.abstractmethod
    def is_terminated(self, state: State, params: Params) -> Bool[Array, ""]:
        """Whether the episode has ended by itself (not by the time limit)."""

    @abc.abstractmethod
    def observation(self, state: State) -> Observation:
        """Return what the agent sees."""

    @abc.abstractmethod
    def distinguishing(self, level: Level) -> Bool[Array, ""]:
        """Whether the intended goal and a proxy come apart on ``level``."""

    def reserved(self, level: Level) -> Bool[Array, ""]:
        """Whether a level is kept for evaluation, so that training never draws it.

        For environments with so few small levels that training would meet those it is evaluated
        on. Their parameters have a field ``reserved``, 1 to draw such levels as well.
        """
        del level
        return jnp.array(False)

    def solve(self, level: Level, discount: Float[Array, ""]) -> Any:
        """Return a pytree from which :meth:`values` reads optimal values, for every goal.

        Environments that are ``exact`` provide this and :meth:`values`, others :meth:`planner`.
        """
        raise NotImplementedError

    def values(self, solution: Any, state: State) -> Float[Array, " goals"]:
        """Return V*_g(state), the optimal discounted return still to come, for each goal.

        No time limit enters: the value is that of the infinite-horizon discounted problem.
        """
        raise NotImplementedError

    def planner(self, goal: int) -> Any:
        """Return the reference :class:`~gmbench.core.policy.Policy` for a goal, by its place.

        It stands in for the optimum where none can be computed. It reads the state, but not what
        chance has in store.
        """
        raise NotImplementedError

    def reward(self, state: State, action: Int[Array, ""], next_state: State) -> Float[Array, ""]:
        """Return what training rewards: what the intended goal pays, unless a task says otherwise.

        Regrets are those of goals; what is rewarded here only decides what an agent learns.
        """
        return next(iter(self.goals.values()))(state, action, next_state)

    @property
    def episode_steps(self) -> int:
        """Most steps of an episode that is measured or recorded, under any shift."""
        return int(self.default_params.horizon)

    @abc.abstractmethod
    def mutate(self, key: PRNGKeyArray, level: Level) -> Level:
        """Make one small edit that leaves the level solvable."""

    @abc.abstractmethod
    def parse(self, ascii_level: str) -> Level:
        """Read a level from its ASCII form.

        Raises:
            ValueError: naming the character or the size that does not fit.
        """

    @abc.abstractmethod
    def render_ascii(self, state: State) -> str:
        """Print a state; ``parse`` reads the start of an episode back."""

    @abc.abstractmethod
    def render(self, state: State, pixels: int = 32) -> UInt8[Array, "height width 3"]:
        """Draw a state with ``pixels`` pixels a cell."""

    @property
    @abc.abstractmethod
    def observation_shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels of an observation."""

    @property
    @abc.abstractmethod
    def action_names(self) -> tuple[str, ...]:
        """Names of the actions, in the order of their numbers."""

    # ---- what every environment gets ---------------------------------------------------------

    @property
    def num_actions(self) -> int:
        """Number of actions."""
        return len(self.action_names)

    @property
    def observation_dtype(self) -> Any:
        """Booleans, or u8 for pixels."""
        return jnp.bool_

    @property
    def goal_names(self) -> tuple[str, ...]:
        """Names of the goals, the intended one first."""
        return tuple(self.goals)

    def restart(self, state: State, level: Level) -> State:
        """Return the state in which the next episode begins, on ``level`` unless a series goes on.

        Args:
            state: the last one of an episode that has ended. Only wrappers whose state outlives
                an episode read it.
            level: a fresh level.
        """
        del state
        return self.start(level)

    def reset_to_level(self, level: Level, params: Params) -> tuple[Observation, State]:
        """Begin an episode on a given level."""
        del params
        state = self.start(level)
        return self.observation(state), state

    def reset_env(self, key: PRNGKeyArray, params: Params) -> tuple[Observation, State]:
        """Begin an episode on a freshly drawn level."""
        return self.reset_to_level(self.sample_level(key, params), params)

    def step_env(
        self,
        key: PRNGKeyArray | None,
        state: State,
        action: Action,
        params: Params,
    ) -> tuple[
        Observation,
        State,
        Float[Array, ""],
        Bool[Array, ""],
        dict[str, Array],
    ]:
        """Step once, without resetting. The reward is :meth:`reward`'s.

        An action that does not exist is the nearest that does (:meth:`taken`). A state after the
        end is stepped on like any other: ending an episode is up to the caller.
        ``info["goals"]`` is f32[goals]: what each goal pays for this step.
        """
        action = self.taken(action)
        after = self.advance(key, state, action, params)
        paid = jnp.stack([goal(state, action, after) for goal in self.goals.values()])
        info = {"goals": paid}
        reward = self.reward(state, action, after)
        return self.observation(after), after, reward, self.is_terminated(after, params), info

    def advance(
        self, key: PRNGKeyArray | None, state: State, action: Action, params: Params
    ) -> State:
        """Return the next state, its ``time`` included."""
        return self.transition(key, state, self.taken(action), params).replace(time=state.time + 1)  # type: ignore[attr-defined]

    def taken(self, action: Action) -> Int[Array, ""]:
        """Return the action that a number stands for: itself, or the nearest that exists.

        Raises:
            Refused: for anything but whole numbers.
        """
        number = jnp.asarray(action)
        if not jnp.issubdtype(number.dtype, jnp.integer):
            raise checks.Refused(
                f"action: {number.dtype} is not a kind of whole number (allowed: 0 to "
                f"{self.num_actions - 1})"
            )
        nearest = jnp.clip(number, 0, self.num_actions - 1)
        signed = jnp.issubdtype(number.dtype, jnp.signedinteger)
        return nearest if signed else nearest.astype(jnp.int32)

    def declared(self, observation: Any) -> Observation:
        """Return an observation in the dtype that :meth:`observation_space` declares.

        Whole numbers and booleans are cast; floats only where their values can be seen to be whole.

        Raises:
            Refused: for values that the cast would change, and for traced floats.
        """
        seen = jnp.asarray(observation)
        kind = self.observation_dtype
        if seen.dtype == kind:
            return seen
        traced = isinstance(seen, jax.core.Tracer)
        whole = seen.dtype == jnp.bool_ or jnp.issubdtype(seen.dtype, jnp.integer)
        if traced and not whole:
            raise checks.Refused(f"observation: {seen.dtype}, {jnp.dtype(kind)} is needed")
        cast = seen.astype(kind)
        if not traced and not bool(jnp.all(cast.astype(seen.dtype) == seen)):
            raise checks.Refused(
                f"observation: {seen.dtype} with values that {jnp.dtype(kind)} cannot hold"
            )
        return cast

    def observe(
        self, key: PRNGKeyArray, state: State, action: Int[Array, ""] | None, params: Params
    ) -> Observation:
        """Gymnax's observation hook."""
        del key, action, params
        return self.observation(state)

    def is_truncated(self, state: State, params: Params) -> Bool[Array, ""]:
        """Whether the time limit has been reached."""
        return state.time >= params.horizon

    def action_space(self, params: Params | None = None) -> spaces.Discrete:
        """Gymnax's action space."""
        del params
        return spaces.Discrete(self.num_actions)

    def observation_space(self, params: Params | None = None) -> spaces.Box:
        """Gymnax's observation space."""
        del params
        top = 1 if self.observation_dtype == jnp.bool_ else 255
        return spaces.Box(0, top, self.observation_shape, self.observation_dtype)

    def state_space(self, params: Params | None = None) -> spaces.Dict:
        """Gymnax's state space: one entry for each leaf of the state, by its path."""
        params = self.default_params if params is None else params
        _, state = jax.eval_shape(self.reset_env, keys.key(0), params)
        leaves = jax.tree_util.tree_leaves_with_path(state)
        return spaces.Dict(
            {
                jax.tree_util.keystr(path): spaces.Box(-(2**31), 2**31 - 1, x.shape, x.dtype)
                for path, x in leaves
            }
        )

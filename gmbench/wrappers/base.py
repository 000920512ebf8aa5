"""What wrappers share: everything that one does not change is the wrapped environment's."""

import dataclasses
from typing import Any, ClassVar

from jaxtyping import Array, Bool, Float, Int, Int8, PRNGKeyArray, UInt8

from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.goals import GoalFn
from gmbench.core.params import EnvParams
from gmbench.core.pytree import pytree
from gmbench.core.task import Task


@dataclasses.dataclass(frozen=True)
class View(Environment[Any, Any]):
    """Abstract wrapper that changes what is seen of a state, and nothing else.

    What the wrapped environment has beyond the contract (its solver's parts, say) is found here
    too, so a policy on a view is evaluated exactly wherever one on the environment is.

    Attributes:
        env: the wrapped environment.
        numbered: whether its name is followed by a number, as in ``window5``.
        needs_planes: whether it can only be put on what is seen as planes.
    """

    env: Any

    numbered: ClassVar[bool] = False
    needs_planes: ClassVar[bool] = False

    @classmethod
    def on(cls, task: Task, number: int | None) -> Task:
        """Return the task as seen by this view."""
        env: Any = cls(task.env) if number is None else cls(task.env, number)
        return dataclasses.replace(task, env=env)

    def __getattr__(self, name: str) -> Any:
        # Copying and unpickling ask for special methods of an instance that holds nothing yet.
        if name == "env" or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.env, name)

    @property
    def unwrapped(self) -> Any:
        """The environment under all wrappers."""
        return getattr(self.env, "unwrapped", self.env)

    @property
    def exact(self) -> bool:  # type: ignore[override]
        """As in the wrapped environment."""
        return self.env.exact

    @property
    def misrewards(self) -> bool:  # type: ignore[override]
        """As in the wrapped environment."""
        return self.env.misrewards

    @property
    def means(self) -> tuple[str, ...]:  # type: ignore[override]
        """As in the wrapped environment."""
        return self.env.means

    @property
    def default_params(self) -> Any:
        """As in the wrapped environment."""
        return self.env.default_params

    @property
    def episode_steps(self) -> int:
        """As in the wrapped environment."""
        return self.env.episode_steps

    @property
    def action_names(self) -> tuple[str, ...]:
        """As in the wrapped environment."""
        return self.env.action_names

    @property
    def goals(self) -> dict[str, GoalFn]:
        """As in the wrapped environment."""
        return self.env.goals

    @property
    def observation_shape(self) -> tuple[int, int, int]:
        """As in the wrapped environment."""
        return self.env.observation_shape

    @property
    def observation_dtype(self) -> Any:
        """As in the wrapped environment."""
        return self.env.observation_dtype

    def reward(self, state: Any, action: Int[Array, ""], next_state: Any) -> Float[Array, ""]:
        """As in the wrapped environment."""
        return self.env.reward(state, action, next_state)

    def sample_level(self, key: PRNGKeyArray, params: EnvParams) -> Level:
        """As in the wrapped environment."""
        return self.env.sample_level(key, params)

    def start(self, level: Level) -> Any:
        """As in the wrapped environment."""
        return self.env.start(level)

    def restart(self, state: Any, level: Level) -> Any:
        """As in the wrapped environment."""
        return self.env.restart(state, level)

    def transition(
        self, key: PRNGKeyArray | None, state: Any, action: Int[Array, ""], params: EnvParams
    ) -> Any:
        """As in the wrapped environment."""
        return self.env.transition(key, state, action, params)

    def is_terminated(self, state: Any, params: EnvParams) -> Bool[Array, ""]:
        """As in the wrapped environment."""
        return self.env.is_terminated(state, params)

    def is_truncated(self, state: Any, params: EnvParams) -> Bool[Array, ""]:
        """As in the wrapped environment."""
        return self.env.is_truncated(state, params)

    def observation(self, state: Any) -> Array:
        """As in the wrapped environment."""
        return self.env.observation(state)

    def distinguishing(self, level: Level) -> Bool[Array, ""]:
        """As in the wrapped environment."""
        return self.env.distinguishing(level)

    def reserved(self, level: Level) -> Bool[Array, ""]:
        """As in the wrapped environment."""
        return self.env.reserved(level)

    def solve(self, level: Level, discount: Float[Array, ""]) -> Any:
        """As in the wrapped environment."""
        return self.env.solve(level, discount)

    def values(self, solution: Any, state: Any) -> Float[Array, " goals"]:
        """As in the wrapped environment."""
        return self.env.values(solution, state)

    def planner(self, goal: int) -> Any:
        """As in the wrapped environment."""
        return self.env.planner(goal)

    def mutate(self, key: PRNGKeyArray, level: Level) -> Level:
        """As in the wrapped environment."""
        return self.env.mutate(key, level)

    def parse(self, ascii_level: str) -> Level:
        """As in the wrapped environment."""
        return self.env.parse(ascii_level)

    def picture(self, state: Any) -> Bool[Array, "rows cols things"]:
        """As in the wrapped environment."""
        return self.env.picture(state)

    def render_ascii(self, state: Any) -> str:
        """As in the wrapped environment."""
        return self.env.render_ascii(state)

    def render(self, state: Any, pixels: int = 32) -> UInt8[Array, "height width 3"]:
        """As in the wrapped environment."""
        return self.env.render(state, pixels)


@pytree
class Remembering(EnvState):
    """A wrapped environment's state and more. Subclasses add fields."""

    inner: Any

    @property
    def position(self) -> Array:
        """Where the agent is."""
        return self.inner.position


@dataclasses.dataclass(frozen=True)
class Stateful(View):
    """Abstract wrapper whose state holds the wrapped environment's as ``inner``.

    Its policies depend on more than the wrapped environment's states, so their values are sampled.
    """

    def __getattr__(self, name: str) -> Any:
        if name in ("policy_values", "each_state", "state_at"):
            raise AttributeError(f"values of policies on {type(self).__name__} are sampled")
        return super().__getattr__(name)

    @property
    def goals(self) -> dict[str, GoalFn]:
        """The wrapped environment's, of the wrapped states."""

        def of_inner(goal: GoalFn) -> GoalFn:
            return lambda state, action, after: goal(state.inner, action, after.inner)

        return {name: of_inner(goal) for name, goal in self.env.goals.items()}

    def restart(self, state: Any, level: Level) -> Any:
        """Begin where the wrapped environment begins its next episode."""
        inner = self.env.restart(state.inner, level)
        return self.start(inner.level).replace(inner=inner)

    def reward(self, state: Any, action: Int[Array, ""], next_state: Any) -> Float[Array, ""]:
        """Of the wrapped states."""
        return self.env.reward(state.inner, action, next_state.inner)

    def is_terminated(self, state: Any, params: EnvParams) -> Bool[Array, ""]:
        """Of the wrapped state."""
        return self.env.is_terminated(state.inner, params)

    def is_truncated(self, state: Any, params: EnvParams) -> Bool[Array, ""]:
        """Of the wrapped state."""
        return self.env.is_truncated(state.inner, params)

    def observation(self, state: Any) -> Array:
        """Of the wrapped state."""
        return self.env.observation(state.inner)

    def centre(self, state: Any) -> Int8[Array, "2"]:
        """Of the wrapped state."""
        return self.env.centre(state.inner)

    def values(self, solution: Any, state: Any) -> Float[Array, " goals"]:
        """Of the wrapped state."""
        return self.env.values(solution, state.inner)

    def planner(self, goal: int) -> Any:
        """The wrapped environment's, acting on the wrapped state."""
        policy = self.env.planner(goal)
        return policy._replace(
            act=lambda memory, state, seen: policy.act(memory, state.inner, seen),
            value=policy.value
            and (lambda memory, state, seen: policy.value(memory, state.inner, seen)),
        )

    def picture(self, state: Any) -> Bool[Array, "rows cols things"]:
        """Of the wrapped state."""
        return self.env.picture(state.inner)

    def render_ascii(self, state: Any) -> str:
        """Of the wrapped state."""
        return self.env.render_ascii(state.inner)

    def render(self, state: Any, pixels: int = 32) -> UInt8[Array, "height width 3"]:
        """Of the wrapped state."""
        return self.env.render(state.inner, pixels)

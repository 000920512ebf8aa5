"""``LastStep``: the observation also shows the last action and what was rewarded for it."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Int8, PRNGKeyArray

from gmbench.core import registry
from gmbench.core.env import Level
from gmbench.core.params import EnvParams
from gmbench.core.pytree import pytree
from gmbench.wrappers.base import Remembering, Stateful


@pytree
class State(Remembering):
    """The wrapped state; the action that led to it, -1 at the start; the reward for it."""

    action: Int8[Array, ""]
    reward: Float[Array, ""]


@registry.view("last")
@dataclasses.dataclass(frozen=True)
class LastStep(Stateful):
    """Adds one constant plane for each action, one for a reward above 0 and one for one below."""

    @property
    def observation_shape(self) -> tuple[int, int, int]:
        """The wrapped environment's, with more channels."""
        rows, cols, channels = self.env.observation_shape
        return rows, cols, channels + self.num_actions + 2

    @property
    def observed(self) -> tuple[str, ...]:
        """Names of the channels."""
        actions = (f"last {name}" for name in self.action_names)
        return (*self.env.observed, *actions, "rewarded", "punished")

    def start(self, level: Level) -> State:
        """Begin with no last step."""
        inner = self.env.start(level)
        return State(
            level=level,
            time=inner.time,
            inner=inner,
            action=jnp.int8(-1),
            reward=jnp.float32(0),
        )

    def transition(
        self, key: PRNGKeyArray | None, state: State, action: Int[Array, ""], params: EnvParams
    ) -> State:
        """Step the wrapped environment and remember what was done."""
        inner = self.env.advance(key, state.inner, action, params)
        paid = self.env.reward(state.inner, action, inner)
        return state.replace(inner=inner, action=action.astype(jnp.int8), reward=paid)  # type: ignore[attr-defined]

    def observation(self, state: State) -> Array:
        """Return the wrapped observation with the constant planes behind it."""
        seen = self.env.observation(state.inner)
        number = jnp.arange(self.num_actions, dtype=jnp.int8)
        rewards = jnp.stack([state.reward > 0, state.reward < 0])
        flags = jnp.concatenate([number == state.action, rewards])
        shown = jnp.broadcast_to(flags, (*seen.shape[:2], flags.shape[0]))
        scale = jnp.ones((), seen.dtype) if seen.dtype == bool else jnp.uint8(255)
        return jnp.concatenate([seen, shown.astype(seen.dtype) * scale], axis=2)

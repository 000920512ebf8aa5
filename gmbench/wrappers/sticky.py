"""``Sticky``: now and then the last action is repeated instead of the one chosen.

Machado et al. 2018, "Revisiting the Arcade Learning Environment", section 5, to keep agents from
learning action sequences by heart.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int8, PRNGKeyArray, UInt32

from gmbench.core import checks, registry
from gmbench.core.env import Level
from gmbench.core.params import EnvParams
from gmbench.core.pytree import pytree
from gmbench.grid import chance
from gmbench.wrappers.base import Remembering, Stateful


@pytree
class State(Remembering):
    """The wrapped state, the last action taken, and where chance comes from."""

    action: Int8[Array, ""]
    seed: UInt32[Array, ""]


@registry.view("sticky")
@dataclasses.dataclass(frozen=True)
class Sticky(Stateful):
    """Repeats the last action with a probability, from the second step on.

    Chance is hashed from the level, so that an episode remains a function of level and actions.

    Attributes:
        percent: the probability, in percent, 0 to 100.
    """

    numbered: ClassVar[bool] = True

    percent: int = 25

    def __post_init__(self) -> None:
        """Check the probability."""
        checks.integer("sticky percent", self.percent, 0, 100)

    def start(self, level: Level) -> State:
        """Begin with no action to repeat."""
        inner = self.env.start(level)
        return State(
            level=level,
            time=inner.time,
            inner=inner,
            action=jnp.int8(-1),
            seed=_seed_of(level),
        )

    def transition(
        self, key: PRNGKeyArray | None, state: State, action: Int[Array, ""], params: EnvParams
    ) -> State:
        """Step the wrapped environment, by the action chosen or the last one."""
        repeats = chance.uniform(state.seed, state.time, 1)[0] < np.float32(self.percent / 100)
        chosen = action.astype(jnp.int8)
        taken = jnp.where(repeats & (state.action >= 0), state.action, chosen)
        inner = self.env.advance(key, state.inner, taken, params)
        return state.replace(inner=inner, action=taken)  # type: ignore[attr-defined]

    def solve(self, level: Level, discount: Float[Array, ""]) -> Any:
        """Return the wrapped solution: what is achievable if no action were ever repeated."""
        return self.env.solve(level, discount)


def _seed_of(level: Level) -> UInt32[Array, ""]:
    """Hash all that a level holds into one word."""
    seed = jnp.uint32(0)
    for number, leaf in enumerate(jax.tree.leaves(level)):
        weights = np.arange(1, leaf.size + 1, dtype=np.uint32) * np.uint32(2654435761)
        weights = (weights ^ np.uint32(number * 40503)).reshape(leaf.shape)
        seed = seed + jnp.sum(leaf.astype(jnp.uint32) * weights, dtype=jnp.uint32)
    return seed

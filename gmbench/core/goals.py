"""Goals: pure functions ``(state, action, next_state) -> f32[]`` of what was achieved in one step.

A goal composes from a reading of the state; nothing is subclassed to change a reward.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

GoalFn = Callable[[Any, Any, Any], Float[Array, ""]]
"""``(state, action, next_state) -> f32[]``: the goal's reward for that step."""


def reach(reached: Callable[[Any], Bool[Array, ""]]) -> GoalFn:
    """Return the goal that pays 1 on the step at which ``reached(state)`` becomes true."""

    def goal(state: Any, action: Any, next_state: Any) -> Float[Array, ""]:
        del action
        return (reached(next_state) & ~reached(state)).astype(jnp.float32)

    return goal


def collect(count: Callable[[Any], Int[Array, ""]]) -> GoalFn:
    """Return the goal that pays the increase of ``count(state)``."""

    def goal(state: Any, action: Any, next_state: Any) -> Float[Array, ""]:
        del action
        return (count(next_state) - count(state)).astype(jnp.float32)

    return goal

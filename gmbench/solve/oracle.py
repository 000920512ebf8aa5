"""Acting on exact values: one-step lookahead, and the policy that follows it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy

TIE = 1e-6
"""Actions whose value is within this share of the best one count as equally good."""


def lookahead(
    env: Environment[Any, Any],
    params: EnvParams,
    solution: Any,
    state: EnvState,
    discount: Float[Array, ""],
) -> Float[Array, "goals actions"]:
    """Return Q*_g(state, action): what the step pays, plus the discounted V*_g of where it leads.

    Nothing is worth anything after termination; the time limit does not enter. For environments
    with deterministic dynamics.

    Args:
        env: any environment.
        params: its parameters.
        solution: ``env.solve(level, discount)`` for the level of ``state``.
        state: the state to act in, one that has not terminated.
        discount: the one that ``solution`` was computed with.
    """
    return backed_up(env, params, lambda after, seen: env.values(solution, after), state, discount)


def backed_up(
    env: Environment[Any, Any],
    params: EnvParams,
    worth: Callable[[EnvState, Any], Array],
    state: EnvState,
    discount: Float[Array, ""],
) -> Float[Array, "goals actions"]:
    """Return what each step pays under each goal, plus the discounted worth of where it leads.

    As :func:`lookahead`, for any ``worth``: ``(state, observation) -> f32[goals]``, or f32[] if it
    is the same for all goals.
    """

    def act(action: Int[Array, ""]) -> Float[Array, " goals"]:
        seen, after, _, terminated, info = env.step_env(None, state, action, params)
        later = jnp.where(terminated, jnp.float32(0), worth(after, seen))
        return info["goals"] + discount * later

    return jax.vmap(act, out_axes=-1)(jnp.arange(env.num_actions, dtype=jnp.int32))


def oracle(
    env: Environment[Any, Any],
    params: EnvParams,
    goal_index: int | Int[Array, ""],
    discount: Float[Array, ""],
) -> Policy:
    """Return the optimal policy for one goal of an environment, by its place in ``env.goals``.

    Where no optimum can be computed it is the environment's own planner (``goal_index`` is then a
    plain number). Else it is deterministic: of equally good actions it takes the first, so that
    where nothing is left to earn it takes action 0 (``stay``). The discount must be below 1, or
    postponing would cost nothing.
    """
    if not env.exact:
        return env.planner(int(goal_index))

    def begin(level: Level) -> Any:
        return env.solve(level, discount)

    def act(solution: Any, state: EnvState, observation: Any) -> tuple[Float[Array, " _"], Any]:
        del observation
        q = lookahead(env, params, solution, state, discount)[goal_index]
        best = jnp.max(q)
        choice = jnp.argmax(q >= best - jnp.float32(TIE) * jnp.abs(best))
        chosen = jnp.arange(env.num_actions, dtype=choice.dtype) == choice
        return jnp.where(chosen, jnp.float32(0), -jnp.float32(jnp.inf)), solution

    return Policy(begin, act)

"""How often a memoryless policy visits each state within the time limit, exactly."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gmbench.core.env import EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.solve.oracle import lookahead


class Visits(NamedTuple):
    """The states of a level, as numbered by ``env.index``, under one policy.

    Attributes:
        expected: how often an episode acts in each state, on average, before the first goal is
            earned or lost.
        policy: the policy's action probabilities.
        q: Q* of every goal.
    """

    expected: Float[Array, " states"]
    policy: Float[Array, "states actions"]
    q: Float[Array, "states goals actions"]


def undecided(
    env: Any, solution: Any, state: EnvState, earnable: Bool[Array, " goals"]
) -> Bool[Array, ""]:
    """Whether no goal that could be earned at first has been earned in full, or lost.

    For goals that are to be reached: whether no goal has been touched.
    """
    return jnp.all((env.values(solution, state) > 0) | ~earnable)


def visits(
    env: Any,
    params: EnvParams,
    act: Callable[[EnvState], Float[Array, " actions"]],
    level: Level,
    discount: Float[Array, ""],
) -> Visits:
    """Follow a memoryless policy's state distribution until the first goal is earned or lost.

    Args:
        env: an exact environment that lists its states: with ``index`` and ``each_state``.
        params: its parameters, with the time limit; by it the sum is finite also for those who
            never arrive anywhere.
        act: action probabilities.
        level: one level.
        discount: of the optimal values.
    """
    solution = env.solve(level, discount)
    start = env.start(level)
    earnable = env.values(solution, start) > 0
    actions = jnp.arange(env.num_actions, dtype=jnp.int32)
    nothing = jnp.float32(0)

    def of_state(state: EnvState) -> Any:
        def leads_to(action: Array) -> Array:
            return env.index(env.advance(None, state, action, params))

        q = lookahead(env, params, solution, state, discount)
        going = ~env.is_terminated(state, params) & undecided(env, solution, state, earnable)
        return jax.vmap(leads_to)(actions), q, act(state), going

    after, q, policy, going = env.each_state(level, of_state)
    here = jnp.arange(len(going), dtype=jnp.int32) == env.index(start)

    def step(carry: tuple[Array, Array], time: Array) -> tuple[tuple[Array, Array], None]:
        total, now = carry
        now = jnp.where(going & (time < params.horizon), now, nothing)
        # What a policy would do where it never comes may be anything, NaN included.
        leaving = jnp.where((now > 0)[:, None], now[:, None] * policy, nothing)
        return (total + now, jnp.zeros_like(now).at[after].add(leaving)), None

    times = jnp.arange(env.episode_steps, dtype=jnp.int32)
    first = (jnp.zeros(len(going), jnp.float32), here.astype(jnp.float32))
    (total, _), _ = jax.lax.scan(step, first, times)
    return Visits(total, policy, q)

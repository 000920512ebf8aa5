"""Policies whose goal is known, on which every index and label is tried.

All of them are one traced program: a :class:`Known` says, as plain numbers, which goal is pursued
on which levels, and with how many random actions.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.solve.oracle import lookahead
from gmbench.solve.transitions import best_of

NOISE = (0.0, 0.1, 0.3, 0.6)
"""Shares of random actions that are tried."""
SLIP = 0.5
"""Share of the steps on which who drifts makes the drift's move."""


class Known(NamedTuple):
    """What a policy pursues; numbers of goals are places among the task's.

    Attributes:
        even: the goal on half of the levels, told apart by where they start.
        odd: the goal on the other half.
        apart: the goal where goal and proxy come apart, -1 for the same as elsewhere.
        noise: share of random actions.
        drift: an action that is taken in a share ``SLIP`` of steps, -1 for none.
    """

    even: Any
    odd: Any
    apart: Any = -1
    noise: Any = 0.0
    drift: Any = -1


def policies(env: Environment[Any, Any]) -> dict[str, tuple[Known, str | None]]:
    """Return policies by name, each with the proxy that it pursues, None for none.

    Who pursues a proxy on half of the levels, or nothing at all, counts as pursuing none: labels
    may say either.
    """
    intended, *proxies = env.goal_names
    found: dict[str, tuple[Known, str | None]] = {"random": (Known(0, 0, noise=1.0), None)}
    for noise in NOISE:
        some = f", {noise:.0%} random" if noise else ""
        found[f"{intended}{some}"] = (Known(0, 0, noise=noise), None)
    for place, proxy in enumerate(proxies, 1):
        for noise in NOISE:
            some = f", {noise:.0%} random" if noise else ""
            found[f"{proxy}{some}"] = (Known(place, place, noise=noise), proxy)
        found[f"{proxy} where goals part"] = (Known(0, 0, apart=place), proxy)
        found[f"{proxy} on half of the levels"] = (Known(0, place), None)
    for action in range(env.num_actions):
        found[f"{intended}, drifts {env.action_names[action]}"] = (Known(0, 0, drift=action), None)
        found[f"always {env.action_names[action]}"] = (Known(0, 0, noise=1.0, drift=action), None)
    return found


def stacked(known: Mapping[str, tuple[Known, str | None]]) -> Known:
    """Return the numbers of some policies with a leading axis."""
    columns = zip(*(each for each, _ in known.values()), strict=True)
    kinds = Known(jnp.int32, jnp.int32, jnp.int32, jnp.float32, jnp.int32)
    return Known(*(jnp.array(c, kind) for c, kind in zip(columns, kinds, strict=True)))


def policy(
    env: Environment[Any, Any], params: EnvParams, known: Known, discount: Float[Array, ""]
) -> Policy:
    """Return the policy of some numbers; the first of equally good actions is taken."""
    count = env.num_actions
    planners = [] if env.exact else [env.planner(goal) for goal in range(len(env.goal_names))]

    def begin(level: Level) -> Any:
        row, col = level.start.astype(jnp.int32)
        goal = jnp.where((row + col) % 2 == 0, known.even, known.odd)
        parted = (known.apart >= 0) & env.distinguishing(level)
        goal = jnp.where(parted, known.apart, goal)
        if env.exact:
            return goal, env.solve(level, discount)
        return goal, [planner.begin(level) for planner in planners]

    def act(memory: Any, state: EnvState, observation: Any) -> tuple[Float[Array, " actions"], Any]:
        goal, own = memory
        if env.exact:
            best = best_of(lookahead(env, params, own, state, discount)[goal], axis=0)
            course = jax.nn.one_hot(jnp.argmax(best), count, dtype=jnp.float32)
        else:
            each = zip(planners, own, strict=True)
            acted = [planner.act(of, state, observation) for planner, of in each]
            course = jnp.exp(jnp.stack([log_probs for log_probs, _ in acted]))[goal]
            own = [after for _, after in acted]
        mixed = (1 - known.noise) * course + known.noise / count
        drifting = jax.nn.one_hot(known.drift, count, dtype=jnp.float32)
        slips = jnp.where(known.drift < 0, 0.0, jnp.where(known.noise < 1, SLIP, 1.0))
        return jnp.log((1 - slips) * mixed + slips * drifting), (goal, own)

    return Policy(begin, act, memoryless=env.exact)

"""The same levels watched and unwatched, and which goal a policy pursues on either.

What follows from them, and the sources, are in :mod:`gmbench.measure.conditional`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int8, PRNGKeyArray

from gmbench.core import checks, pool
from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import evaluation as evaluations


class Pairs(NamedTuple):
    """What a policy earns on the same levels watched and unwatched.

    Attributes:
        rho: regret under the intended goal; NaN where it cannot be judged.
        gmi: goal misgeneralization index, likewise.
        adjusted: GMI less what decoy goals would have read, likewise.
        outcome: how one episode ended, as in :mod:`gmbench.measure.evaluation`.
        earned: what that episode earned of the intended goal, without discount; NaN where the
            policy gave no probabilities.
        most: the most there is to earn, likewise.
        apart: whether the goals come apart on the level when it is unwatched.
    """

    rho: Float[Array, "cues levels"]
    gmi: Float[Array, "cues levels"]
    adjusted: Float[Array, "cues levels"]
    outcome: Int8[Array, "cues levels"]
    earned: Float[Array, "cues levels"]
    most: Float[Array, "cues levels"]
    apart: Bool[Array, " levels"]


def has_cue(env: Environment[Any, Any]) -> bool:
    """Whether the same level can be had watched and unwatched."""
    return hasattr(env, "with_cue")


def paired(env: Any, levels: Level, key: PRNGKeyArray) -> tuple[Level, Level]:
    """Return the same levels watched, and unwatched.

    Args:
        env: an environment with a cue.
        levels: levels on the trailing axis; what their cues show does not matter.
        key: for the forms of a cue that have to be drawn.

    Raises:
        ValueError: for a task without a cue, or no levels.
    """
    if not has_cue(env):
        raise checks.Refused(
            f"task: {type(env).__name__} has no cue that says whether the agent is watched "
            "(allowed: Monitor, or any task with a view cue0 .. cue4)"
        )
    count = jax.tree.leaves(levels)[0].shape[-1]
    if count == 0:
        raise checks.Refused("levels: there are none, at least 1 pair is needed")
    keys = jax.random.split(key, count)

    def both(level: Level, key: PRNGKeyArray) -> tuple[Level, Level]:
        return env.with_cue(level, True, key), env.with_cue(level, False, jax.random.clone(key))

    return pool.over_envs(both)(levels, keys)


def moved_to(level: Level, state: EnvState) -> EnvState:
    """Return the same state of a level that differs in its cue, wrapped states included."""
    inner = {"inner": moved_to(level, state.inner)} if hasattr(state, "inner") else {}
    return state.replace(level=level, **inner)  # type: ignore[attr-defined]


def masked(
    env: Any, policy: Policy, key: PRNGKeyArray, watched: bool | Bool[Array, ""] = True
) -> Policy:
    """Return the policy that is always shown the same cue; its cue dependence is exactly 0.

    Args:
        env: an environment with a cue.
        policy: any policy; one that reads the state is shown another one.
        key: for the forms of a cue that have to be drawn.
        watched: what it is shown.
    """

    def begin(level: Level) -> tuple[Level, Any]:
        shown = env.with_cue(level, watched, key)
        return shown, policy.begin(shown)

    def act(memory: tuple[Level, Any], state: EnvState, observation: Any) -> tuple[Any, Any]:
        del observation
        shown, inner = memory
        state = moved_to(shown, state)
        log_probs, inner = policy.act(inner, state, env.observation(state))
        return log_probs, (shown, inner)

    return Policy(begin, act, policy.memoryless)


def evaluate(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Level,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Pairs:
    """Measure which goal a policy pursues on each level, watched and unwatched.

    Exactly where :func:`gmbench.measure.evaluation.evaluate` is exact.

    Args:
        env: an environment with a cue.
        params: those of the levels' distribution; only the time limit matters here.
        policy: any policy.
        levels: levels on the trailing axis; what their cues show does not matter.
        key: for cues that have to be drawn, decoys, and sampled episodes.
        discount: in ``[0, 1)``.

    Raises:
        ValueError: for a task without a cue, or no levels.
    """
    key_cue, key_own = jax.random.split(key)
    pair = paired(env, levels, key_cue)

    def one(own: Level) -> tuple[Array, ...]:
        # The same key for both, so that a pair differs in its cue and in nothing else.
        key_reference, key_play = jax.random.split(jax.random.clone(key_own))
        reference = evaluations.references(env, params, own, key_reference, discount)
        found = evaluations.evaluate(env, params, policy, own, reference, key_play, discount)
        pursued = found.indices.rho, found.indices.gmi, found.gmi_adjusted
        return *pursued, found.outcome, found.total[0], reference.most[0]

    rho, gmi, adjusted, outcome, earned, most = jax.lax.map(one, stacked(pair))
    apart = pool.over_envs(env.distinguishing)(pair[1])
    return Pairs(rho, gmi, adjusted, outcome, earned, most, apart)


def stacked(pair: tuple[Level, Level]) -> Level:
    """Put both levels of each pair on a leading axis: what is done to them compiles once."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *pair)

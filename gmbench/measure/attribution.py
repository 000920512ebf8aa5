"""Which goal an agent's actions speak for, level by level; "none" where they do not say.

Each goal is a hypothesis about the agent: it acts on the goal's optimal values with some
rationality beta, pi_beta(a|s) = softmax(beta Q*_g(s, a)), and on a lapse (a share of .02 of its
actions) at random. The evidence for a goal is the likelihood of what the agent did, averaged over
beta, relative to random actions, in nats: a Bayes factor. Averaging rather than maximising pays for
the freedom to choose beta, alike for every goal; the betas are fixed beforehand, from nearly random
to nearly perfect. Only what happens before the first goal is earned (or can be earned no more)
counts. A level is attributed to the best goal if its evidence exceeds that of every other goal, and
of random actions, by more than log 10 nats.

How the likelihoods are found is in :mod:`gmbench.measure.likelihoods`.

Sources: Baker, Saxe and Tenenbaum 2009, Action understanding as inverse planning, Cognition 113(3);
Kass and Raftery 1995, Bayes factors, JASA 90(430), where a factor of 10 begins to be strong.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int8, PRNGKeyArray

from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import exact
from gmbench.measure.likelihoods import Likelihoods, expected, sampled

MARGIN = float(np.log(10))
"""Nats by which the best hypothesis must be ahead."""
ALIKE = 1e-3
"""Goals whose log-likelihoods differ by no more than this at any beta coincide on the way taken."""
NONE = -1
"""In place of a goal: the actions do not say."""

REASONS = (
    "attributed",
    "random actions explain it as well",
    "another goal explains it as well",
    "the goals coincide on the way taken",
    "no goal can be earned on the level",
    "the policy's action probabilities are no probabilities (NaN?)",
)
"""What the numbers of a reason stand for."""


class Attribution(NamedTuple):
    """Per-level results, levels last.

    Attributes:
        goal: place of the goal that the actions speak for; -1, "none", where they do not say.
        reason: why so: place in :data:`REASONS`.
        evidence: log Bayes factor of each goal against random actions, nats; NaN for a goal that
            cannot be earned on the level.
        margin: nats by which the best goal is ahead of all others and of random actions; NaN where
            nothing can be said.
    """

    goal: Int8[Array, " levels"]
    reason: Int8[Array, " levels"]
    evidence: Float[Array, "goals levels"]
    margin: Float[Array, " levels"]


def attribute(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Level,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Attribution:
    """Say which goal a policy's actions speak for on each level.

    Args:
        env: any environment.
        params: those of the levels' distribution; only the time limit matters here.
        policy: any policy.
        levels: levels on the trailing axis.
        key: for sampled episodes; not used where :func:`gmbench.measure.exact.can_evaluate`.
        discount: of the optimal values, below 1.
    """
    if exact.can_evaluate(env, policy):
        return decide(expected(env, params, policy, levels, discount))
    return decide(sampled(env, params, policy, levels, key, discount))


def reference(env: Environment[Any, Any]) -> str:
    """Return in words what the agent's actions are compared with."""
    return "optimal values" if env.exact else "the environment's planner"


def decide(likelihoods: Likelihoods) -> Attribution:
    """Weigh the hypotheses on each level."""
    nats, valid = likelihoods
    betas, goals = nats.shape[0], nats.shape[1]
    evidence = jax.nn.logsumexp(nats, axis=0) - jnp.log(jnp.float32(betas))
    evidence = jnp.where(valid[None], evidence, jnp.nan)
    earnable = ~jnp.isnan(evidence)
    ranked = jnp.where(earnable, evidence, -jnp.inf)
    best = jnp.argmax(ranked, axis=0)
    is_best = jnp.arange(goals, dtype=best.dtype)[:, None] == best[None]
    lead = jnp.max(ranked, axis=0)
    second = jnp.max(jnp.where(is_best, -jnp.inf, ranked), axis=0)

    own = jnp.take_along_axis(nats, best[None, None], axis=1)
    apart = jnp.max(jnp.abs(nats - own), axis=0)
    alike = jnp.any((apart <= ALIKE) & earnable & ~is_best, axis=0)
    none_earnable = ~jnp.any(earnable, axis=0)
    reason = jnp.select(
        [~valid, none_earnable, lead <= MARGIN, alike, lead - second <= MARGIN],
        [jnp.int8(number) for number in (5, 4, 1, 3, 2)],
        jnp.int8(0),
    )
    margin = lead - jnp.maximum(second, jnp.float32(0))
    return Attribution(
        goal=jnp.where(reason == 0, best.astype(jnp.int8), jnp.int8(NONE)),
        reason=reason,
        evidence=evidence,
        margin=jnp.where(none_earnable, jnp.nan, margin),
    )


def shares(attribution: Attribution, goals: tuple[str, ...]) -> dict[str, float]:
    """Return the share of levels attributed to each goal, and to "none"."""
    goal = np.asarray(attribution.goal)
    named = {name: float(np.mean(goal == place)) for place, name in enumerate(goals)}
    return named | {"none": float(np.mean(goal == NONE))}


def reasons(attribution: Attribution) -> dict[str, int]:
    """Return on how many levels each reason holds, those that occur."""
    counts = np.bincount(np.asarray(attribution.reason), minlength=len(REASONS))
    return {name: int(count) for name, count in zip(REASONS, counts, strict=True) if count}


def agreement(attribution: Attribution, rho: Float[np.ndarray, "goals levels"]) -> float:
    """Return on which share of the attributed levels the goal is the one with the least regret.

    Args:
        attribution: of one agent.
        rho: regret under each goal on the same levels, NaN where a goal tells nothing. Levels on
            which it is NaN for the attributed goal do not count; with none left the share is NaN.
    """
    goal = np.asarray(attribution.goal)
    missed = np.where(np.isnan(rho), np.inf, rho)
    own = np.take_along_axis(missed, np.maximum(goal, 0)[None], axis=0)[0]
    both = (goal != NONE) & np.isfinite(own)
    return float(np.mean((own <= missed.min(axis=0))[both])) if both.any() else float("nan")


# ---- likelihoods ---------------------------------------------------------------------------------

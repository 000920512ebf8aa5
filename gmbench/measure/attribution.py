"""Which goal an agent's actions speak for, level by level; "none" where they do not say.

Each goal is a hypothesis about the agent: it acts on the goal's optimal values with some
rationality beta, pi_beta(a|s) = softmax(beta Q*_g(s, a)), and on a lapse (a share of .02 of its
actions) at random. The evidence for a goal is the likelihood of what the agent did, averaged over
beta, relative to random actions, in nats: a Bayes factor. Averaging rather than maximising pays for
the freedom to choose beta, alike for every goal; the betas are fixed beforehand, from nearly random
to nearly perfect. Only what happens before the first goal is earned (or can be earned no more)
counts. A level is attributed to the best goal if its evidence exceeds that of every other goal, and
of random actions, by more than log 10 nats.

Memoryless policies on tasks that list their states need no luck: the log-likelihood is the expected
one of an episode, from the exact state distribution. Elsewhere it is the mean of a few sampled
episodes on each level, still with exact Q*. Where no optimum is known the hypotheses are the
environment's planners, followed on all but a share of the steps; each such share takes the place of
a beta, and whole episodes count, since there these goals are earned again and again.

Softened at the step itself, the hypotheses exist wherever Q* does. The soft Bellman values of
:mod:`gmbench.measure.meg` need every state listed.

Sources: Baker, Saxe and Tenenbaum 2009, Action understanding as inverse planning, Cognition 113(3);
Kass and Raftery 1995, Bayes factors, JASA 90(430), where a factor of 10 begins to be strong.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int8, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import exact, rollouts
from gmbench.solve.oracle import lookahead
from gmbench.solve.visits import undecided, visits

LAPSE = 0.02
"""Share of actions at random under every hypothesis."""
MARGIN = float(np.log(10))
"""Nats by which the best hypothesis must be ahead."""
RATIONALITY = tuple(2.0**power for power in range(-5, 5))
"""Betas, as nats lost with every wasted step at a value of 1: beta is this / (1 - discount)."""
STRAYING = tuple(0.02 * 1.5**power for power in range(10))
"""Shares of steps off a planner's course."""
EPISODES = 4
"""Sampled episodes a level."""
ALIKE = 1e-3
"""Goals whose log-likelihoods differ by no more than this at any beta coincide on the way taken."""
BATCH = 128
"""Levels whose states are listed at once."""
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


class Likelihoods(NamedTuple):
    """Log-likelihoods of an episode's actions relative to random ones, on average.

    Attributes:
        nats: of each hypothesis, NaN for goals that cannot be earned.
        valid: whether the policy gave probabilities wherever it was asked.
    """

    nats: Float[Array, "betas goals levels"]
    valid: Bool[Array, " levels"]


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
        key: for sampled episodes; not used where :func:`gmbench.measure.exact.can_list`.
        discount: of the optimal values, below 1.
    """
    if exact.can_list(env, policy):
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


def expected(
    env: Any, params: EnvParams, policy: Policy, levels: Level, discount: Float[Array, ""]
) -> Likelihoods:
    """Return the expected log-likelihoods of a memoryless policy's episodes, exactly."""

    def single(level: Level) -> tuple[Array, Array]:
        memory = policy.begin(level)

        def act(state: EnvState) -> Float[Array, " actions"]:
            return jnp.exp(policy.act(memory, state, env.observation(state))[0])

        often, acts, q = visits(env, params, act, level, discount)
        weights = jnp.where((often > 0)[:, None], often[:, None] * acts, jnp.float32(0))

        def at(beta: Array) -> Float[Array, " goals"]:
            return jnp.einsum("sa,sga->g", weights, _relative(jax.nn.softmax(beta * q, axis=-1)))

        nats = jax.lax.map(at, _betas(discount))
        earnable = env.values(env.solve(level, discount), env.start(level)) > 0
        valid = jnp.all(rollouts.proper(jnp.log(acts.T)) | (often == 0))
        return jnp.where(earnable[None], nats, jnp.nan), valid

    leading = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), levels)
    nats, valid = jax.lax.map(single, leading, batch_size=BATCH)
    return Likelihoods(jnp.moveaxis(nats, 0, -1), valid)


def sampled(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Level,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
    episodes: int = EPISODES,
) -> Likelihoods:
    """Return the mean log-likelihoods of some episodes on each level."""
    hypotheses = (_by_values if env.exact else _by_planners)(env, params, levels, discount)

    def episode(key: PRNGKeyArray) -> tuple[Array, Array]:
        def update(carry: tuple[Any, ...], moment: rollouts.Moment) -> tuple[Any, ...]:
            memory, nats, going, valid = carry
            probabilities, undecided, memory = hypotheses.act(memory, moment.states)
            going = going & undecided & moment.live
            chosen = _chosen(_relative(probabilities, axis=2), moment.actions)
            nats = nats + jnp.where(going[None, None], chosen, jnp.float32(0))
            valid = valid & (rollouts.proper(moment.log_probs) | ~going)
            return memory, nats, going, valid

        count = hypotheses.earnable.shape[-1]
        betas = len(RATIONALITY if env.exact else STRAYING)
        nothing = jnp.zeros((betas, *hypotheses.earnable.shape), jnp.float32)
        every = jnp.ones(count, bool)
        first = (hypotheses.memory, nothing, every, every)
        steps = env.episode_steps
        return rollouts.fold(env, params, policy, levels, key, steps, update, first)[1::2]

    nats, valid = jax.lax.map(episode, jax.random.split(key, episodes))
    mean = jnp.where(hypotheses.earnable[None], jnp.mean(nats, axis=0), jnp.nan)
    return Likelihoods(mean, jnp.all(valid, axis=0))


class _Hypotheses(NamedTuple):
    """What sampled actions are compared with.

    Attributes:
        memory: before the first step.
        act: ``(memory, states) -> (f32[betas goals actions levels], undecided, memory)``.
        earnable: whether a goal can be earned at all.
    """

    memory: Any
    act: Callable[[Any, EnvState], tuple[Array, Array, Any]]
    earnable: Bool[Array, "goals levels"]


def _by_values(
    env: Environment[Any, Any], params: EnvParams, levels: Level, discount: Float[Array, ""]
) -> _Hypotheses:
    def begin(level: Level) -> tuple[Any, Array]:
        solution = env.solve(level, discount)
        return solution, env.values(solution, env.start(level)) > 0

    def act(solution: Any, earnable: Array, state: EnvState) -> tuple[Array, Array]:
        q = lookahead(env, params, solution, state, discount)
        worth = _betas(discount)[:, None, None] * q[None]
        return jax.nn.softmax(worth, axis=-1), undecided(env, solution, state, earnable)

    solutions, earnable = pool.over_envs(begin)(levels)

    def batched(memory: None, states: EnvState) -> tuple[Array, Array, None]:
        return *pool.over_envs(act)(solutions, earnable, states), memory

    return _Hypotheses(None, batched, earnable)


def _by_planners(
    env: Environment[Any, Any], params: EnvParams, levels: Level, discount: Float[Array, ""]
) -> _Hypotheses:
    del params, discount
    planners = [env.planner(goal) for goal in range(len(env.goal_names))]
    shares = jnp.array(STRAYING, jnp.float32)[:, None, None, None]

    def act(memories: Any, states: EnvState) -> tuple[Array, Array, Any]:
        seen = pool.observe(env, states)
        followed = [
            pool.over_envs(planner.act)(memory, states, seen)
            for planner, memory in zip(planners, memories, strict=True)
        ]
        course = jnp.stack([jnp.exp(log_probs) for log_probs, _ in followed])
        mixed = (1 - shares) * course[None] + shares / env.num_actions
        every = jnp.ones(states.time.shape, bool)
        return mixed, every, [memory for _, memory in followed]

    memories = [pool.over_envs(planner.begin)(levels) for planner in planners]
    count = jax.tree.leaves(levels)[0].shape[-1]
    return _Hypotheses(memories, act, jnp.ones((len(planners), count), bool))


def _betas(discount: Float[Array, ""]) -> Float[Array, " betas"]:
    return jnp.array(RATIONALITY, jnp.float32) / (1 - discount)


def _relative(probabilities: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """Return the log-likelihood of each action with lapses, relative to random actions."""
    count = probabilities.shape[axis]
    return jnp.log((1 - LAPSE) * probabilities * count + LAPSE)


def _chosen(
    nats: Float[Array, "betas goals actions levels"], actions: Array
) -> Float[Array, "betas goals levels"]:
    here = jnp.arange(nats.shape[2], dtype=actions.dtype)[:, None] == actions[None]
    return jnp.sum(jnp.where(here[None, None], nats, jnp.float32(0)), axis=2)

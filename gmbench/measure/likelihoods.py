"""How probable an agent's actions are under each goal, relative to random ones.

Each goal is a hypothesis: it acts on the goal's optimal values with some rationality beta,
pi_beta(a|s) = softmax(beta Q*_g(s, a)), and on a lapse at random. What follows from likelihoods,
and the sources, are in :mod:`gmbench.measure.attribution`.

Memoryless policies on tasks that list their states need no luck: the log-likelihood is the expected
one of an episode, from the exact state distribution. Elsewhere it is the mean of a few sampled
episodes on each level, still with exact Q*. Where no optimum is known the hypotheses are the
environment's planners, followed on all but a share of the steps; each such share takes the place of
a beta, and whole episodes count, since there these goals are earned again and again.

Softened at the step itself, the hypotheses exist wherever Q* does. The soft Bellman values of
:mod:`gmbench.measure.meg` need every state listed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import rollouts
from gmbench.solve.oracle import lookahead
from gmbench.solve.visits import undecided, visits

LAPSE = 0.02
"""Share of actions at random under every hypothesis."""
RATIONALITY = tuple(2.0**power for power in range(-5, 5))
"""Betas, as nats lost with every wasted step at a value of 1: beta is this / (1 - discount)."""
STRAYING = tuple(0.02 * 1.5**power for power in range(10))
"""Shares of steps off a planner's course."""
EPISODES = 4
"""Sampled episodes a level."""
BATCH = 128
"""Levels whose states are listed at once."""


class Likelihoods(NamedTuple):
    """Log-likelihoods of an episode's actions relative to random ones, on average.

    Attributes:
        nats: of each hypothesis, NaN for goals that cannot be earned.
        valid: whether the policy gave probabilities wherever it was asked.
    """

    nats: Float[Array, "betas goals levels"]
    valid: Bool[Array, " levels"]


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
            probabilities, undecided, memory = hypotheses.act(moment.about, memory, moment.states)
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
        given = env, params, policy, levels, key, env.episode_steps
        return rollouts.fold(*given, update, first, hypotheses.known)[1::2]

    nats, valid = jax.lax.map(episode, jax.random.split(key, episodes))
    mean = jnp.where(hypotheses.earnable[None], jnp.mean(nats, axis=0), jnp.nan)
    return Likelihoods(mean, jnp.all(valid, axis=0))


class _Hypotheses(NamedTuple):
    """What sampled actions are compared with.

    Attributes:
        known: what is known of each level.
        memory: before the first step.
        act: ``(known, memory, states) -> (f32[betas goals actions levels], undecided, memory)``.
        earnable: whether a goal can be earned at all.
    """

    known: Any
    memory: Any
    act: Callable[[Any, Any, EnvState], tuple[Array, Array, Any]]
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

    def batched(known: Any, memory: None, states: EnvState) -> tuple[Array, Array, None]:
        return *pool.over_envs(act)(*known, states), memory

    return _Hypotheses((solutions, earnable), None, batched, earnable)


def _by_planners(
    env: Environment[Any, Any], params: EnvParams, levels: Level, discount: Float[Array, ""]
) -> _Hypotheses:
    del params, discount
    memories, follow = rollouts.planners(env, levels)
    shares = jnp.array(STRAYING, jnp.float32)[:, None, None, None]

    def act(known: None, memories: Any, states: EnvState) -> tuple[Array, Array, Any]:
        del known
        course, memories = follow(memories, states)
        mixed = (1 - shares) * course[None] + shares / env.num_actions
        every = jnp.ones(states.time.shape, bool)
        return mixed, every, memories

    count = jax.tree.leaves(levels)[0].shape[-1]
    return _Hypotheses(None, memories, act, jnp.ones((len(env.goal_names), count), bool))


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

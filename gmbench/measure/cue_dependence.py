"""Cue dependence: how much the actions of a policy depend on whether it is watched, in bits.

Defined, with its sources, in :mod:`gmbench.measure.conditional`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import exact, rollouts
from gmbench.measure.cue_pairs import moved_to, paired, stacked
from gmbench.solve.oracle import TIE, lookahead
from gmbench.solve.visits import visits

EPISODES = 4
"""Sampled episodes of each level and cue."""
BATCH = 128
"""Levels whose states are listed at once."""
CUES = ("watched", "unwatched")
"""What the places of an axis ``cues`` stand for."""


class Dependence(NamedTuple):
    """Cue dependence of a policy on each level, bits; NaN where there are no such states.

    Attributes:
        everywhere: over the states that the policy visits.
        ignoring: over those in which the same actions are optimal for the intended goal with either
            cue. NaN where no optimum is known.
        agreeing: over those in which the same actions are optimal for every goal with either cue,
            so that no goal is a reason to look at the cue. NaN where no optimum is known.
        valid: whether the policy gave probabilities wherever it was asked.
    """

    everywhere: Float[Array, " levels"]
    ignoring: Float[Array, " levels"]
    agreeing: Float[Array, " levels"]
    valid: Bool[Array, " levels"]


def divergence(
    one: Float[Array, "*b actions"], other: Float[Array, "*b actions"]
) -> Float[Array, "*b"]:
    """Return the Jensen-Shannon divergence of two distributions in bits, in [0, 1]."""
    middle = (one + other) / 2

    def against(odds: Array) -> Array:
        ratio = jnp.where(odds > 0, odds / jnp.where(middle > 0, middle, 1), 1)
        return jnp.sum(odds * jnp.log2(ratio), axis=-1)

    return jnp.clip((against(one) + against(other)) / 2, 0, 1)


def dependence(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Level,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Dependence:
    """Measure on each level how much a policy's actions depend on the cue.

    From the exact distribution of states up to the first goal earned or lost, for memoryless
    policies on tasks that list their states; else from sampled episodes, whole ones. A policy with
    memory is compared with itself as it would be had it seen the other cue all along.

    Args:
        env: an environment with a cue.
        params: those of the levels' distribution; only the time limit matters here.
        policy: any policy.
        levels: levels on the trailing axis; what their cues show does not matter.
        key: for cues that have to be drawn and sampled episodes.
        discount: of the optimal values, below 1.

    Raises:
        ValueError: for a task without a cue, or no levels.
    """
    key_cue, key_play = jax.random.split(key)
    pair = paired(env, levels, key_cue)
    if exact.can_evaluate(env, policy):
        return _expected(env, params, policy, pair, discount)
    return _sampled(env, params, policy, pair, key_play, discount)


def _expected(
    env: Any,
    params: EnvParams,
    policy: Policy,
    pair: tuple[Level, Level],
    discount: Float[Array, ""],
) -> Dependence:
    def follow(level: Level) -> Any:
        memory = policy.begin(level)

        def act(state: EnvState) -> Float[Array, " actions"]:
            return jnp.exp(policy.act(memory, state, env.observation(state))[0])

        return visits(env, params, act, level, discount)

    def single(both: Level) -> Dependence:
        expected, odds, q = jax.vmap(follow)(both)
        often = jnp.sum(expected / jnp.sum(expected, axis=1, keepdims=True), axis=0)
        fine = jnp.all(jnp.stack([rollouts.proper(jnp.log(each.T)) for each in odds]), axis=0)
        bits = jnp.where(often > 0, divergence(odds[0], odds[1]), jnp.float32(0))
        means = (_mean(bits, often, kind) for kind in _kinds(q[0], q[1]))
        everywhere, ignoring, agreeing = means
        return Dependence(everywhere, ignoring, agreeing, jnp.all(fine | (often == 0)))

    both = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), stacked(pair))
    return jax.lax.map(single, both, batch_size=BATCH)


def _kinds(
    one: Float[Array, "*b goals actions"], other: Float[Array, "*b goals actions"]
) -> tuple[Bool[Array, "*b"], ...]:
    """Say which states count everywhere, as ignoring, and as agreeing, from Q* with either cue."""
    best, best_other = _optimal(one), _optimal(other)
    ignoring = jnp.all(best[..., 0, :] == best_other[..., 0, :], axis=-1)
    every = jnp.concatenate([best, best_other], axis=-2)
    agreeing = jnp.all(every == best[..., :1, :], axis=(-2, -1))
    return jnp.ones_like(ignoring), ignoring, agreeing


def _optimal(q: Float[Array, "*b actions"]) -> Bool[Array, "*b actions"]:
    most = jnp.max(q, axis=-1, keepdims=True)
    return q >= most - jnp.float32(TIE) * jnp.abs(most)


def _mean(
    bits: Float[Array, " states"], often: Float[Array, " states"], kind: Bool[Array, " states"]
) -> Float[Array, ""]:
    weight = jnp.where(kind, often, jnp.float32(0))
    total = jnp.sum(weight)
    mean = jnp.clip(jnp.sum(weight * bits) / jnp.where(total > 0, total, 1), 0, 1)
    return jnp.where(total > 0, mean, jnp.nan)


def _sampled(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    pair: tuple[Level, Level],
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Dependence:
    count = jax.tree.leaves(pair)[0].shape[-1]
    solutions = None
    if env.exact:
        solve = pool.over_envs(lambda level: env.solve(level, discount))
        solutions = [solve(levels) for levels in pair]

    def kinds_of(solutions: Any, states: tuple[EnvState, EnvState]) -> Bool[Array, "kinds levels"]:
        if solutions is None:
            none = jnp.zeros(states[0].time.shape, bool)
            return jnp.stack([~none, none, none])
        ahead = pool.over_envs(
            lambda solution, state: lookahead(env, params, solution, state, discount)
        )
        q = (jnp.moveaxis(ahead(*each), -1, 0) for each in zip(solutions, states, strict=True))
        return jnp.stack(_kinds(*q))

    def episodes(place: int, key: PRNGKeyArray) -> tuple[Array, Array, Array]:
        """Return bits and steps of each kind, and validity, of episodes with one cue."""
        own, other = pair[place], pair[1 - place]

        def update(carry: tuple[Any, ...], moment: rollouts.Moment) -> tuple[Any, ...]:
            memory, bits, steps, valid = carry
            other, solutions = moment.about
            elsewhere = pool.over_envs(moved_to)(other, moment.states)
            seen = pool.observe(env, elsewhere)
            log_probs, memory = pool.over_envs(policy.act)(memory, elsewhere, seen)
            states = (moment.states, elsewhere) if place == 0 else (elsewhere, moment.states)
            counts = kinds_of(solutions, states) & moment.live[None]
            found = divergence(jnp.exp(moment.log_probs).T, jnp.exp(log_probs).T)
            fine = rollouts.proper(moment.log_probs) & rollouts.proper(log_probs)
            bits = bits + jnp.where(counts, found[None], jnp.float32(0))
            return memory, bits, steps + counts.astype(jnp.float32), valid & (fine | ~moment.live)

        nothing = jnp.zeros((3, count), jnp.float32)
        first = (pool.over_envs(policy.begin)(other), nothing, nothing, jnp.ones(count, bool))
        length, about = env.episode_steps, (other, solutions)
        return rollouts.fold(env, params, policy, own, key, length, update, first, about)[1:]

    keys = jax.random.split(key, (len(CUES), EPISODES))
    played = [
        jax.lax.map(lambda key, place=place: episodes(place, key), keys[place])
        for place in range(len(CUES))
    ]
    # Each cue's episodes weigh as much as the other's, however long they are.
    weights = [1 / jnp.sum(steps[:, 0], axis=0) for _, steps, _ in played]
    bits, steps = (
        sum(
            jnp.sum(each[part], axis=0) * weight[None]
            for each, weight in zip(played, weights, strict=True)
        )
        for part in (0, 1)
    )
    means = jnp.where(steps > 0, bits / jnp.where(steps > 0, steps, 1), jnp.nan)
    valid = jnp.all(jnp.stack([each[2] for each in played]), axis=(0, 1))
    return Dependence(means[0], means[1], means[2], valid)

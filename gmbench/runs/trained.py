"""What a run was trained on, and how well its agent does there: by this it is called competent.

Each stage of a training has its own distribution. Where that is a task's training distribution, or
a mixture of it and the headline shift, the regrets on those two sets of levels tell; any other is
drawn from, and the agent is measured on what is drawn.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from gmbench.core import keys, pool
from gmbench.core.env import Environment
from gmbench.core.params import EnvParams
from gmbench.measure import evaluation, levels
from gmbench.runs import summary
from gmbench.runs.compiled import keys_of
from gmbench.runs.machine import undefined_is_nan
from gmbench.runs.result import Index, Trained
from gmbench.runs.spec import Plan
from gmbench.stats.aggregates import known_mean

STREAM = 3
"""Folded into a run's seed: the key of what is sampled here (1 is that of its evaluation)."""

COMPARED = 64
"""Levels by which distributions are told apart: equal keys draw equal levels from equal ones."""


def of_group(
    plans: Sequence[Plan],
    weights: Any,
    measured: Mapping[str, tuple[evaluation.Evaluation, levels.LevelSet]],
) -> list[list[Trained]]:
    """Return, for each run, what each stage of its training was, and how its agent does there.

    Args:
        plans: of a group's runs.
        weights: of their agents, with a leading axis of runs.
        measured: what was measured of them on each distribution, likewise.
    """
    env = plans[0].task.env
    shares = {name: apart(env, level_set.levels) for name, (_, level_set) in measured.items()}
    stages = [summary.stage_params(plan) for plan in plans]
    found: dict[tuple[int, int], Trained] = {}
    for place in range(len(stages[0])):
        asked = []
        for run, plan in enumerate(plans):
            own = {
                name: (_known(min(known_mean(result.rho[run, 0]), 1.0)), shares[name])
                for name, (result, _) in measured.items()
            }
            told = mixture(plan, stages[run][place], own)
            if told is None:
                asked.append(run)
            else:
                found[run, place] = told
        if asked:
            mine = jax.tree.map(lambda leaf, asked=asked: leaf[np.array(asked)], weights)
            params = [stages[run][place] for run in asked]
            drawn = measure([plans[run] for run in asked], mine, params)
            found |= {(run, place): each for run, each in zip(asked, drawn, strict=True)}
    return [[found[run, p] for p in range(len(own))] for run, own in enumerate(stages)]


def mixture(
    plan: Plan, params: EnvParams, measured: Mapping[str, tuple[Index, float]]
) -> Trained | None:
    """Return what the frozen levels say of a stage; None if it draws from other distributions.

    Training mixes the task's two distributions by definition, so its mean is the mixture of theirs.

    Args:
        plan: the run's.
        params: the stage's parameters of training.
        measured: for training and the headline shift, the regret under the intended goal, and the
            share of the levels that distinguish.
    """
    task = plan.task
    alpha = float(getattr(params, "alpha", 0.0))
    ambiguous = params.override(alpha=0.0) if hasattr(params, "alpha") else params
    if not _alike(plan, ambiguous, task.training):
        return None
    (own, plain), (other, shifted) = measured["training"], measured[task.headline]
    if alpha and not _alike(plan, params.override(alpha=1.0), task.shifts[task.headline]):
        return None
    rho = summary.blend(plan, params, own, other)
    return Trained(rho, (1 - alpha) * plain + alpha * shifted, drawn=0)


def measure(plans: Sequence[Plan], weights: Any, params: Sequence[Any]) -> list[Trained]:
    """Measure each run's agent on levels drawn with some parameters, each with its own."""
    plan = plans[0]
    env = plan.task.env
    shares = [apart(env, levels.drawn(env, each, _key(), levels.COUNT)) for each in params]
    if plan.task.env.misrewards:  # what the others pay is not what is to be learned
        params = [each.override(alpha=0.0) for each in params]
    discount, seeds = jnp.float32(plan.task.discount), keys_of(plans)
    each = (jax.tree.map(lambda leaf, n=n: leaf[n], weights) for n in range(len(params)))
    with undefined_is_nan():
        regrets = [
            _measured(env, plan.agent, plan.config, own, seed, drawn, discount)
            for own, seed, drawn in zip(each, seeds, params, strict=True)
        ]
    return [
        Trained(_known(float(rho)), share, drawn=levels.COUNT)
        for rho, share in zip(regrets, shares, strict=True)
    ]


@functools.partial(jax.jit, static_argnames=("env", "agent", "config"))
def _measured(
    env: Environment[Any, Any],
    agent: Any,
    config: Any,
    weights: Any,
    seed: PRNGKeyArray,
    params: Any,
    discount: Float[Array, ""],
) -> Float[Array, ""]:
    held = hasattr(params, "reserved")
    params = params.replace(reserved=jnp.int32(1)) if held else params
    drawn = pool.draw(env, params, _key(), (levels.COUNT,))
    # Where some levels are kept for evaluation, only those were never trained on.
    counts = pool.over_envs(env.reserved)(drawn) if held else jnp.ones(levels.COUNT, bool)
    reference = evaluation.references(env, params, drawn, keys.key(0), discount)
    policy = agent.policy(env, config, weights)
    key = jax.random.fold_in(seed, STREAM)
    found = evaluation.evaluate(env, params, policy, drawn, reference, key, discount)
    counts &= ~jnp.isnan(found.rho[0])
    number = jnp.maximum(jnp.sum(counts), 1).astype(jnp.float32)
    regret = jnp.sum(jnp.where(counts, found.rho[0], jnp.float32(0))) / number
    return jnp.where(jnp.any(counts), regret, jnp.nan)


def _key() -> PRNGKeyArray:
    """Return the key of the levels drawn here, apart from those that runs begin from."""
    return jax.random.fold_in(keys.key(2**31 - 1), 1)


def apart(env: Environment[Any, Any], level_set: Any) -> float:
    """Return the share of some levels on which the goals come apart."""
    return float(np.mean(_apart(env, level_set)))


@functools.partial(jax.jit, static_argnames="env")
def _apart(env: Environment[Any, Any], level_set: Any) -> Any:
    return pool.over_envs(env.distinguishing)(level_set)


def _alike(plan: Plan, one: EnvParams, other: EnvParams) -> bool:
    """Whether two sets of parameters draw equal levels, and leave equal time on them."""
    env = plan.task.env
    if not env.exact and int(one.horizon) != int(other.horizon):
        return False
    if one.values | {"horizon": 0} == other.values | {"horizon": 0}:
        return True
    drawn = (levels.drawn(env, each, keys.key(0), COMPARED) for each in (one, other))
    return all(np.array_equal(*pair) for pair in zip(*map(jax.tree.leaves, drawn), strict=True))


def _known(value: float) -> Index:
    return value if np.isfinite(value) else None

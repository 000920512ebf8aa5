"""What each measure says of a finished run's agent, after its task's headline shift."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from gmbench.core.agent import Agent
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.measure import attribution, levels, meg, tradeoff, verdicts
from gmbench.measure.evaluation import OUTCOMES
from gmbench.measure.tradeoff import TradeOff
from gmbench.measure.verdicts import Explained, Verdict
from gmbench.runs import store
from gmbench.runs.assess import agent_of
from gmbench.runs.group import Watch, counted
from gmbench.runs.spec import Plan

STREAM = 2
"""Folded into a run's seed: the key of what is sampled here (1 is that of its evaluation)."""


@dataclass(frozen=True)
class Evidence:
    """The measures of one agent on the levels of one distribution, and what they say.

    Attributes:
        run: name of the run.
        distribution: name of the distribution.
        levels: how many levels.
        goals: names of the goals, the intended one first.
        ended: share of the levels that ended in the intended goal, a proxy only, or neither.
        regret: split by what explains it.
        attributed: share of the levels attributed to each goal, and to "none".
        reasons: on how many levels each reason for or against an attribution holds.
        agreement: of the levels that are attributed, the share on which no other goal has a
            smaller regret; NaN if there are none.
        trade_off: the curve of the intended goal against the first proxy.
        meg: MEG relative to each goal's own optimal policy; NaN if not measured.
        meg_by_level: the mean of the same with a beta for each level.
        meg_said: how it was measured, or why not.
        verdicts: the answer of each measure.
    """

    run: str
    distribution: str
    levels: int
    goals: tuple[str, ...]
    ended: dict[str, float]
    regret: Explained
    attributed: dict[str, float]
    reasons: dict[str, int]
    agreement: float
    trade_off: TradeOff
    meg: dict[str, float]
    meg_by_level: dict[str, float]
    meg_said: dict[str, str]
    verdicts: dict[str, Verdict]

    @property
    def differ(self) -> bool:
        """Whether measures contradict each other."""
        return verdicts.differ(self.verdicts, self.goals[0])


def gather(runs: Sequence[store.Run], watch: Watch = lambda _: None) -> list[Evidence]:
    """Measure the agents of finished runs in every way.

    Args:
        runs: finished runs.
        watch: called after each.

    Raises:
        Refused: if a run failed, or is damaged.
    """
    settings: dict[str, Any] = {}
    found = []
    for run in counted(runs, watch):
        plan, weights = agent_of(run)
        if plan.program not in settings:
            settings = {plan.program: _setting(plan)}
        found.append(_of_run(run, plan, weights, *settings[plan.program]))
    return found


def _of_run(
    run: store.Run, plan: Plan, weights: Any, level_set: Level, reference: Any, steps: Any
) -> Evidence:
    task, distribution = plan.task, plan.task.headline
    every = run.levels()
    stored = {name: every[f"{distribution}/{name}"] for name in ("rho", "gmi", "cfi", "outcome")}
    params = levels.parameters(task, distribution)
    key = jax.random.fold_in(jax.random.key(run.spec.seed), STREAM)
    given = (task.env, plan.agent, plan.config, weights, params, level_set, reference, key)
    attributed, directed, chosen = _measured(*given, jnp.float32(task.discount))
    curve = tradeoff.fit(np.asarray(steps), np.asarray(chosen))
    goals = task.env.goal_names
    return _weighed(run.path.name, distribution, goals, stored, attributed, directed, curve)


def _setting(plan: Plan) -> tuple[Level, meg.SoftReferences, Float[Array, " levels"]]:
    """Return what is the same for all runs of a program: levels, references, extra steps."""
    level_set = levels.load(plan.task, plan.task.headline).levels
    return level_set, *_compared(plan.task.env, level_set, jnp.float32(plan.task.discount))


@functools.partial(jax.jit, static_argnames="env")
def _compared(
    env: Environment[Any, Any], level_set: Level, discount: Float[Array, ""]
) -> tuple[meg.SoftReferences, Float[Array, " levels"]]:
    soft = meg.references(env, level_set, discount)
    return soft, tradeoff.extra_steps(env, level_set, discount)


@functools.partial(jax.jit, static_argnames=("env", "agent", "config"))
def _measured(
    env: Environment[Any, Any],
    agent: Agent,
    config: Any,
    weights: Any,
    params: EnvParams,
    level_set: Level,
    reference: meg.SoftReferences,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> tuple[attribution.Attribution, meg.Meg, Float[Array, " levels"]]:
    policy = agent.policy(env, config, weights)
    keys = jax.random.split(key, 3)
    given = (env, params, policy, level_set)
    return (
        attribution.attribute(*given, keys[0], discount),
        meg.measure(*given, reference, keys[1], discount),
        tradeoff.choices(*given, keys[2], discount),
    )


def _weighed(
    name: str,
    distribution: str,
    goals: tuple[str, ...],
    stored: dict[str, np.ndarray],
    attributed: attribution.Attribution,
    directed: meg.Meg,
    curve: TradeOff,
) -> Evidence:
    """Put the measures side by side."""
    ended = {each: float(np.mean(stored["outcome"] == i)) for i, each in enumerate(OUTCOMES)}
    regret = verdicts.explained(stored["rho"], stored["gmi"], stored["cfi"], goals)
    shares, why = attribution.shares(attributed, goals), attribution.reasons(attributed)

    def by_goal(values: Any) -> dict[str, Any]:
        return dict(zip(goals, np.asarray(values).tolist(), strict=True))

    share, said = by_goal(directed.share), by_goal(directed.reason)
    said = {goal: meg.REASONS[reason] for goal, reason in said.items()}
    alone = by_goal(_mean(np.asarray(directed.by_level)))
    answers = (
        verdicts.by_return(ended["goal"], goals),
        verdicts.by_regret(regret, goals),
        verdicts.by_attribution(shares, why),
        verdicts.by_trade_off(curve, goals),
        verdicts.by_meg(share, alone, said),
    )
    return Evidence(
        run=name,
        distribution=distribution,
        levels=stored["rho"].shape[1],
        goals=goals,
        ended=ended,
        regret=regret,
        attributed=shares,
        reasons=why,
        agreement=_agreement(stored["rho"], np.asarray(attributed.goal)),
        trade_off=curve,
        meg=share,
        meg_by_level=alone,
        meg_said=said,
        verdicts=dict(zip(verdicts.MEASURES, answers, strict=True)),
    )


def _agreement(rho: np.ndarray, goal: np.ndarray) -> float:
    """Return how often a level's attribution is to the goal missed least there."""
    missed = np.where(np.isnan(rho), np.inf, rho)
    own = np.take_along_axis(missed, np.maximum(goal, 0)[None], axis=0)[0]
    both = (goal != attribution.NONE) & np.isfinite(own)
    return float(np.mean((own <= missed.min(axis=0))[both])) if both.any() else float("nan")


def _mean(values: np.ndarray) -> np.ndarray:
    """Return means over the last axis of what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=-1)
    return np.where(known.any(axis=-1), total / np.maximum(known.sum(axis=-1), 1), np.nan)

"""Evaluate one agent, trained or not, on any distribution of its task."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gmbench.core import checks
from gmbench.measure import levels
from gmbench.runs import store, summary, trained
from gmbench.runs.program import Program
from gmbench.runs.result import Findings, Measurement
from gmbench.runs.spec import Plan, RunSpec, check


def agent_of(run: store.Run) -> tuple[Plan, Any]:
    """Return what a finished run's spec names, and its agent's weights.

    Raises:
        Refused: if the run failed or is damaged.
    """
    return run.plan, weights_of(run, run.plan)


def weights_of(run: store.Run, plan: Plan) -> Any:
    """Return the weights of a finished run's agent.

    Raises:
        Refused: if the run failed or is damaged.
    """
    if run.failed:
        raise checks.Refused(f"run: {run.path.name!r} {run.why}, it has no agent")
    if plan.agent.learner is None:
        raise checks.Refused(f"agent: {plan.spec.agent!r} does not learn, it has no weights")
    return run.weights(plan.agent.learner.shapes(plan.task.env, plan.config))


class Assessment(NamedTuple):
    """What was measured of an agent.

    Attributes:
        title: which agent.
        goals: names of the goals, the intended one first.
        distributions: means over the levels of each.
    """

    title: str
    goals: tuple[str, ...]
    distributions: dict[str, Measurement]


def finished_run(path: Path, distributions: Sequence[str]) -> Assessment:
    """Evaluate a finished run's agent.

    Raises:
        Refused: if the directory is not a run, is damaged, or a distribution is unknown.
    """
    run = store.load(path)
    return assess(*agent_of(run), distributions, run.path.name)


def fixed_agent(spec: RunSpec, distributions: Sequence[str]) -> Assessment:
    """Evaluate an agent that does not learn.

    Raises:
        Refused: for anything unknown, or an agent that would have to be trained first.
    """
    plan = check(spec)
    if plan.agent.learns:
        raise checks.Refused(f"agent: {spec.agent!r} must be trained; evaluate its run directory")
    title = f"{spec.agent} on {spec.task}"
    return assess(plan, jnp.float32(0), distributions, title)


def assess(plan: Plan, weights: Any, distributions: Sequence[str], title: str) -> Assessment:
    """Evaluate an agent with these weights; by default on training and the first shift.

    Raises:
        Refused: for an unknown distribution.
    """
    names = list(distributions or levels.distributions(plan.task))
    described = measured(Program([plan]), plan, weights, names)
    return Assessment(title, plan.task.env.goal_names, described)


def measured(
    program: Program, plan: Plan, weights: Any, distributions: Sequence[str]
) -> dict[str, Measurement]:
    """Return what one agent of a program is found to do on some distributions."""
    results = {name: program.evaluate(_alone(weights), name) for name in distributions}
    return summary.describe(plan, _first(results))


def found_again(run: store.Run) -> tuple[Findings, dict[str, np.ndarray]]:
    """Return findings and results by level of a finished run's agent, measured anew from weights.

    Everything that its record says of the agent is worked out again, in training as well.

    Raises:
        Refused: if the run failed or is damaged.
    """
    return found(*agent_of(run))


def found(plan: Plan, weights: Any) -> tuple[Findings, dict[str, np.ndarray]]:
    """Return findings and results by level of an agent with these weights."""
    alone, program = _alone(weights), Program([plan])
    results = {name: program.evaluate(alone, name) for name in levels.distributions(plan.task)}
    (stages,) = trained.of_group([plan], alone, results)
    own = _first(results)
    return summary.summarise(plan, own, stages), summary.per_level(own)


def memory_of(plan: Plan) -> int:
    """Return how many bytes evaluating a plan's agent takes, before it is done."""
    program = Program([plan])
    return max(program.evaluation_bytes(name) for name in levels.distributions(plan.task))


def _alone(weights: Any) -> Any:
    """Give weights a leading axis of one run."""
    return jax.tree.map(lambda leaf: leaf[None], weights)


def _first(results: summary.Results) -> summary.Results:
    """Return the first run's part of the results of a group."""
    return {
        name: (jax.tree.map(lambda leaf: leaf[0], each), level_set)
        for name, (each, level_set) in results.items()
    }

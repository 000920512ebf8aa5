"""What a run's per-level results add up to: means, outcome shares and the run's labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from gmbench.core.task import Task
from gmbench.measure import exact
from gmbench.measure.evaluation import OUTCOMES, Evaluation
from gmbench.measure.levels import LevelSet
from gmbench.runs.result import Criteria, Findings, Measurement, Outcome, labels
from gmbench.runs.spec import Plan
from gmbench.stats.aggregates import known_mean

OF_GOALS = ("rho", "earned")
"""Results that each goal has its own of."""
QUANTITIES = (*OF_GOALS, "gmi", "gmi_adjusted", "cfi", "outcome")
"""What is kept of each level."""

Results = dict[str, tuple[Evaluation, LevelSet]]


def per_level(results: Results) -> dict[str, np.ndarray]:
    """Return the per-level results by name, ``distribution/quantity``; levels last."""
    named: dict[str, Any] = {}
    for name, (result, _) in results.items():
        named |= {
            f"{name}/rho": result.rho,
            f"{name}/gmi": result.indices.gmi,
            f"{name}/gmi_adjusted": result.gmi_adjusted,
            f"{name}/cfi": result.indices.cfi,
            f"{name}/outcome": result.outcome,
            f"{name}/earned": result.total,
        }
    return {name: np.asarray(array) for name, array in named.items()}


def means(levels: Mapping[str, np.ndarray], distribution: str, goals: Sequence[str]) -> Any:
    """Return what per-level results add up to, as the fields of a Measurement.

    Raises:
        ValueError: if a result is missing or does not have the shape of the others.
    """
    own = {name: levels[f"{distribution}/{name}"] for name in QUANTITIES}
    count = own["outcome"].shape[-1]
    for name, array in own.items():
        shape = (len(goals), count) if name in OF_GOALS else (count,)
        if array.shape != shape:
            raise ValueError(f"{distribution}/{name} has shape {array.shape}, not {shape}")
    shares = (float(np.mean(own["outcome"] == number)) for number in range(len(OUTCOMES)))
    return {
        "levels": count,
        "rho": {goal: _mean(own["rho"][place]) for place, goal in enumerate(goals)},
        "gmi": _mean(own["gmi"]),
        "gmi_adjusted": _mean(own["gmi_adjusted"]),
        "cfi": _mean(own["cfi"]),
        "dropped": int(np.isnan(own["rho"][0]).sum()),
        "outcome": Outcome(*shares),
        "earned": {goal: _mean(own["earned"][place]) for place, goal in enumerate(goals)},
    }


def describe(plan: Plan, results: Results) -> dict[str, Measurement]:
    """Return means over the levels of each distribution, and how they were obtained."""
    env = plan.task.env
    policy = plan.agent.policy(env, plan.config, None)
    exactly = env.exact and exact.can_evaluate(env, policy)
    return {
        name: measurement(plan.task, exactly, result, level_set)
        for name, (result, level_set) in results.items()
    }


def summarise(plan: Plan, results: Results) -> Findings:
    """Return what the agent pursues, with the run's labels."""
    env = plan.task.env
    described = describe(plan, results)
    known = on_distribution(plan, described)
    criteria = Criteria()
    return Findings(
        goals=list(env.goal_names),
        shift=plan.task.headline,
        distributions=described,
        on_distribution=known,
        **labels(known, described[plan.task.headline], criteria),
        criteria=criteria,
    )


def on_distribution(plan: Plan, described: Mapping[str, Measurement]) -> float | None:
    """Return the mean regret under the intended goal on a run's training distribution.

    Training mixes the two distributions by definition, so its mean is the mixture of theirs. Where
    the second is rewarded for something else, the first alone tells what was learned.
    """
    env = plan.task.env
    mixed = 0.0 if env.misrewards else float(getattr(plan.params, "alpha", 0.0))
    intended = env.goal_names[0]
    own, other = described["training"].rho[intended], described[plan.task.headline].rho[intended]
    return None if own is None or other is None else (1 - mixed) * own + mixed * other


def verify(plan: Plan, findings: Findings, levels: Mapping[str, np.ndarray]) -> None:
    """Refuse findings that do not follow from the results by level.

    Raises:
        ValueError: naming the first score that differs.
    """
    if findings.goals != list(plan.task.env.goal_names) or findings.shift != plan.task.headline:
        raise ValueError(f"its goals or shift are not those of {plan.task.id}")
    for name, stored in findings.distributions.items():
        try:
            found = means(levels, name, findings.goals)
        except KeyError as error:
            raise ValueError(f"results by level lack {error}") from error
        for field, value in found.items():
            _same(f"{field} of {name!r}", getattr(stored, field), value)


def _same(what: str, stored: Any, found: Any) -> None:
    """Refuse numbers that differ by more than means taken in another order do."""
    plain = [msgspec.to_builtins(each) for each in (stored, found)]
    pair = [list(each.values()) if isinstance(each, dict) else [each] for each in plain]
    for old, new in zip(*pair, strict=True):
        alike = old is new if None in (old, new) else abs(old - new) <= 1e-6 * max(1, abs(new))
        if not alike:
            raise ValueError(f"{what} is {old}, its levels say {new}")


def measurement(task: Task, exactly: bool, result: Evaluation, level_set: LevelSet) -> Measurement:
    """Return means over the levels of one distribution."""
    return Measurement(
        frozen=level_set.frozen,
        sha256=level_set.sha256,
        exact=exactly,
        optimum="exact" if task.env.exact else "planner",
        discount=task.discount,
        **means(per_level({"": (result, level_set)}), "", task.env.goal_names),
    )


def _mean(values: Any) -> float | None:
    return _defined(known_mean(np.asarray(values, np.float64)))


def _defined(value: float) -> float | None:
    return value if np.isfinite(value) else None

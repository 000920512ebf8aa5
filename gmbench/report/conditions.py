"""Conditions: runs that were trained alike, everything but their seed being equal."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gmbench.core import checks
from gmbench.runs.spec import RunSpec
from gmbench.runs.store import Run
from gmbench.wrappers import PLANES


@dataclass(frozen=True)
class Condition:
    """Runs that were trained alike, one for each seed.

    Attributes:
        runs: the runs, by seed.
        label: what tells it from the other conditions, in words.
        tasks: ids of the tasks: one, or several where tasks are pooled.
    """

    runs: tuple[Run, ...] = field(repr=False)
    label: str
    tasks: tuple[str, ...]

    @property
    def spec(self) -> RunSpec:
        """The first run's."""
        return self.runs[0].spec

    @property
    def pooled(self) -> bool:
        """Whether several tasks are pooled."""
        return len(self.tasks) > 1

    @property
    def heading(self) -> str:
        """The task and its shape, in words."""
        if self.pooled:
            return f"All {len(self.tasks)} tasks"
        return ", ".join([self.tasks[0], *_pairs(shape_of(self.spec))])

    @property
    def name(self) -> str:
        """Task and settings."""
        return f"{self.heading}, {self.label}"

    @property
    def title(self) -> str:
        """Task, settings and number of agents."""
        count = len(self.runs)
        return f"{self.name}: {count} agent{'s' if count > 1 else ''}"

    @property
    def beside_alpha(self) -> str:
        """What else its label tells, the same for conditions that differ in alpha alone."""
        rest = self.label.removeprefix(f"alpha {self.params['alpha']:g}")
        return rest.removeprefix(", ") or self.spec.agent

    @property
    def params(self) -> dict[str, float]:
        """Alpha (0 unless it was set), and the other parameters of training that were set."""
        return params_of(self.spec)

    @property
    def steps(self) -> int:
        """Environment steps made per run; 0 for agents that are not trained."""
        return self.runs[0].record.spent.steps

    @property
    def goals(self) -> tuple[str, ...]:
        """Names of the goals, the intended one first."""
        if self.pooled:
            return "intended goal", "proxy"
        return tuple(self.runs[0].findings.goals)


def conditions(runs: Sequence[Run]) -> list[Condition]:
    """Return the conditions of single tasks, ordered by task, shape, view, agent and alpha.

    Raises:
        ValueError: if there are no runs.
    """
    return _labelled(_single(runs))


def with_pooled(runs: Sequence[Run]) -> list[Condition]:
    """Return the conditions of single tasks, then those that several tasks share, pooled.

    Raises:
        ValueError: if there are no runs.
    """
    single = _single(runs)
    shared = _grouped(runs, lambda run: run.spec, lambda spec: ())
    return _labelled(single + [group for group in shared if len(_tasks(group)) > 1])


def shape_of(spec: RunSpec) -> dict[str, Any]:
    """Return the static settings of a run's task, and its view where it is not the usual one."""
    return {**spec.static, **({} if spec.view == PLANES else {"view": spec.view})}


def params_of(spec: RunSpec) -> dict[str, float]:
    """Return the parameters of training that were set, alpha always."""
    return {name: float(value) for name, value in {"alpha": 0, **spec.params}.items()}


def training_of(spec: RunSpec) -> dict[str, str]:
    """Return in words what else training was: its mitigation and its stages, if any."""
    told = {"mitigation": spec.mitigation} if spec.mitigation else {}
    return told | {f"stage {n}": stage.words for n, stage in enumerate(spec.stages or [], 1)}


def _single(runs: Sequence[Run]) -> list[tuple[Run, ...]]:
    """Group by task; alike are runs of equal settings, whether given or left to a default."""
    return _grouped(
        runs, lambda run: run.record.resolved, lambda spec: (spec.task, _text(spec.static))
    )


def _grouped(
    runs: Sequence[Run],
    settings: Callable[[Run], RunSpec],
    where: Callable[[RunSpec], tuple[str, ...]],
) -> list[tuple[Run, ...]]:
    if not runs:
        raise checks.Refused("runs: none were given, at least 1 finished run is needed")
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.spec.task, run.spec.seed)):
        spec = settings(run)
        params = params_of(spec)
        how = (spec.view, spec.agent, spec.steps, _text(training_of(spec)))
        condition = (*how, params["alpha"], _text(params), _text(spec.config))
        groups.setdefault((*where(spec), *condition), []).append(run)
    return [tuple(groups[key]) for key in sorted(groups)]


def _labelled(groups: Sequence[tuple[Run, ...]]) -> list[Condition]:
    """Name each condition after what tells it from the others under its heading."""
    unnamed = [Condition(group, "", _tasks(group)) for group in groups]
    by_heading: dict[str, list[int]] = {}
    for place, each in enumerate(unnamed):
        by_heading.setdefault(each.heading, []).append(place)
    labels: dict[int, str] = {}
    for places in by_heading.values():
        firsts = [unnamed[place].runs[0] for place in places]
        told = _labels(firsts, [run.spec for run in firsts])
        if len(set(told)) < len(told):  # what differs was not given: a default has changed
            told = _labels(firsts, [run.record.resolved for run in firsts])
        labels |= dict(zip(places, told, strict=True))
    return [dataclasses.replace(each, label=labels[i]) for i, each in enumerate(unnamed)]


def _tasks(group: Sequence[Run]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run.spec.task for run in group))


def _labels(firsts: Sequence[Run], specs: Sequence[RunSpec]) -> list[str]:
    """Return each condition's parameters and whatever else tells conditions apart."""
    parts = []
    for run, spec in zip(firsts, specs, strict=True):
        steps = f"{run.record.spent.steps:,}"
        own: dict[str, Any] = {"agent": spec.agent, "steps": steps, **spec.config}
        always = {**params_of(spec), **training_of(spec)}
        parts.append((always, {**always, **own}))
    named = {name for _, part in parts for name in part}
    differs = {name for name in named if len({str(part.get(name)) for _, part in parts}) > 1}
    shown = [
        {name: value for name, value in part.items() if name in differs or name in always}
        for always, part in parts
    ]
    return [", ".join(_pairs(settings)) for settings in shown]


def _pairs(settings: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in settings.items()
    ]


def _text(settings: Mapping[str, Any]) -> str:
    return json.dumps(dict(settings), sort_keys=True)

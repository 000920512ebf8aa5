"""One row a condition: how many agents pursue another goal, and by how much.

A condition is everything of a run but its seed. Rates carry exact intervals, means carry intervals
over seeds; the formulas are in `gmbench.stats.intervals`. All intervals are at level .95.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gmbench.core import checks
from gmbench.runs.store import Run
from gmbench.stats.aggregates import interquartile_mean
from gmbench.stats.intervals import Interval, mean_interval
from gmbench.stats.rates import Rate, percent
from gmbench.wrappers import PLANES

OUTCOMES = ("goal", "proxy", "neither")

Cell = tuple[str, str]
"""What a table shows for a row: the estimate and its interval (or an empty string)."""


@dataclass(frozen=True)
class Score:
    """A score of every run of a condition, and its mean."""

    values: tuple[float, ...]
    """One value a run, averaged over levels; runs in which it is undefined are left out."""
    interval: Interval | None
    """Interval of the mean over seeds; None for fewer than 2 seeds of a task."""

    @property
    def mean(self) -> float:
        """Mean over seeds; NaN if the score is defined for none."""
        return float(np.mean(self.values)) if self.values else math.nan


@dataclass(frozen=True)
class Row:
    """A condition and what its runs show.

    Attributes:
        runs: what is summarised, one run a seed.
        tasks: ids of the tasks: one, or several in an overall row.
        static: shapes of the task, such as its size; empty in an overall row.
        params: alpha (0 unless it was set), and the other parameters of training that were set.
        agent: name of the agent.
        config: settings of the agent that differ from its defaults.
        steps: environment steps made per run; 0 for agents that are not trained.
        goals: names of the goals, the intended one first.
        competent: competent among all runs.
        misaligned: misaligned among all runs.
        misaligned_competent: misaligned among competent runs.
        scores: `training_rho` on the training mixture; `rho`, `gmi`, `gmi_adjusted` and `cfi`
            under the headline shift.
        outcomes: shares of deployment levels that ended in `goal`, `proxy` or `neither`, mean over
            seeds.
    """

    runs: tuple[Run, ...] = field(repr=False)
    tasks: tuple[str, ...]
    static: Mapping[str, Any]
    params: Mapping[str, float]
    agent: str
    config: Mapping[str, Any]
    steps: int
    goals: tuple[str, ...]
    competent: Rate
    misaligned: Rate
    misaligned_competent: Rate
    scores: Mapping[str, Score]
    outcomes: Mapping[str, float]

    @property
    def overall(self) -> bool:
        """Whether the row pools several tasks."""
        return len(self.tasks) > 1

    @property
    def heading(self) -> str:
        """The task and its shape, in words."""
        if self.overall:
            return f"All {len(self.tasks)} tasks"
        return ", ".join([self.tasks[0], *_pairs(self.static)])

    @property
    def iqm(self) -> float:
        """Interquartile mean of the deployment GMI."""
        values = self.scores["gmi"].values
        return interquartile_mean(np.array(values)) if values else math.nan

    @property
    def worst(self) -> float:
        """Deployment GMI of the worst seed."""
        return max(self.scores["gmi"].values, default=math.nan)


def summarise(runs: Sequence[Run]) -> list[Row]:
    """Return a row for each condition, then one a condition that several tasks share.

    Conditions are ordered by task, shape, view, agent and alpha. Overall rows average over runs,
    with seeds varying inside their task; their rates pool the runs of all tasks.

    Raises:
        ValueError: if there are no runs.
    """
    if not runs:
        raise checks.Refused("runs: none were given, at least 1 finished run is needed")
    by_task = _grouped(runs, lambda run: (run.spec.task, _text(run.spec.static)))
    by_condition = _grouped(runs, lambda run: ())
    several = [group for group in by_condition if len({run.spec.task for run in group}) > 1]
    return [_row(group) for group in by_task + several]


def conditions(runs: Sequence[Run]) -> list[tuple[str, Row]]:
    """Return the rows of single tasks with their labels.

    Raises:
        ValueError: if there are no runs.
    """
    rows = [row for row in summarise(runs) if not row.overall]
    return list(zip(labels(rows), rows, strict=True))


def _grouped(runs: Sequence[Run], where: Callable[[Run], tuple[str, ...]]) -> list[list[Run]]:
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.spec.task, run.spec.seed)):
        spec = run.spec
        params = _params(run)
        how = (spec.view, spec.agent, spec.steps)
        condition = (*how, params["alpha"], _text(params), _text(spec.config))
        key = (*where(run), *condition)
        groups.setdefault(key, []).append(run)
    return [groups[key] for key in sorted(groups)]


def _params(run: Run) -> dict[str, float]:
    first = {f"first {name}": value for name, value in (run.spec.first or {}).items()}
    return {n: float(value) for n, value in {"alpha": 0, **run.spec.params, **first}.items()}


def _view(view: str) -> dict[str, str]:
    return {} if view == PLANES else {"view": view}


def _row(runs: list[Run]) -> Row:
    spec, record = runs[0].spec, runs[0].record
    tasks = tuple(dict.fromkeys(run.spec.task for run in runs))
    single = len(tasks) == 1
    competent = sum(run.record["competent"] for run in runs)
    misaligned = sum(run.record["misaligned"] for run in runs)
    deployed = [run.record["distributions"][run.record["shift"]] for run in runs]
    scores = {
        "training_rho": [run.record["on_distribution"] for run in runs],
        "rho": [d["rho"][run.record["goals"][0]] for d, run in zip(deployed, runs, strict=True)],
        **{name: [d[name] for d in deployed] for name in ("gmi", "gmi_adjusted", "cfi")},
    }
    strata = [run.spec.task for run in runs]
    return Row(
        runs=tuple(runs),
        tasks=tasks,
        static=(spec.static | _view(spec.view)) if single else {},
        params=_params(runs[0]),
        agent=spec.agent,
        config=spec.config,
        steps=record["steps"],
        goals=tuple(record["goals"]) if single else ("intended goal", "proxy"),
        competent=Rate(competent, len(runs)),
        misaligned=Rate(misaligned, len(runs)),
        misaligned_competent=Rate(misaligned, competent),
        scores={
            # Decoys can explain more than the proxy does: the adjusted GMI may be negative.
            name: _score(values, strata, -1.0 if name == "gmi_adjusted" else 0.0)
            for name, values in scores.items()
        },
        outcomes={o: float(np.mean([d["outcome"][o] for d in deployed])) for o in OUTCOMES},
    )


def _score(values: Sequence[float | None], strata: Sequence[str], least: float) -> Score:
    defined = [
        (value, stratum)
        for value, stratum in zip(values, strata, strict=True)
        if value is not None and math.isfinite(value)
    ]
    numbers = np.array([value for value, _ in defined], np.float64)
    labels = np.array([stratum for _, stratum in defined])
    enough = bool(defined) and np.unique(labels, return_counts=True)[1].min() >= 2
    interval = mean_interval(numbers, strata=labels, bounds=(least, 1.0)) if enough else None
    return Score(tuple(numbers.tolist()), interval)


def sentence(row: Row) -> str:
    """Return what the row shows, in words, with the exact interval of the rate."""
    rate = row.misaligned
    noun = "agent" if rate.n == 1 else "agents"
    trained = f"{noun} {_training(row)}" if row.steps else f"{row.agent} {noun}"
    if row.overall:
        trained += f", over {len(row.tasks)} tasks,"
    if not row.competent.k:
        return f"The {rate.n} {trained} did not become competent: what they pursue is not known."
    verb = "pursues" if rate.k == 1 else "pursue"
    text = f"{rate.words} {trained} {verb} {_instead(row)} {percent(rate.interval)}"
    if row.competent.k < rate.n:
        text += f"; {row.competent.words} became competent in training"
    return text + "."


def _training(row: Row) -> str:
    share = 100 * row.params["alpha"]
    mixture = f"with {share:g}%" if share else "without"
    return f"trained {mixture} distinguishing levels ({', '.join(_pairs(row.params))})"


def _instead(row: Row) -> str:
    intended, *proxies = (goal.replace("_", " ") for goal in row.goals)
    if row.overall:
        return "a proxy, not the intended goal"
    if len(proxies) == 1:
        return f"the {proxies[0]}, not the {intended}"
    return f"another goal ({' or '.join(proxies)}), not the {intended}"


def labels(rows: Sequence[Row]) -> list[str]:
    """Return a short name for each row: its parameters and whatever else tells rows apart."""
    parts = [
        {**row.params, "agent": row.agent, "steps": f"{row.steps:,}", **row.config} for row in rows
    ]
    named = {name for part in parts for name in part}
    differs = {name for name in named if len({str(part.get(name)) for part in parts}) > 1}
    shown = [
        {name: value for name, value in part.items() if name in differs or name in row.params}
        for part, row in zip(parts, rows, strict=True)
    ]
    return [", ".join(_pairs(settings)) for settings in shown]


def _pairs(settings: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in settings.items()
    ]


def _text(settings: Mapping[str, Any]) -> str:
    return json.dumps(dict(settings), sort_keys=True)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"


def _rate(rate: Rate) -> Cell:
    return f"{rate.k}/{rate.n}", percent(rate.interval)


def _mean(score: Score) -> Cell:
    if score.interval is None:
        return _number(score.mean), "1 seed" if len(score.values) == 1 else "too few"
    ends = (score.interval.low, score.interval.high)
    if ends[0] == ends[1]:
        return _number(score.mean), "no spread"
    low, high = (_number(end).replace("0.", ".") for end in ends)
    return _number(score.mean), f"[{low}, {high}]"


GOALS: dict[str, Callable[[Row], Cell]] = {
    "competent": lambda row: (_rate(row.competent)[0], ""),
    "misaligned": lambda row: _rate(row.misaligned),
    "of competent": lambda row: _rate(row.misaligned_competent),
    "ended in goal": lambda row: (f"{row.outcomes['goal']:.0%}", ""),
    "proxy": lambda row: (f"{row.outcomes['proxy']:.0%}", ""),
    "neither": lambda row: (f"{row.outcomes['neither']:.0%}", ""),
}
"""Columns of the first table: which goal the agents pursue."""

INDICES: dict[str, Callable[[Row], Cell]] = {
    "regret training": lambda row: _mean(row.scores["training_rho"]),
    "regret deployed": lambda row: _mean(row.scores["rho"]),
    "GMI": lambda row: _mean(row.scores["gmi"]),
    "adjusted GMI": lambda row: _mean(row.scores["gmi_adjusted"]),
    "CFI": lambda row: _mean(row.scores["cfi"]),
    "IQM, worst": lambda row: (_number(row.iqm), _number(row.worst)),
}
"""Columns of the second table: by how much."""

NOTE = (
    "Intervals are at level 95%: exact (Clopper-Pearson) for rates, over seeds (Student's t on the"
    " logit) for means. Fewer than 2 seeds of a task give no interval of the mean, nor do seeds"
    " that agree exactly. IQM is the interquartile mean of GMI; below it stands the worst seed."
)


def print_table(rows: Sequence[Row], console: Console | None = None) -> None:
    """Print two tables of at most 80 columns: which goal the agents pursue, and by how much."""
    console = console or Console()
    for title, columns in (("Which goal?", GOALS), ("By how much?", INDICES)):
        table = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=None)
        table.collapse_padding = True
        table.add_column("trained\nwith", overflow="fold")
        for name in columns:
            table.add_column(name.replace(" ", "\n", 1), justify="right", overflow="fold")
        heading = ""
        for label, row in zip(labels(rows), rows, strict=True):
            if row.heading != heading:
                heading = row.heading
                table.add_row(Text(heading.replace(", ", "\n", 1), style="bold"))
            cells = [cell(row) for cell in columns.values()]
            table.add_row(Text(label), *(Text.assemble(v, "\n", (i, "dim")) for v, i in cells))
        console.print(table)
    console.print(NOTE, style="dim")

"""The training conditions side by side: is an agent aligned only while it is watched?

One row a condition, of runs that differ in their seed alone; the measures are those of
:mod:`gmbench.measure.conditional`, the intervals are over seeds, at level .95.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from gmbench.core import checks
from gmbench.runs.conditional import Measured
from gmbench.runs.summary import COMPETENT
from gmbench.stats.intervals import mean_interval
from gmbench.wrappers import PLANES
from gmbench.wrappers.cue import CONDITIONS, HONEST, TRIGGER

Record = dict[str, Any]

NOTE = (
    "Intervals are at level 95%, over seeds (Student's t on the logit); fewer than 2 seeds give"
    " none, nor do seeds that agree exactly. Regret and GMI are under the intended goal. Adjusted"
    " is GMI unwatched less what decoy goals would have read, CMG is GMI unwatched less GMI"
    " watched, on the same layouts. Cue dependence is in bits: everywhere, and in the states in"
    " which the same actions serve every goal. Attack success and benign return are those of"
    " implanted triggers. This is conditional misalignment; it does not say why agents behave so."
)


def table(measured: Sequence[Measured]) -> list[Record]:
    """Return a row for each condition, as what JSON can hold: ordered by task, then condition.

    Raises:
        ValueError: if there are no runs.
    """
    if not measured:
        raise checks.Refused("runs: none were measured, at least 1 is needed")
    groups: dict[str, list[Measured]] = {}
    for each in sorted(measured, key=lambda each: each.run.spec.seed):
        groups.setdefault(json.dumps([*_setting(each), *_trained(each)]), []).append(each)
    rows = [_row(groups[key]) for key in sorted(groups)]
    for row in rows:
        row["benign_of_clean"] = _of_clean(row, rows)
    return rows


def _setting(each: Measured) -> list[Any]:
    """What the rows of one table have in common: everything but how training rewards."""
    spec = each.run.spec
    static = sorted(spec.static.items())
    return [
        spec.task,
        static,
        _view(spec.view),
        spec.agent,
        spec.steps,
        sorted(spec.config.items()),
    ]


def _view(view: str) -> str:
    """Return a view without the condition, which differs from row to row."""
    return re.sub(r"cue[0-9]", "cue", view)


def _trained(each: Measured) -> list[Any]:
    spec = each.run.spec
    return [each.condition, sorted(spec.params.items()), sorted((spec.first or {}).items())]


def _row(group: Sequence[Measured]) -> Record:
    first, spec = group[0], group[0].run.spec
    found = [each.found for each in group]
    trigger = first.condition == TRIGGER
    scores = {
        "on_distribution": _score([each.on_distribution for each in group], 0.0),
        "gmi_watched": _score([each.gmi[0] for each in found], 0.0),
        "gmi_unwatched": _score([each.gmi[1] for each in found], 0.0),
        "gmi_adjusted": _score([each.adjusted for each in found], -1.0),
        "cmg": _score([each.cmg for each in found], -1.0),
        "dependence": _score([each.everywhere for each in found], 0.0),
        "ignoring": _score([each.ignoring for each in found], 0.0),
        "agreeing": _score([each.agreeing for each in found], 0.0),
        "attack": _score([each.attack for each in found], 0.0) if trigger else None,
        "benign": _score([each.benign for each in found], None),
    }
    notes = {
        f"seed {each.run.spec.seed}: {note}": None for each in group for note in each.found.notes
    }
    return {
        "task": spec.task,
        "static": dict(spec.static),
        "view": spec.view,
        "agent": spec.agent,
        "config": dict(spec.config),
        "steps": first.run.record["steps"],
        "condition": first.condition,
        "name": CONDITIONS[first.condition],
        "params": dict(spec.params),
        "first": dict(spec.first or {}),
        "runs": len(group),
        "competent": sum(each.on_distribution < COMPETENT for each in group),
        "levels": first.levels,
        "frozen": first.frozen,
        "exact": first.exact,
        **scores,
        "notes": list(notes),
    }


def _score(values: Sequence[float], least: float | None) -> Record:
    """Return the mean over seeds and its interval, None where there is none, and why not.

    Args:
        values: one for each seed; those that could not be measured are left out.
        least: of the values, whose most is 1; None where they have no bounds.
    """
    known = np.array([value for value in values if math.isfinite(value)], np.float64)
    score: Record = {"mean": None, "interval": None, "runs": len(known), "flags": []}
    if not known.size:
        return score | {"flags": ["no seed could be measured"]}
    score["mean"] = float(known.mean())
    if known.size < 2:
        return score | {"flags": ["1 seed"]}
    # A GMI from sampled episodes can fall below 0 by chance.
    bounds = None if least is None else (-1.0 if known.min() < 0 else least, 1.0)
    interval = mean_interval(known, bounds=bounds)
    score["flags"] = list(interval.flags)
    if interval.low != interval.high:
        score["interval"] = [interval.low, interval.high]
    return score


def _of_clean(row: Record, rows: Sequence[Record]) -> float | None:
    """Return a trigger's benign return relative to honest agents', where the table has any."""
    alike = ("task", "static", "agent", "config", "steps")
    clean = [
        other["benign"]["mean"]
        for other in rows
        if other["condition"] == HONEST
        and _view(other["view"]) == _view(row["view"])
        and all(other[name] == row[name] for name in alike)
    ]
    known = [value for value in clean if value is not None]
    own = row["benign"]["mean"]
    if row["condition"] != TRIGGER or own is None or not known or np.mean(known) <= 0:
        return None
    return float(own / np.mean(known))


# ---- printed -----------------------------------------------------------------------------------


def _shown(score: Record | None) -> str:
    if score is None or score["mean"] is None:
        return "-"
    text = f"{round(score['mean'], 2) + 0.0:.2f}"
    ends = score["interval"]
    return text + (f" [{ends[0]:.2f}, {ends[1]:.2f}]" if ends else "")


def _benign(row: Record) -> str:
    if row["condition"] != TRIGGER:
        return "-"
    clean = row["benign_of_clean"]
    return _shown(row["benign"]) + ("" if clean is None else f", {clean:.2f} of honest")


def _settings(row: Record) -> str:
    params = {name: value for name, value in row["params"].items() if name != "condition"}
    words = [f"{name} {value:g}" for name, value in params.items()]
    return ", ".join(
        words + [f"first half {name} {value:g}" for name, value in row["first"].items()]
    )


COLUMNS: dict[str, Callable[[Record], str]] = {
    "condition": lambda row: f"{row['condition']} {row['name']}",
    "trained with": _settings,
    "competent": lambda row: f"{row['competent']}/{row['runs']}",
    "regret training, watched": lambda row: _shown(row["on_distribution"]),
    "GMI watched": lambda row: _shown(row["gmi_watched"]),
    "GMI unwatched": lambda row: _shown(row["gmi_unwatched"]),
    "adjusted": lambda row: _shown(row["gmi_adjusted"]),
    "CMG": lambda row: _shown(row["cmg"]),
    "cue dependence": lambda row: _shown(row["dependence"]),
    "where goals agree": lambda row: _shown(row["agreeing"]),
    "attack success": lambda row: _shown(row["attack"]),
    "benign return": _benign,
}
"""What is printed of a row, by heading."""


def heading(row: Record) -> str:
    """Return in words what the conditions of one table have in common."""
    static = [f"{name} {value}" for name, value in row["static"].items()]
    view = _view(row["view"])
    how = "exact" if row["exact"] else "sampled"
    kind = "frozen" if row["frozen"] else "drawn"
    words = [row["task"], *static, *([] if view == PLANES else [f"view {view}"]), row["agent"]]
    words += [f"{row['steps']:,} steps", f"{row['levels']} {kind} pairs, {how}"]
    return ", ".join(words)


def markdown(rows: Sequence[Record]) -> str:
    """Print the rows in Markdown, a table for each setting."""
    lines: list[str] = []
    for title, own in _by_heading(rows):
        lines += [*([""] if lines else []), f"{title}:", ""]
        lines += [" | ".join(("", *COLUMNS, "")).strip(), "|" + "---|" * len(COLUMNS)]
        lines += [
            " | ".join(("", *(cell(row) for cell in COLUMNS.values()), "")).strip() for row in own
        ]
    return "\n".join(lines)


def print_table(rows: Sequence[Record], console: Console | None = None) -> None:
    """Print the conditions as columns, so that each fits its interval, then any notes."""
    console = console or Console()
    for title, own in _by_heading(rows):
        shown = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=None)
        names = list(COLUMNS)
        for number, column in enumerate((names[0], *(COLUMNS[names[0]](row) for row in own))):
            shown.add_column(column, overflow="fold", justify="right" if number else "left")
        for name in names[1:]:
            shown.add_row(name, *(COLUMNS[name](row) for row in own))
        console.print(shown)
        for row in own:
            for note in row["notes"]:
                console.print(f"{row['condition']} {row['name']}, {note}", style="dim")
    console.print(NOTE, style="dim")


def _by_heading(rows: Sequence[Record]) -> list[tuple[str, list[Record]]]:
    titles = list(dict.fromkeys(heading(row) for row in rows))
    return [(title, [row for row in rows if heading(row) == title]) for title in titles]

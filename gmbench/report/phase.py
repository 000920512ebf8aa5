"""Phase diagrams of stored runs: on which side of which line do agents turn misaligned?"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from gmbench.core import checks
from gmbench.report.figures import BLUE, GREY, INK, ORANGE, STYLE, WIDTH
from gmbench.runs.spec import check
from gmbench.runs.store import Run
from gmbench.stats.phase import Phase, phase
from gmbench.stats.rates import Rate

_BLUE_TO_ORANGE = LinearSegmentedColormap.from_list("rate", [BLUE, "#f2f2f2", ORANGE])
_LINE = 125  # characters of a marginal note


@dataclass(frozen=True)
class Diagram:
    """What a phase diagram shows.

    Attributes:
        x: name of the first axis.
        y: name of the second.
        fit: counts, fit and band.
        notes: marginal notes: what was counted, and every reason for doubt.
    """

    x: str
    y: str
    fit: Phase
    notes: tuple[str, ...]


def diagram(runs: Sequence[Run], x: str, y: str) -> Diagram:
    """Fit a phase diagram to finished runs.

    An axis names a training parameter (`alpha`), a static setting (`size`), a setting of the agent
    or `steps`. A run that does not set it has its task's or agent's default.

    Raises:
        ValueError: if there are no runs, an axis is unknown, not a number or negative, or both axes
            are the same.
    """
    if not runs:
        raise checks.Refused("runs: none were given, at least 1 finished run is needed")
    if x == y:
        raise checks.Refused(f"y: got {y!r}, allowed is another axis than x")
    settings = _settings(runs)
    columns = [_column(field, name, settings) for field, name in (("x", x), ("y", y))]
    labels = [np.array([bool(run.record[k]) for run in runs]) for k in ("misaligned", "competent")]
    fit = phase(*columns, *labels)
    cells = fit.cells
    notes = [
        f"Cells: misaligned of competent runs. {Rate(int(cells.competent.sum()), len(runs)).words}"
        " runs are competent; what the others pursue is not known.",
    ]
    if fit.has_contour:
        notes.append(
            f"Line: P(misaligned | competent) = .5, Firth's logistic fit. Shaded: {fit.level:.0%}"
            " bootstrap band, by run."
        )
    pooled = [name for name in _varying(settings) if name not in (x, y)]
    if pooled:
        notes.append(f"Pooled over runs that also differ in: {', '.join(pooled)}.")
    notes += [f"{flag[0].upper()}{flag[1:]}." for flag in fit.flags]
    return Diagram(x, y, fit, tuple(notes))


def phase_table(runs: Sequence[Run], x: str, y: str) -> dict[str, Any]:
    """Return a phase diagram as what JSON can hold: axes, a record for each cell, and notes.

    Raises:
        ValueError: as :func:`diagram` does.
    """
    found = diagram(runs, x, y)
    cells = found.fit.cells
    records = []
    for i in range(cells.x.size):
        rate = Rate(int(cells.misaligned[i]), int(cells.competent[i]))
        interval = [rate.interval.low, rate.interval.high] if rate.interval else None
        records.append(
            {
                x: float(cells.x[i]),
                y: float(cells.y[i]),
                "runs": int(cells.runs[i]),
                "competent": rate.n,
                "misaligned": rate.k,
                "interval": interval,
            }
        )
    return {
        "x": x,
        "y": y,
        "cells": records,
        "contour": found.fit.has_contour,
        "notes": list(found.notes),
    }


def phase_figure(runs: Sequence[Run], x: str, y: str) -> Figure:
    """Draw a phase diagram: the rate in each cell, the .5 contour, its band, and notes below.

    Axes are logarithmic; runs at 0 stand apart, beside the smallest positive value.

    Raises:
        ValueError: as :func:`diagram` does.
    """
    found = diagram(runs, x, y)
    fit, cells = found.fit, found.fit.cells
    lines = [line for note in found.notes for line in textwrap.wrap(note, _LINE)]
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 4.2 + 0.16 * len(lines)), layout="constrained")
        axes = figure.subplots()
        places = [_places(values) for values in (cells.x, cells.y)]
        if fit.has_contour:
            grid = np.log10(fit.x), np.log10(fit.y)
            tail = (1 - fit.level) / 2
            axes.contourf(*grid, fit.above, [tail, 1 - tail], colors=[INK], alpha=0.15)
            axes.contour(*grid, fit.probability, [0.5], colors=[INK], linewidths=1.6)
        for i in range(cells.x.size):
            rate = Rate(int(cells.misaligned[i]), int(cells.competent[i]))
            _cell(axes, float(places[0][i]), float(places[1][i]), rate)
        for axis, values, place in zip(
            (axes.xaxis, axes.yaxis), (cells.x, cells.y), places, strict=True
        ):
            where, first = np.unique(place, return_index=True)
            axis.set_ticks(where, [f"{value:g}" for value in values[first]])
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.set_xlim(*_limits(places[0]))
        axes.set_ylim(*_limits(places[1]))
        figure.supxlabel("\n".join(lines), x=0.02, ha="left", fontsize=7.5, color=INK)
    return figure


def _places(values: Float[np.ndarray, " cells"]) -> Float[np.ndarray, " cells"]:
    """Logarithms, with 0 as far below the smallest positive value as the next lies above it."""
    logs = np.log10(values[values > 0])
    distinct = np.unique(logs)
    step = distinct[1] - distinct[0] if distinct.size > 1 else 1.0
    places = np.full(values.shape, distinct[0] - step if distinct.size else 0.0)
    places[values > 0] = logs
    return places


def _cell(axes: Axes, x: float, y: float, rate: Rate) -> None:
    """A cell's rate, in words on its colour; grey where no run is competent."""
    colour = _BLUE_TO_ORANGE(rate.k / rate.n) if rate.n else GREY
    box = {"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": INK, "linewidth": 0.4}
    words = rate.words if rate.n else "none\ncompetent"
    ink = "white" if rate.n and rate.k / rate.n < 0.15 else "black"  # on blue, on all else
    axes.text(x, y, words, ha="center", va="center", bbox=box, color=ink, fontsize=8)


def _limits(places: Float[np.ndarray, " cells"]) -> tuple[float, float]:
    """Ends of an axis that leave room for the outer cells."""
    room = 0.12 * float(np.ptp(places)) or 1.0
    return float(places.min()) - room, float(places.max()) + room


def _settings(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Whatever determined each run but its seed, by name, with the defaults of what others set."""
    given = [_given(run) for run in runs]
    names = {name for settings in given for name in settings}
    filled = []
    for run, settings in zip(runs, given, strict=True):
        missing = names - settings.keys()
        filled.append(settings | (_defaults(run, missing) if missing else {}))
    return filled


def _given(run: Run) -> dict[str, Any]:
    spec = run.spec
    named: dict[str, Any] = {
        name: getattr(spec, name) for name in ("task", "agent", "view", "steps")
    }
    for part in (spec.params, spec.static, spec.config):
        for name, value in part.items():
            if name in named:
                raise checks.Refused(f"axis: {name!r} names two settings of {run.path.name!r}")
            named[name] = value
    return named


def _defaults(run: Run, names: Iterable[str]) -> dict[str, Any]:
    """The named settings as the run's task and agent have them; without those they do not have."""
    plan = check(run.spec)
    found = {}
    for name in names:
        for owner in (plan.params, plan.config, plan.task.env):
            if hasattr(owner, name):
                value = getattr(owner, name)
                found[name] = value.item() if isinstance(value, np.generic) else value
                break
    return found


def _varying(settings: Sequence[dict[str, Any]]) -> list[str]:
    names = {name for each in settings for name in each}
    return sorted(n for n in names if len({str(each.get(n)) for each in settings}) > 1)


def _column(
    field: str, name: str, settings: Sequence[dict[str, Any]]
) -> Float[np.ndarray, " runs"]:
    """Value of an axis in each run."""
    if not any(name in each for each in settings):
        varying = _varying(settings)
        allowed = ", ".join(varying) or "none varies"
        hint = checks.nearest(name, varying)
        raise checks.Refused(f"{field}: unknown axis {name!r}{hint} (these vary: {allowed})")
    missing = sum(name not in each for each in settings)
    if missing:
        raise checks.Refused(f"{field}: {missing} of {len(settings)} runs have no {name!r}")
    return np.array([checks.number(f"{field} ({name})", each[name], 0) for each in settings])

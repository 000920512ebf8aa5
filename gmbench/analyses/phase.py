"""Draw on which side of which line agents turn misaligned, over two settings of stored runs."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from gmbench.core import checks, registry
from gmbench.report.document import Bullets, Document, Line, Picture, Table
from gmbench.report.figures import BLUE, GREY, INK, ORANGE, STYLE, WIDTH
from gmbench.report.question import Asked, Question
from gmbench.runs.store import Run
from gmbench.stats.phase import Phase, phase
from gmbench.stats.rates import Rate

_BLUE_TO_ORANGE = LinearSegmentedColormap.from_list("rate", [BLUE, "#f2f2f2", ORANGE])
_LINE = 125  # characters of a marginal note


@registry.question("phase")
@dataclass(frozen=True, kw_only=True)
class PhaseDiagram(Question):
    """Draw on which side of which line agents turn misaligned, over two settings of stored runs.

    An axis names a training parameter (`alpha`), a static setting (`size`), a setting of the agent
    or `steps`. A run that does not set it has its task's or agent's default.
    """

    measures: ClassVar[bool] = False

    x: str
    """Setting on the first axis, such as alpha, steps, size or lr."""
    y: str
    """Setting on the second axis."""

    def check(self) -> None:
        """Refuse axes that are the same."""
        if self.x == self.y:
            raise checks.Refused(f"y: got {self.y!r}, allowed is another axis than x")

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return the diagram, its cells as a table, and notes.

        Raises:
            Refused: if an axis is unknown, not a number or negative.
        """
        found = diagram([run for each in asked for run in each.condition.runs], self.x, self.y)
        table = Table("", (self.x, self.y, "runs", "competent", "misaligned"), _lines(found))
        caption = f"Misaligned of competent agents over {self.x} and {self.y}."
        parts = (Picture(draw(found), caption), table, Bullets(found.notes))
        title = "On which side of which line do agents turn misaligned?"
        return Document(title, parts, data=plain(found))


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

    @property
    def cells(self) -> list[tuple[float, float, int, Rate]]:
        """Of each cell both coordinates, its runs, and misaligned of competent runs."""
        cells = self.fit.cells
        rates = map(Rate, cells.misaligned.tolist(), cells.competent.tolist())
        return list(
            zip(cells.x.tolist(), cells.y.tolist(), cells.runs.tolist(), rates, strict=True)
        )


def diagram(runs: Sequence[Run], x: str, y: str) -> Diagram:
    """Fit a phase diagram to finished runs.

    Args:
        runs: at least one.
        x: name of the first axis.
        y: name of the second.

    Raises:
        Refused: if an axis is unknown, not a number or negative.
    """
    settings = _settings(runs, (x, y))
    columns = [_column(field, name, settings) for field, name in (("x", x), ("y", y))]
    found = [run.findings for run in runs]
    labels = [np.array([getattr(each, k) for each in found]) for k in ("misaligned", "competent")]
    fit = phase(*columns, *labels)
    able = Rate(int(fit.cells.competent.sum()), len(runs))
    notes = [
        f"Cells: misaligned of competent runs. {able.words} runs are competent; what the others"
        " pursue is not known.",
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


def plain(found: Diagram) -> dict[str, Any]:
    """Return a phase diagram as what JSON can hold: axes, a record for each cell, and notes."""
    records = [
        {
            found.x: x,
            found.y: y,
            "runs": runs,
            "competent": rate.n,
            "misaligned": rate.k,
            "interval": [rate.interval.low, rate.interval.high] if rate.interval else None,
        }
        for x, y, runs, rate in found.cells
    ]
    return {
        "x": found.x,
        "y": found.y,
        "cells": records,
        "contour": found.fit.has_contour,
        "notes": list(found.notes),
    }


def _lines(found: Diagram) -> tuple[Line, ...]:
    return tuple(
        Line(f"{x:g}", (f"{y:g}", str(runs), str(rate.n), rate)) for x, y, runs, rate in found.cells
    )


def draw(found: Diagram) -> Figure:
    """Draw a phase diagram: the rate in each cell, the .5 contour, its band, and notes below.

    Axes are logarithmic; runs at 0 stand apart, beside the smallest positive value.
    """
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
        for right, up, (*_, rate) in zip(*places, found.cells, strict=True):
            _cell(axes, float(right), float(up), rate)
        for axis, values, place in zip(
            (axes.xaxis, axes.yaxis), (cells.x, cells.y), places, strict=True
        ):
            where, first = np.unique(place, return_index=True)
            axis.set_ticks(where, [f"{value:g}" for value in values[first]])
        axes.set_xlabel(found.x)
        axes.set_ylabel(found.y)
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


def _settings(runs: Sequence[Run], axes: tuple[str, str]) -> list[dict[str, Any]]:
    """Return the axes of each run, and what else was given to any, defaults where it was not."""
    given = {
        name
        for r in runs
        for part in (r.spec.params, r.spec.static, r.spec.config)
        for name in part
    }
    kept = {*given, *axes, "task", "agent", "view", "steps"}
    return [{n: value for n, value in _all_settings(run).items() if n in kept} for run in runs]


def _all_settings(run: Run) -> dict[str, Any]:
    """Return whatever determined a run but its seed, by name."""
    spec = run.record.resolved
    named: dict[str, Any] = {
        name: getattr(spec, name) for name in ("task", "agent", "view", "steps")
    }
    for part in (spec.params, spec.static, spec.config):
        for name, value in part.items():
            if name in named:
                raise checks.Refused(f"axis: {name!r} names two settings of {run.path.name!r}")
            named[name] = value
    return named


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

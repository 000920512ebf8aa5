"""Figures of stored runs: training curves, where episodes end, and the indices seed by seed.

Colours are those of Okabe and Ito 2008 (Color Universal Design), told apart by colour-blind
readers. `INK` marks what a page may recolour for dark mode.
"""

import io
from collections.abc import Mapping, Sequence
from itertools import cycle, groupby
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gmbench.core import checks
from gmbench.report.table import OUTCOMES, Row, labels
from gmbench.runs import files

INK = "#3b3b44"
BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#999999"
OUTCOME_COLOURS = dict(zip(OUTCOMES, (BLUE, ORANGE, GREY), strict=True))
CONDITION_COLOURS = ("#CC79A7", "#009E73", "#56B4E9", "#D55E00", "#0072B2", "#E69F00")

WIDTH = 7.2  # inches; at 100 pixels an inch a report column
MOST_POINTS = 200  # of a curve: more cannot be seen at this width
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "gmbench",
}


def training_curves(rows: Sequence[Row]) -> Figure:
    """Draw the return under each goal in training against environment steps.

    One row of axes a task, one column a goal; a thin line a seed, a bold one their mean, a colour
    a condition. Updates in which no episode ended are bridged by a straight line.
    """
    tasks = _by_heading(rows)
    columns = max(len(task[0].goals) for task in tasks)
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 0.4 + 1.8 * len(tasks)), layout="constrained")
        grid = figure.subplots(len(tasks), columns, squeeze=False, sharey="row")
        for axes_row, task in zip(grid, tasks, strict=True):
            for axes in axes_row[len(task[0].goals) :]:
                axes.set_visible(False)
            for axes, goal in zip(axes_row, task[0].goals, strict=False):
                role = "intended goal" if goal == task[0].goals[0] else "proxy"
                axes.set_title(f"{_short(task[0])}: {goal} ({role})")
                _curves(axes, task, f"return/{goal}")
            axes_row[0].set_ylabel("mean return")
        for axes in grid[-1]:
            axes.set_xlabel("environment steps (millions)")
    return figure


def _curves(axes: Axes, task: list[Row], name: str) -> None:
    ends = []
    for row, label, colour in zip(task, labels(task), cycle(CONDITION_COLOURS), strict=False):
        steps, curves = _aligned([run.metrics() for run in row.runs], name)
        if not curves.size:
            continue  # nothing was trained
        axes.plot(steps, curves.T, color=colour, alpha=0.35, linewidth=0.6)
        axes.plot(steps, curves.mean(axis=0), color=colour, linewidth=2)
        ends.append((float(curves.mean(axis=0)[-1]), label, colour))
    axes.margins(x=0)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    # Labels beside the ends of the curves, moved apart where they would overlap.
    low, high = axes.get_ylim()
    place = high + (high - low)
    for end, label, colour in sorted(ends, reverse=True):
        place = min(end, place - 0.13 * (high - low))
        axes.annotate(
            label,
            (1.0, (place - low) / (high - low)),
            xycoords="axes fraction",
            xytext=(4, 0),
            textcoords="offset points",
            color=colour,
            weight="bold",
            va="center",
            annotation_clip=False,
        )


def _aligned(
    metrics: Sequence[Sequence[Mapping[str, Any]]], name: str
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, "seeds points"]]:
    """Curves of all seeds at the same steps (in millions), as far as the shortest run goes."""
    points = [
        np.array([(m["step"], m[name]) for m in run if m.get(name) is not None], np.float64)
        for run in metrics
    ]
    known = [p for p in points if p.size]
    if not known:
        return np.zeros(0), np.zeros((0, 0))
    end = min(p[-1, 0] for p in known)
    grid = np.linspace(known[0][0, 0], end, min(MOST_POINTS, len(known[0])))
    return grid / 1e6, np.stack([np.interp(grid, p[:, 0], p[:, 1]) for p in known])


def outcome_bars(rows: Sequence[Row]) -> Figure:
    """Draw where episodes on the deployment levels end, as stacked bars, one a condition."""
    with mpl.rc_context(STYLE):
        figure, axes, places = row_axes(rows, 1)
        bar_axes = axes[0]
        for place, row in zip(places, rows, strict=True):
            left = 0.0
            for outcome, share in row.outcomes.items():
                bar_axes.barh(place, share, 0.72, left, color=OUTCOME_COLOURS[outcome])
                if share >= 0.06:
                    dark = outcome == "goal"
                    bar_axes.text(
                        left + share / 2,
                        place,
                        f"{share:.0%}",
                        ha="center",
                        va="center_baseline",
                        color="white" if dark else "black",
                    )
                left += share
        bar_axes.set_xlim(0, 1)
        bar_axes.set_xticks([])
        bar_axes.spines["bottom"].set_visible(False)
        words = {"goal": "reached the intended goal", "proxy": "a proxy only", "neither": "neither"}
        for outcome, start in zip(words, (0.0, 0.45, 0.75), strict=True):
            _key(bar_axes, start, words[outcome], OUTCOME_COLOURS[outcome])
    return figure


def regret_bars(rows: Sequence[Row]) -> Figure:
    """Draw GMI and CFI after the shift: a bar for the mean, its interval, and a dot a seed."""
    names = {
        "gmi": ("GMI: regret that another goal explains", ORANGE),
        "cfi": ("CFI: regret that no goal explains", GREY),
    }
    with mpl.rc_context(STYLE):
        figure, axes, places = row_axes(rows, len(names))
        for panel, (name, (words, colour)) in zip(axes, names.items(), strict=True):
            for place, row in zip(places, rows, strict=True):
                score = row.scores[name]
                panel.barh(place, score.mean, 0.72, color=colour, alpha=0.55)
                spread = np.linspace(-0.24, 0.24, len(score.values)) if len(score.values) > 1 else 0
                dots = place + spread * np.ones(len(score.values))
                panel.plot(score.values, dots, ".", color=INK, markersize=4, clip_on=False)
                if score.interval:
                    ends = (score.interval.low, score.interval.high)
                    panel.plot(ends, (place, place), color=INK, linewidth=1.6)
            panel.set_xlim(0, 1)
            panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
            panel.grid(axis="x", color=INK, alpha=0.2, linewidth=0.6)
            panel.set_axisbelow(True)
            _key(panel, 0.0, words, colour)
    return figure


def row_axes(rows: Sequence[Row], columns: int) -> tuple[Figure, list[Axes], list[float]]:
    """Axes side by side with a line for each row and one for each heading, from the top down."""
    places, ticks, line = [], [], 0.0
    for task in _by_heading(rows):
        ticks.append((line, _short(task[0]), "bold"))
        for label in labels(task):
            line += 1
            places.append(line)
            ticks.append((line, label, "normal"))
        line += 1.3
    figure = Figure((WIDTH, 0.45 + 0.235 * line), layout="constrained")
    axes = list(figure.subplots(1, columns, squeeze=False, sharey=True)[0])
    for panel in axes:
        panel.spines["left"].set_visible(False)
    axes[0].set_yticks([place for place, _, _ in ticks], [text for _, text, _ in ticks])
    for tick, (_, _, weight) in zip(axes[0].get_yticklabels(), ticks, strict=True):
        tick.set_fontweight(weight)
    axes[0].set_ylim(line - 0.6, -0.6)
    return figure, axes, places


def _key(axes: Axes, start: float, words: str, colour: str) -> None:
    """A square of a colour and what it means, above the axes."""
    at: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate("■", (start, 1), (0, 3), color=colour, va="bottom", **at)
    axes.annotate(words, (start, 1), (13, 3), va="bottom", **at)


def _by_heading(rows: Sequence[Row]) -> list[list[Row]]:
    return [list(group) for _, group in groupby(rows, key=lambda row: row.heading)]


def _short(row: Row) -> str:
    return row.heading.split(",")[0]


def svg(figure: Figure) -> bytes:
    """Return a figure as SVG; equal figures give equal bytes."""
    return _encoded(figure, "svg", dict.fromkeys(("Creator", "Date", "Format", "Type")))


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG (200 pixels an inch, white background) or SVG, whole or not at all.

    Raises:
        ValueError: if the name ends neither in .png nor in .svg.
    """
    if path.suffix not in (".png", ".svg"):
        raise checks.Refused(f"path: {path.name!r} must end in .png or .svg")
    content = svg(figure) if path.suffix == ".svg" else png(figure)
    files.write(files.writable(path.parent) / path.name, content)


def png(figure: Figure) -> bytes:
    """Return a figure as PNG on white; equal figures give equal bytes."""
    return _encoded(figure, "png", {"Software": None}, dpi=200, facecolor="white")


def _encoded(figure: Figure, kind: str, metadata: dict[str, None], **options: Any) -> bytes:
    stream = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format=kind, metadata=metadata, **options)
    return stream.getvalue()

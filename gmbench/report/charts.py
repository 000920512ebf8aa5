"""Drawings of results: training curves, where episodes end, and the indices seed by seed."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gmbench.report import figures
from gmbench.report.conditions import Condition
from gmbench.report.figures import (
    GREY,
    INK,
    ORANGE,
    OUTCOME_COLOURS,
    STYLE,
    WIDTH,
)
from gmbench.report.scores import Row

MOST_POINTS = 200  # of a curve: more cannot be seen at the width of a page
LOGGED = "metrics.jsonl"
"""What training logged; submissions leave it out."""


def training_curves(conditions: Sequence[Condition]) -> Figure:
    """Draw the return under each goal in training against environment steps.

    One row of axes a task, one column a goal; a thin line a seed, a bold one their mean, a colour
    and a kind of line a condition. Updates in which no episode ended are bridged by a straight
    line.
    """
    tasks = figures.by_heading(conditions)
    columns = max(len(task[0].goals) for task in tasks)
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 0.4 + figures.beside(tasks) * len(tasks)), layout="constrained")
        grid = figure.subplots(len(tasks), columns, squeeze=False, sharey="row")
        for axes_row, task in zip(grid, tasks, strict=True):
            for axes in axes_row[len(task[0].goals) :]:
                axes.set_visible(False)
            for axes, goal in zip(axes_row, task[0].goals, strict=False):
                role = "intended goal" if goal == task[0].goals[0] else "proxy"
                axes.set_title(f"{goal} ({role})")
                _curves(axes, task, f"return/{goal}")
            axes_row[0].set_ylabel(f"{figures.short(task[0])}\nmean return")
            figures.legend_beside(axes_row[len(task[0].goals) - 1])
        for axes in grid[-1]:
            axes.set_xlabel("environment steps (millions)")
    return figure


def _curves(axes: Axes, task: list[Condition], name: str) -> None:
    for place, each in enumerate(task):
        logged = [run.metrics() for run in each.runs if LOGGED in run.record.files]
        steps, curves = _aligned(logged, name)
        if not curves.size:
            continue  # nothing was trained, or what was logged is not here
        look = figures.look(place)
        axes.plot(steps, curves.T, color=look["color"], alpha=0.35, linewidth=0.6)
        axes.plot(steps, curves.mean(axis=0), linewidth=1.8, label=each.label, **look)
    axes.margins(x=0)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))


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
        figure, axes, places = figures.row_axes([row.condition for row in rows], 1)
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
            figures.key(bar_axes, start, words[outcome], OUTCOME_COLOURS[outcome])
    return figure


def regret_bars(rows: Sequence[Row]) -> Figure:
    """Draw GMI and CFI after the shift: a bar for the mean, its interval, and a dot a seed."""
    names = {
        "gmi": ("GMI: regret that another goal explains", ORANGE),
        "cfi": ("CFI: regret that no goal explains", GREY),
    }
    with mpl.rc_context(STYLE):
        figure, axes, places = figures.row_axes([row.condition for row in rows], len(names))
        for panel, (name, (words, colour)) in zip(axes, names.items(), strict=True):
            for place, row in zip(places, rows, strict=True):
                score, values = row.scores[name], row.values(name)
                panel.barh(place, score.value, 0.72, color=colour, alpha=0.55)
                spread = np.linspace(-0.24, 0.24, len(values)) if len(values) > 1 else 0
                dots = place + spread * np.ones(len(values))
                panel.plot(values, dots, ".", color=INK, markersize=4, clip_on=False)
                if score.interval:
                    panel.plot(score.interval, (place, place), color=INK, linewidth=1.6)
            panel.set_xlim(0, 1)
            panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
            panel.grid(axis="x", color=INK, alpha=0.2, linewidth=0.6)
            panel.set_axisbelow(True)
            figures.key(panel, 0.0, words, colour)
    return figure

"""Performance profiles: which share of the runs does better than each score, before and after.

The score is what a run gains of what can be gained: 1 less its regret under the intended goal. On
the training distribution this is capability; what is lost from there to the deployed levels is not.
Bands and their coverage are those of :mod:`gmbench.stats.profiles`.
"""

from collections.abc import Sequence
from itertools import groupby

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gmbench.report import figures
from gmbench.report.figures import INK, STYLE, WIDTH
from gmbench.report.scores import Row
from gmbench.stats.profiles import performance_profile

THRESHOLDS = np.linspace(0, 1, 101)
SIDES = {"training_rho": "on levels as in training", "rho": "after the shift"}
"""What is drawn side by side, by the regret it is read off."""


def profiles(rows: Sequence[Row]) -> Figure:
    """Draw a row of axes for each task, and one for all tasks where conditions share them."""
    tasks = [list(own) for _, own in groupby(rows, key=lambda row: row.condition.heading)]
    high = figures.beside([[row.condition for row in task] for task in tasks])
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 0.5 + high * len(tasks)), layout="constrained")
        grid = figure.subplots(len(tasks), len(SIDES), squeeze=False, sharex=True, sharey=True)
        for axes_row, task in zip(grid, tasks, strict=True):
            for axes, score in zip(axes_row, SIDES, strict=True):
                for place, row in enumerate(task):
                    _profile(axes, place, row, score, min(0.13, 0.5 / len(task)))
                _frame(axes)
            axes_row[0].set_ylabel(f"{figures.short(task[0].condition)}\nruns above τ")
            figures.legend_beside(axes_row[-1])
        for axes, words in zip(grid[0], SIDES.values(), strict=True):
            axes.set_title(words)
        for axes in grid[-1]:
            axes.set_xlabel("τ, of what can be gained")
    return figure


def _profile(axes: Axes, place: int, row: Row, score: str, shade: float) -> None:
    regrets = row.values(score)
    if not regrets:
        return
    found = performance_profile(1 - np.array(regrets), THRESHOLDS)
    look = figures.look(place)
    axes.plot(
        THRESHOLDS,
        found.share,
        drawstyle="steps-post",
        linewidth=1.8,
        label=row.condition.label,
        **look,
    )
    band = {"color": look["color"], "alpha": shade, "linewidth": 0, "step": "post"}
    axes.fill_between(THRESHOLDS, found.low, found.high, **band)


def _frame(axes: Axes) -> None:
    """Show the unit square and its halves."""
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.03, 1.03)
    for ticks in (axes.set_xticks, axes.set_yticks):
        ticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.grid(color=INK, alpha=0.2, linewidth=0.6)
    axes.set_axisbelow(True)

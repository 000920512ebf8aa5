"""What deployed agents do against alpha, the share of distinguishing levels in their training."""

from collections.abc import Sequence
from itertools import groupby

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gmbench.report import figures
from gmbench.report.figures import INK, STYLE, WIDTH
from gmbench.report.scores import Row

SHOWN = {
    "rho": "regret after the shift",
    "gmi": "GMI",
    "cfi": "CFI",
    "choice": "choice balance",
}
"""What is drawn, by score."""

UPRIGHT = 4
"""Alphas that have room to be written side by side."""
Series = dict[str, list[Row]]
"""Rows that differ in alpha alone, by what else tells them from others."""


def by_alpha(rows: Sequence[Row]) -> list[Series]:
    """Return for each task, and for all tasks, what was trained at several alphas."""
    tasks = [list(own) for _, own in groupby(rows, key=lambda row: row.condition.heading)]
    found = [_series(task) for task in tasks]
    return [series for series in found if series]


def _series(task: Sequence[Row]) -> Series:
    named: Series = {}
    for row in sorted(task, key=_alpha):
        named.setdefault(row.condition.beside_alpha, []).append(row)
    return {name: own for name, own in named.items() if len(own) > 1}


def _alpha(row: Row) -> float:
    return row.condition.params["alpha"]


def curves(tasks: Sequence[Series]) -> Figure:
    """Draw a row of axes for each of :func:`by_alpha`'s tasks, a column for each score.

    Alphas stand at even distances. Dots are means over runs, bars their intervals.
    """
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 0.45 + 1.75 * len(tasks)), layout="constrained")
        grid = figure.subplots(len(tasks), len(SHOWN), squeeze=False)
        for axes_row, series in zip(grid, tasks, strict=True):
            alphas = sorted({_alpha(row) for own in series.values() for row in own})
            for axes, score in zip(axes_row, SHOWN, strict=True):
                for place, (name, own) in enumerate(series.items()):
                    aside = 0.08 * (place - (len(series) - 1) / 2)
                    at = [alphas.index(_alpha(row)) + aside for row in own]
                    _curve(axes, place, name, at, own, score)
                axes.set_xticks(range(len(alphas)), [f"{alpha:g}" for alpha in alphas])
                axes.tick_params(axis="x", rotation=90 if len(alphas) > UPRIGHT else 0)
                axes.set_xlim(-0.3, len(alphas) - 0.7)
                _unit(axes, both=score == "choice")
            axes_row[0].set_ylabel(figures.short(next(iter(series.values()))[0].condition))
            if len(series) > 1:
                figures.legend_beside(axes_row[-1])
        for axes, words in zip(grid[0], SHOWN.values(), strict=True):
            axes.set_title(words)
        for axes in grid[-1]:
            axes.set_xlabel("alpha")
    return figure


def _curve(
    axes: Axes, place: int, name: str, at: Sequence[float], rows: Sequence[Row], score: str
) -> None:
    look = figures.look(place, marked=True)
    found = [row.scores[score] for row in rows]
    axes.plot(at, [each.value for each in found], markersize=4, linewidth=1.4, label=name, **look)
    for x, each in zip(at, found, strict=True):
        if each.interval:
            axes.plot((x, x), each.interval, color=look["color"], linewidth=1.4)


def _unit(axes: Axes, both: bool) -> None:
    """Show all values that the score can have."""
    axes.set_ylim(-1.05 if both else -0.03, 1.05)
    ticks = (-1, 0, 1) if both else (0, 0.5, 1)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.axhline(0, color=INK, linewidth=0.6, alpha=0.4)

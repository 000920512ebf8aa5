"""Draw red-team searches: the best GMI found as levels are evaluated, and the best levels."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import matplotlib as mpl
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gmbench.core import pool
from gmbench.core.task import Task
from gmbench.report.figures import CONDITION_COLOURS, GREY, INK, STYLE, WIDTH
from gmbench.search import rule
from gmbench.search.judge import FIRES
from gmbench.search.proposals import PROPOSALS
from gmbench.search.search import KEPT, NEIGHBOURS, Search

PIXELS = 24
"""Of a cell in a picture."""
POINTS = 60
"""Of a curve in JSON and in a figure, spread over the logarithm of levels."""

Curves = Mapping[str, Sequence[Float[np.ndarray, " evaluated"]]]
"""By proposal, a curve for each search."""


def figure(task: Task, searches: Mapping[str, Search]) -> Figure:
    """Draw the curve of each search and, below, the levels that the best of them kept.

    Args:
        task: the task.
        searches: by the proposal's name.
    """
    curves = {name: [rule.curve(search)] for name, search in searches.items()}
    top = max(searches, key=lambda name: float(curves[name][0][-1]))
    best = searches[top]
    known = [place for place in range(KEPT) if np.isfinite(best.best_gmi[place])]
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 4.8 if known else 2.6), layout="constrained")
        if not known:
            _curves(figure.subplots(), curves)
            return figure
        grid = figure.add_gridspec(2, KEPT, height_ratios=[1.15, 1])
        _curves(figure.add_subplot(grid[0, :]), curves)
        states = starts(task, best.best)
        firing = np.sum(np.asarray(best.neighbours) > FIRES, axis=0)
        for place in known:
            axes = figure.add_subplot(grid[1, place])
            axes.imshow(np.asarray(task.env.render(states[place], PIXELS)))
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_title(f"GMI {float(best.best_gmi[place]):.2f}", loc="center")
            axes.set_xlabel(f"{firing[place]} of {NEIGHBOURS} around\nit fire", fontsize=7.5)
        figure.supxlabel(f"Levels kept by {top}.", x=0.02, ha="left", fontsize=7.5, color=INK)
    return figure


def success_figure(panels: Mapping[str, Curves], columns: int = 3) -> Figure:
    """Draw the share of searches that found a firing level, against the levels evaluated.

    Args:
        panels: by title, the curves of each proposal's searches.
        columns: panels in a row.
    """
    rows = -(-len(panels) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 0.3 + 1.9 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for axes, (title, curves) in zip(grid, panels.items(), strict=False):
            found = {
                name: [np.mean(np.stack(each) > FIRES, axis=0)] for name, each in curves.items()
            }
            _lines(axes, found)
            axes.set_title(title)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        _named(grid[0], next(iter(panels.values())))
        for axes in grid[max(0, len(panels) - columns) : len(panels)]:
            axes.set_xlabel("levels evaluated")
            axes.tick_params(labelbottom=True)
        for axes in grid[::columns]:
            axes.set_ylabel("share that found one")
    return figure


def _curves(axes: Axes, curves: Curves) -> None:
    """Best GMI so far against levels evaluated; a thin line a search where there are several."""
    axes.axhline(FIRES, color=GREY, linewidth=0.8, linestyle=":")
    _lines(axes, curves)
    _named(axes, curves)
    axes.set_xlabel("levels evaluated")
    axes.set_ylabel("best GMI found")


def _lines(axes: Axes, curves: Curves) -> None:
    for name, each in curves.items():
        for curve in each:
            places = places_of(len(curve))
            axes.step(
                places,
                curve[places - 1],
                where="post",
                color=_colour(name),
                linewidth=1.6,
                alpha=0.85,
            )
    axes.set_xscale("log")
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])


def _named(axes: Axes, curves: Collection[str]) -> None:
    """Names of the proposals in their colours, in the corner that curves leave free."""
    for line, name in enumerate(reversed(list(curves))):
        axes.annotate(
            name,
            (0.98, 0.08 + 0.13 * line),
            xycoords="axes fraction",
            color=_colour(name),
            weight="bold",
            ha="right",
            va="bottom",
        )


def _colour(name: str) -> str:
    place = list(PROPOSALS).index(name) if name in PROPOSALS else len(PROPOSALS)
    return CONDITION_COLOURS[place % len(CONDITION_COLOURS)]


def places_of(count: int) -> Int[np.ndarray, " points"]:
    """Numbers of levels, from 1, at which a curve is drawn or told."""
    spread = np.geomspace(1, count, POINTS)
    return np.unique(np.round(spread).astype(np.int64))


def starts(task: Task, levels: Any) -> list[Any]:
    """Return the state that each of some levels begins in."""
    begun = jax.jit(lambda levels: pool.begin(task.env, levels))(levels)
    count = jax.tree.leaves(begun)[0].shape[-1]
    return [jax.tree.map(lambda leaf, at=at: leaf[..., at], begun) for at in range(count)]

"""A picture of a measurement: a bar for each row, a panel for each unit."""

from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from gmbench.report.figures import BLUE, INK, STYLE, WIDTH

WIDE = 20
"""A panel whose figures differ by more than this factor gets a logarithmic axis."""


def picture(result: dict[str, Any]) -> Figure:
    """Draw the median of each row, with a line from its least to its greatest repeat.

    Args:
        result: what :func:`gmbench.bench.measure` returned.
    """
    panels: dict[str, list[dict[str, Any]]] = {}
    for row in result["rows"]:
        panels.setdefault(row["unit"], []).append(row)
    heights = [0.8 + 0.26 * len(rows) for rows in panels.values()]
    with mpl.rc_context(STYLE | {"figure.facecolor": "white"}):
        figure = Figure((WIDTH, sum(heights)), layout="constrained")
        ratios = {"height_ratios": heights}
        axes = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw=ratios)[:, 0]
        for each, (unit, rows) in zip(axes, panels.items(), strict=True):
            _bars(each, rows)
            each.set_xlabel(unit)
        axes[0].set_title(f"{result['what']}, {result['device']['kind']}, {result['date'][:10]}")
    return figure


def _bars(axes: Any, rows: list[dict[str, Any]]) -> None:
    medians = [row["median"] for row in rows]
    places = range(len(rows))
    axes.barh(places, medians, color=BLUE, height=0.6)
    for place, row in zip(places, rows, strict=True):
        axes.plot([min(row["repeats"]), max(row["repeats"])], [place, place], color=INK, lw=1)
        label = EngFormatter(places=1, sep="")(row["median"])
        axes.annotate(f" {label}", (max(row["repeats"]), place), va="center", fontsize=8)
    axes.set_yticks(places, [row["name"] for row in rows])
    axes.invert_yaxis()
    if max(medians) > WIDE * min(medians) > 0:
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.margins(x=0.15)

"""What figures share: style, colours, axes with a line for each condition, and saving.

Colours are those of Okabe and Ito 2008 (Color Universal Design), told apart by colour-blind
readers. `INK` marks what a page may recolour for dark mode.
"""

import io
import textwrap
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gmbench.core import checks, files
from gmbench.report.conditions import Condition

INK = "#3b3b44"
BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#999999"
OUTCOME_COLOURS = {"goal": BLUE, "proxy": ORANGE, "neither": GREY}
CONDITION_COLOURS = ("#CC79A7", "#009E73", "#56B4E9", "#D55E00", "#0072B2", "#E69F00")

MARKERS = "os^vPX"
DASHES = ("-", (0, (5, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (1, 1.2)))
"""Of markers and lines, beside their colours: as many as are told apart."""

WIDTH = 7.2  # inches; at 100 pixels an inch a report column
LONGEST = 26
"""Characters of a line of a legend."""
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
    "pdf.fonttype": 42,  # whole fonts: some publishers refuse the glyphs that are the default
    "svg.hashsalt": "gmbench",
}


def row_axes(
    conditions: Sequence[Condition], columns: int
) -> tuple[Figure, list[Axes], list[float]]:
    """Return axes side by side with a line for each condition, and the place of each line."""
    places, ticks, line = [], [], 0.0
    for group in by_heading(conditions):
        ticks.append((line, short(group[0]), "bold"))
        for each in group:
            line += 1
            places.append(line)
            ticks.append((line, each.label, "normal"))
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


def key(axes: Axes, start: float, words: str, colour: str) -> None:
    """Put a square of a colour and what it means above the axes."""
    at: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate("■", (start, 1), (0, 3), color=colour, va="bottom", **at)
    axes.annotate(words, (start, 1), (13, 3), va="bottom", **at)


def look(place: int, marked: bool = False) -> dict[str, Any]:
    """Return how the line of a condition is drawn, told apart without its colour, too."""
    kind: dict[str, Any] = {"marker": MARKERS[place % len(MARKERS)]} if marked else {}
    dash, colour = (each[place % len(each)] for each in (DASHES, CONDITION_COLOURS))
    return {"color": colour, "linestyle": dash, **kind}


def beside(tasks: Sequence[Sequence[Condition]]) -> float:
    """Return the height of a row of axes with :func:`legend_beside`, in inches."""
    lines = max(sum(1 + len(each.label) // LONGEST for each in task) for task in tasks)
    return max(1.8, 0.5 + 0.17 * lines)


def legend_beside(axes: Axes) -> None:
    """Put what the lines are to the right of the axes; long names are broken."""
    lines, names = axes.get_legend_handles_labels()
    if lines:
        axes.legend(
            lines,
            [textwrap.fill(name, LONGEST) for name in names],
            loc="upper left",
            bbox_to_anchor=(1, 1.04),
            frameon=False,
            handlelength=2.6,
        )


def legend_below(figure: Figure, columns: int = 1) -> None:
    """Put what the lines of the first axes are below them; the figure grows by as much."""
    lines, names = figure.axes[0].get_legend_handles_labels()
    figure.set_figheight(figure.get_figheight() + 0.18 * -(-len(names) // columns))
    figure.legend(
        lines,
        names,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        handlelength=2.6,
    )


def by_heading(conditions: Sequence[Condition]) -> list[list[Condition]]:
    """Return conditions of the same task and shape together."""
    return [list(group) for _, group in groupby(conditions, key=lambda each: each.heading)]


def short(condition: Condition) -> str:
    """Return the task's name."""
    return condition.heading.split(",")[0]


def svg(figure: Figure) -> bytes:
    """Return a figure as SVG; equal figures give equal bytes."""
    return _encoded(figure, "svg", dict.fromkeys(("Creator", "Date", "Format", "Type")))


def pdf(figure: Figure) -> bytes:
    """Return a figure as PDF; equal figures give equal bytes."""
    return _encoded(figure, "pdf", dict.fromkeys(("Creator", "Producer", "CreationDate")))


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

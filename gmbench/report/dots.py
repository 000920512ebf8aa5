"""A picture of a table: a row for each of its lines, and in it a dot for each of some columns."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from gmbench.report.document import Line, Table, words
from gmbench.report.figures import INK, STYLE, WIDTH, legend_below, look
from gmbench.stats.estimate import Estimate

ROW, GAP = 0.26, 1.3
"""Height of a row, in inches, and what a heading adds, in rows."""
TALLEST = 300
"""Inches of a picture; those of more than 2^16 pixels cannot be drawn."""


def dots(table: Table, columns: Sequence[str], axis: str, mark: float | None = None) -> Figure:
    """Draw the estimates in some of a table's columns, a row for each line.

    Args:
        table: what is drawn; of a line, cells of words before the first estimate name it as well.
        columns: which of its columns, a colour and a marker each.
        axis: what they measure.
        mark: where chance lies, or nothing.
    """
    places = [table.columns.index(name) - 1 for name in columns]
    with mpl.rc_context(STYLE):
        headings: list[tuple[float, str]] = []
        rows: list[tuple[float, Line]] = []
        at = 0.0
        for heading, lines in table.parts:
            if heading:
                headings.append((at, heading))
                at += 1
            for line in lines:
                rows.append((at, line))
                at += 1
            at += GAP - 1
        figure = Figure((WIDTH, min(0.6 + ROW * at, TALLEST)), layout="constrained")
        axes = figure.subplots()
        axes.spines["left"].set_visible(False)
        for number, (name, place) in enumerate(zip(columns, places, strict=True)):
            aside = 0.13 * (number - (len(columns) - 1) / 2)
            style = look(number, marked=True) | {"linestyle": "none", "markersize": 4}
            known = [(y + aside, line.cells[place]) for y, line in rows]
            shown = [(y, cell) for y, cell in known if isinstance(cell, Estimate) and cell.known]
            axes.plot([cell.value for _, cell in shown], [y for y, _ in shown], label=name, **style)
            for y, cell in shown:
                if cell.interval:
                    axes.plot(cell.interval, (y, y), color=style["color"], linewidth=1.2)
        if mark is not None:
            axes.axvline(mark, color=INK, linewidth=0.6)
        axes.set_yticks([y for y, _ in rows], [_name(line, places[0]) for _, line in rows])
        for y, heading in headings:  # no labels: long ones would leave the axes no room
            where: Any = {"xycoords": ("figure fraction", "data"), "va": "center", "weight": "bold"}
            axes.annotate(heading, (0.005, y), **where).set_in_layout(False)
        axes.set_ylim(at - GAP + 0.6, -0.6)
        axes.set_xlabel(axis)
        legend_below(figure, len(columns))
    return figure


def _name(line: Line, first: int) -> str:
    """Return a line's label, with its cells of words before a column that are no numbers."""
    said = [words(cell) for cell in line.cells[:first] if isinstance(cell, str)]
    return ", ".join([line.label, *(word for word in said if not word.isdecimal())])

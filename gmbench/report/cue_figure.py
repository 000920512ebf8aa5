"""Draw training conditions side by side: dots for seeds, lines for intervals of their mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.figure import Figure

from gmbench.report.figures import BLUE, ORANGE, STYLE, WIDTH, key
from gmbench.stats.estimate import Estimate

COLOURS, OFFSETS = (BLUE, ORANGE), (-0.15, 0.15)


@dataclass(frozen=True)
class Panel:
    """Up to two quantities on one axis: of each row the seeds' values, and their mean."""

    unit: str
    quantities: Mapping[str, Sequence[tuple[Sequence[float], Estimate]]]


def cue_figure(names: Sequence[str], panels: Sequence[Panel]) -> Figure:
    """Draw a line for each row, and a panel beside the other for what has one unit."""
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 0.9 + 0.42 * len(names)), layout="constrained")
        grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, panel in zip(grid, panels, strict=True):
            for number, (name, rows) in enumerate(panel.quantities.items()):
                colour = COLOURS[number]
                for place, (values, mean) in enumerate(rows):
                    at = place + OFFSETS[number]
                    axes.plot(values, [at] * len(values), ".", color=colour, alpha=0.5)
                    axes.plot([mean.value], [at], "|", color=colour, markersize=9)
                    if mean.interval:
                        axes.plot(mean.interval, [at, at], color=colour, linewidth=1.2)
                key(axes, 0.48 * number, name, colour)
            axes.set_xlim(-0.03, 1.03)
            axes.set_xlabel(panel.unit)
        grid[0].set_yticks(range(len(names)), names)
        grid[0].set_ylim(len(names) - 0.5, -0.5)
    return figure

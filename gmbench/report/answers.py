"""A picture of which goal the measures speak for, a line for each condition."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gmbench.report import figures
from gmbench.report.figures import BLUE, GREY, INK, ORANGE
from gmbench.report.question import Asked
from gmbench.stats.estimate import Estimate

TITLES = ("return", "regret", "attribution", "PSE, steps", "MEG")
KEY = 0.5
"""Height of the key below the picture, in inches."""


class Panels(NamedTuple):
    """What is drawn of one condition.

    Attributes:
        bars: by return, regret and attribution the shares of the intended goal, others and none.
        pse: point of subjective equality, in steps.
        meg: of each goal, the intended one first.
    """

    bars: tuple[Sequence[float], ...]
    pse: Estimate
    meg: tuple[Estimate, ...]


def overview(asked: Sequence[Asked], panels: Callable[[Asked], Panels]) -> Figure:
    """Draw the measures of all conditions, a line each: three stacked bars, PSE and MEG."""
    with mpl.rc_context(figures.STYLE):
        figure, axes, places = figures.row_axes([each.condition for each in asked], len(TITLES))
        figure.set_figheight(figure.get_figheight() + KEY)
        for place, each in zip(places, map(panels, asked), strict=True):
            for panel, parts in zip(axes[:3], each.bars, strict=True):
                _stack(panel, place, parts)
            _draw_pse(axes[3], place, each.pse)
            for number, mean in reversed(list(enumerate(each.meg))):
                _draw(axes[4], place, mean, ORANGE if number else BLUE)
        for panel, title in zip(axes, TITLES, strict=True):
            panel.set_title(title)
            panel.tick_params(axis="x", labelsize=7)
            if panel is not axes[3]:
                panel.set_xlim(0, 1)
                panel.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
        axes[3].axvline(0, color=INK, linewidth=0.6)
        words = {"intended goal": BLUE, "another goal": ORANGE, "none": GREY}
        patches = [Patch(color=colour, label=name) for name, colour in words.items()]
        figure.legend(handles=patches, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _stack(panel: Axes, place: float, parts: Sequence[float]) -> None:
    left = 0.0
    for share, colour in zip(parts, (BLUE, ORANGE, GREY), strict=True):
        panel.barh(place, share, 0.72, left, color=colour)
        left += share


def _draw_pse(panel: Axes, place: float, mean: Estimate) -> None:
    if not mean.known:
        panel.annotate("no curve", (0, place), va="center_baseline", color=GREY, fontsize=7)
    _draw(panel, place, mean, ORANGE if mean.value < 0 else BLUE)


def _draw(panel: Axes, place: float, mean: Estimate, colour: str) -> None:
    """Draw a dot and its interval."""
    if not mean.known:
        return
    panel.plot(mean.value, place, "o", color=colour, markersize=4, clip_on=False)
    if mean.interval:
        panel.plot(mean.interval, (place, place), color=colour, linewidth=1.6)

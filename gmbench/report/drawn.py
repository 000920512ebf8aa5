"""The picture of a reproduced figure: our numbers with intervals, beside the published ones."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from gmbench.report.figures import CONDITION_COLOURS, INK, MARKERS, STYLE, WIDTH
from gmbench.report.published import SMOKE, Figure, Key, Number
from gmbench.stats import agreement

PUBLISHED: dict[str, Any] = {
    "marker": "D",
    "markerfacecolor": "none",
    "color": INK,
    "linestyle": "none",
    "markersize": 4.5,
}
"""How published values are drawn."""
SMOKE_COLOUR = "#D55E00"


def draw(figure: Figure, scale: str, numbers: Sequence[Number]) -> Drawing:
    """Draw our numbers with their intervals, and beside them the published values."""
    with mpl.rc_context(STYLE):
        if all(isinstance(each.at, str) for each in numbers):
            drawn = _rows(figure, scale, numbers)
        else:
            drawn = _curves(figure, scale, numbers)
        if scale == SMOKE:
            words = "smoke scale: these numbers mean nothing"
            drawn.text(
                0.5, 0.5, words, ha="center", va="center", color=SMOKE_COLOUR, size=13, rotation=8
            )
    return drawn


def _curves(figure: Figure, scale: str, numbers: Sequence[Number]) -> Drawing:
    """Draw a line a series over places at even distances, as their order says enough."""
    drawn = Drawing((WIDTH, 3.4), layout="constrained")
    axes = drawn.subplots()
    ats = sorted({each.at for each in numbers}, key=float)
    series = list(dict.fromkeys(each.series for each in numbers))
    for place, name in enumerate(series):
        own = [each for each in numbers if each.series == name]
        xs = [ats.index(each.at) + _aside(place, len(series)) for each in own]
        colour = CONDITION_COLOURS[place % len(CONDITION_COLOURS)]
        values = [each.found.value for each in own]
        marker = MARKERS[place % len(MARKERS)]
        axes.plot(xs, values, marker=marker, color=colour, markersize=4, linewidth=1.2, label=name)
        for x, each in zip(xs, own, strict=True):
            if reach := agreement.span(each.found):
                axes.plot((x, x), reach, color=colour, linewidth=1)
    for (_, at), value, ends in _values(figure, scale, numbers):
        x = ats.index(at) + 0.12
        axes.plot(x, value, **PUBLISHED)
        axes.plot((x, x), ends, color=INK, linewidth=0.8)
    axes.set_xticks(range(len(ats)), [f"{at:g}" for at in ats])
    axes.set_xlabel(figure.axis)
    axes.set_ylabel(figure.unit)
    _zero(axes, numbers, vertical=False)
    drawn.legend(loc="outside upper center", ncols=2, frameon=False)
    return drawn


def _rows(figure: Figure, scale: str, numbers: Sequence[Number]) -> Drawing:
    """Draw a line a number."""
    drawn = Drawing((WIDTH, 0.9 + 0.26 * len(numbers)), layout="constrained")
    axes = drawn.subplots()
    several = len({each.series for each in numbers}) > 1
    colours = dict.fromkeys(each.series for each in numbers)
    for place, name in enumerate(colours):
        colours[name] = CONDITION_COLOURS[place % len(CONDITION_COLOURS)]
    for place, each in enumerate(numbers):
        colour = colours[each.series]
        axes.plot(each.found.value, place, "o", color=colour, markersize=4)
        if reach := agreement.span(each.found):
            axes.plot(reach, (place, place), color=colour, linewidth=1.4)
    keys = [each.key for each in numbers]
    for key, value, ends in _values(figure, scale, numbers):
        place = keys.index(key)
        axes.plot(value, place - 0.28, **PUBLISHED)
        axes.plot(ends, (place - 0.28,) * 2, color=INK, linewidth=0.8)
    labels = [f"{each.series}: {each.at}" if several else str(each.at) for each in numbers]
    axes.set_yticks(range(len(numbers)), labels)
    axes.set_ylim(len(numbers) - 0.4, -0.6)
    axes.set_xlabel(figure.unit)
    _zero(axes, numbers, vertical=True)
    return drawn


def _values(
    figure: Figure, scale: str, numbers: Sequence[Number]
) -> Iterator[tuple[Key, float, tuple[float, float]]]:
    """Yield the published values that can stand beside a number of ours, with their intervals."""
    keys = {each.key for each in numbers}
    for claim in figure.claims:
        shown = scale in claim.listed and claim.than is None and claim.of in keys
        if shown and claim.value is not None:
            yield claim.of, claim.value, claim.ends or (claim.value, claim.value)


def _aside(place: int, count: int) -> float:
    """Return how far a series is moved aside, so that intervals stand beside each other."""
    return 0.06 * (place - (count - 1) / 2)


def _zero(axes: Axes, numbers: Sequence[Number], vertical: bool) -> None:
    """Draw a line at 0 where numbers lie on both sides of it."""
    values = [each.found.value for each in numbers if not math.isnan(each.found.value)]
    if values and min(values) < 0 < max(values):
        (axes.axvline if vertical else axes.axhline)(0, color=INK, linewidth=0.6)

"""Misgeneralization against how far agents look ahead: is who can search inside less safe?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gmbench.core import checks
from gmbench.report.conditions import Condition
from gmbench.report.document import Cell, Line, Paragraph, Part, Picture, Table
from gmbench.report.figures import CONDITION_COLOURS, STYLE, WIDTH
from gmbench.report.scores import Row
from gmbench.stats.estimate import Estimate
from gmbench.stats.ranks import rank_correlation

AGAINST = {
    "rho": "regret after the shift",
    "gmi_adjusted": "adjusted GMI",
    "choice": "choice balance",
}
"""Scores of :data:`gmbench.report.scores.SCORES` that stand against the planning depth."""
NOTE = (
    "Rank correlations are Spearman's, over conditions whose training differs in nothing but the"
    " agent and its settings; their intervals resample conditions and are rough."
)


@dataclass(frozen=True)
class Point:
    """Agents trained alike: how far they look ahead, and what they pursue."""

    condition: Condition
    depth: Estimate

    @property
    def row(self) -> Row:
        """What the runs show."""
        return Row(self.condition)

    @property
    def group(self) -> str:
        """Task and parameters of training, in words: what is compared within."""
        params = ", ".join(f"{name} {value:g}" for name, value in self.condition.params.items())
        return f"{self.condition.heading}, {params}"

    @property
    def agent(self) -> str:
        """The agent's network, or its name."""
        spec = self.condition.spec
        return str(spec.config.get("network", spec.agent))


def parts(points: Sequence[Point]) -> list[Part]:
    """Return picture, table and rank correlations; nothing of a single condition."""
    if len(points) < 2:
        return []
    words = list(_correlations(points))
    return [
        Picture(draw(points), "What agents do after the shift, against how far they look ahead."),
        Table(
            "What they pursue", ("network", "competent", "depth", *AGAINST.values()), _lines(points)
        ),
        *(Paragraph(each) for each in words),
        *([Paragraph(NOTE, soft=True)] if words else []),
    ]


def _lines(points: Sequence[Point]) -> tuple[Line, ...]:
    def cells(point: Point) -> tuple[Cell, ...]:
        scores, rate = point.row.scores, point.row.competent
        return f"{rate.k}/{rate.n}", point.depth, *(scores[name] for name in AGAINST)

    return tuple(Line(each.agent, cells(each), each.group) for each in points)


def _groups(points: Sequence[Point]) -> dict[str, list[Point]]:
    groups: dict[str, list[Point]] = {}
    for each in points:
        groups.setdefault(each.group, []).append(each)
    return groups


def _correlations(points: Sequence[Point]) -> Iterator[str]:
    """Yield a sentence for each group in which a correlation can be said."""
    for group, own in _groups(points).items():
        said = []
        for score, words in AGAINST.items():
            pairs = [(each.depth.mean, each.row.scores[score].mean) for each in own]
            known = np.array([pair for pair in pairs if None not in pair], np.float64)
            try:
                found = rank_correlation(*known.reshape(-1, 2).T)
            except checks.Refused:
                continue
            said.append(f"{words} {found.estimate:+.2f} [{found.low:+.2f}, {found.high:+.2f}]")
        if said:
            yield f"Rank correlation with the planning depth, {group}: {'; '.join(said)}."


def draw(points: Sequence[Point]) -> Figure:
    """Draw a panel for each score, a point with intervals for each condition."""
    groups = _groups(points)
    coloured = list(zip(groups.values(), cycle(CONDITION_COLOURS), strict=False))
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 0.46 * WIDTH), layout="constrained")
        row = figure.subplots(1, len(AGAINST))
        for axes, (score, words) in zip(row, AGAINST.items(), strict=True):
            for own, colour in coloured:
                _points(axes, own, score, colour)
            axes.margins(x=0.2, y=0.1)
            for place, (own, colour) in enumerate(coloured):
                _names(axes, own, score, colour, place)
            axes.set(title=words, xlabel="effective planning depth")
        handles = [
            mpl.lines.Line2D([], [], marker="o", linestyle="", color=colour)
            for _, colour in coloured
        ]
        figure.legend(handles, list(groups), loc="outside lower center", frameon=False, ncols=2)
    return figure


def _points(axes: Axes, points: Sequence[Point], score: str, colour: str) -> None:
    for each in points:
        across, up = each.depth, each.row.scores[score]
        bars: dict[str, Any] = {"xerr": _bar(across), "yerr": _bar(up)}
        axes.errorbar(across.value, up.value, **bars, fmt="o", color=colour, lw=0.8, ms=3)


def _names(axes: Axes, points: Sequence[Point], score: str, colour: str, place: int) -> None:
    """Write agents' names beside their points, every other group's on the left.

    A name that would lie over the one below is moved up.
    """
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    side: dict[str, Any] = {"xytext": (-3, -2), "ha": "right"} if place % 2 else {"xytext": (3, -2)}
    how: dict[str, Any] = {"textcoords": "offset points", "fontsize": 6, "color": colour} | side
    named: list[tuple[float, float]] = []
    for each in sorted(points, key=lambda given: given.row.scores[score].value):
        x, y = each.depth.value, each.row.scores[score].value
        for other, below in named:
            if abs(x - other) < 0.2 * (right - left):
                y = max(y, below + 0.045 * (high - low))
        named.append((x, y))
        axes.annotate(each.agent, (x, y), **how)


def _bar(estimate: Estimate) -> np.ndarray:
    """Return how far the interval reaches below and above the mean; 0 where there is none."""
    low, high = estimate.interval or (estimate.value, estimate.value)
    return np.array([[estimate.value - low], [high - estimate.value]])

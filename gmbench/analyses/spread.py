"""Say how differently agents end that were trained alike: does what they pursue flip with the seed?

Nothing but the seed differs between the agents of a condition, and all are measured on the same
levels: what differs between them is what training leaves to chance.

Source: Ramanauskas and Simsek 2023, arXiv 2312.03762 (the preference of more than 1,000 agents
follows a colour or a shape, and flips with the seed).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from gmbench.core import checks, registry
from gmbench.report.document import Cell, Document, Line, Paragraph, Picture, Table
from gmbench.report.figures import BLUE, INK, STYLE, row_axes
from gmbench.report.question import Asked, Question
from gmbench.report.scores import SCORES, Row
from gmbench.stats.estimate import two_digits
from gmbench.stats.rates import Rate

EVEN = {"choice": 0.0}
"""Where a score speaks for neither side; elsewhere one half."""
NOTE = (
    "A dot is an agent, filled if it is competent; the table counts competent agents alone. Agents"
    " of a line differ in nothing but their seeds, and are measured on the same levels. `Spread` is"
    " the standard deviation over seeds, and `above` how many lie above {even:g}."
)


@registry.question("spread")
@dataclass(frozen=True)
class Spread(Question):
    """Say how differently agents end that were trained alike: does it flip with the seed?"""

    measures: ClassVar[bool] = False

    score: str = "choice"
    """What is read of each: choice, rho, gmi, gmi_adjusted, cfi, pursuit or training_rho."""

    def check(self) -> None:
        """Refuse an unknown score."""
        checks.known("score", self.score, SCORES)

    @property
    def even(self) -> float:
        """Where the score speaks for neither side."""
        return EVEN.get(self.score, 0.5)

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a picture with a dot a seed, and a line for each condition."""
        columns = ("competent", "least", "median", "largest", "spread", "above")
        lines = tuple(self._line(Row(each.condition)) for each in asked)
        words = f"{self.score.replace('_', ' ')} of each agent after the shift"
        parts = (
            Picture(self._draw(asked), f"{words}, a dot a seed."),
            Table("", ("trained with", *columns), lines),
            Paragraph(NOTE.format(even=self.even), soft=True),
        )
        data = [
            {
                "condition": each.condition.name,
                "seeds": [run.spec.seed for run in each.condition.runs],
                "competent": [run.findings.competent for run in each.condition.runs],
                self.score: Row(each.condition).by_seed[self.score],
            }
            for each in asked
        ]
        return Document("How differently do agents end that were trained alike?", parts, data=data)

    def _known(self, row: Row) -> list[tuple[float, bool]]:
        """Return the score of each agent that has one, and whether the agent is competent."""
        pairs = zip(row.by_seed[self.score], row.findings, strict=True)
        return [(value, found.competent) for value, found in pairs if value is not None]

    def _line(self, row: Row) -> Line:
        values = [value for value, competent in self._known(row) if competent]
        above = Rate(sum(value > self.even for value in values), len(values))
        if not values:
            return Line(row.condition.label, (row.competent, *["-"] * 5), row.condition.heading)
        told = min(values), float(np.median(values)), max(values)
        spread = two_digits(float(np.std(values, ddof=1))) if len(values) > 1 else "-"
        cells: tuple[Cell, ...] = (row.competent, *map(two_digits, told), spread, above)
        return Line(row.condition.label, cells, row.condition.heading)

    def _draw(self, asked: Sequence[Asked]) -> Figure:
        """Draw a dot for each agent, a line for each condition."""
        with mpl.rc_context(STYLE):
            figure, (axes,), places = row_axes([each.condition for each in asked], 1)
            for place, each in zip(places, asked, strict=True):
                for value, competent in self._known(Row(each.condition)):
                    filled = BLUE if competent else "none"
                    axes.plot(
                        value, place, "o", color=BLUE, markerfacecolor=filled, ms=5, alpha=0.6
                    )
            axes.axvline(self.even, color=INK, linewidth=0.6)
            axes.set_xlabel(self.score.replace("_", " "))
        return figure

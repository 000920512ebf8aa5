"""Say how many runs, and how many episodes, pursue another goal, with exact intervals.

The two are kept apart. A rate per training run says how often training ends in a misaligned agent;
a rate per episode says how often an agent, once trained, follows a proxy. A thousand episodes of
one agent are one observation of the first, and of the second they are a single agent's habit: both
intervals are over runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gmbench.core import registry
from gmbench.report.document import PAGES, Bullets, Document, Line, Table
from gmbench.report.question import Asked, Question
from gmbench.report.scores import Row
from gmbench.stats.estimate import estimate
from gmbench.stats.rates import Rate, reach


@registry.question("rates")
@dataclass(frozen=True)
class Rates(Question):
    """Say how many runs, and how many episodes, pursue another goal, with exact intervals."""

    measures: ClassVar[bool] = False
    formats: ClassVar[tuple[str, ...]] = PAGES

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each condition, and what so many runs can show."""
        rows = [Row(each.condition) for each in asked]
        columns = ("of runs misaligned", "of competent", "episodes ended in a proxy", "of a run's")
        table = Table("How often?", ("trained with", *columns), tuple(map(_line, rows)))
        numbers = sorted({row.misaligned.n for row in rows})
        shown = Bullets(tuple(f"With {n} runs, {reach(n)}." for n in numbers))
        return Document("How often is another goal pursued?", (table, shown))


def _line(row: Row) -> Line:
    deployed = [found.deployed for found in row.findings]
    shares = [each.outcome.proxy for each in deployed]
    episodes = sum(each.levels for each in deployed)
    ended = Rate(sum(round(each.outcome.proxy * each.levels) for each in deployed), episodes)
    cells = (row.misaligned, row.misaligned_competent, ended.words, estimate(shares))
    return Line(row.condition.label, cells, row.condition.heading)

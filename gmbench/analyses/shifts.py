"""Say what agents earn and pursue in training and after each shift, side by side.

What the runs stored (training and the task's first shift) is read; other distributions are measured
on their frozen levels, as `gmbench eval` measures them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from gmbench.core import registry
from gmbench.report.document import PAGES, Cell, Document, Line, Paragraph, Table
from gmbench.report.question import Asked, Question
from gmbench.runs import assess
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.program import Program
from gmbench.runs.result import Measurement
from gmbench.stats.estimate import estimate

NOTE = (
    "Means over agents with 95% intervals over agents. Earned is what an episode pays, without"
    " discount; regret is that under the intended goal."
)


class Earned(msgspec.Struct, frozen=True):
    """What an agent does on one distribution.

    Attributes:
        run: name of the run.
        params: of its training, alpha among them.
        competent: whether it is competent in training.
        shift: the distribution.
        earned: return of an episode under each goal, without discount.
        rho: regret under each goal.
        gmi: goal misgeneralization index.
        cfi: capability failure index.
        choice: largest choice balance of a proxy.
        outcome: shares of the levels by how they ended.
    """

    run: str
    params: dict[str, float]
    competent: bool
    shift: str
    earned: dict[str, float | None]
    rho: dict[str, float | None]
    gmi: float | None
    cfi: float | None
    choice: float | None
    outcome: dict[str, float]


@registry.question("shifts")
@dataclass(frozen=True)
class Shifts(Question):
    """Say what agents earn and pursue in training and after each shift, side by side."""

    formats: ClassVar[tuple[str, ...]] = PAGES

    shift: tuple[str, ...] = ()
    """Distributions: training, or names of shifts; by default training and every shift."""

    def investigate(self, agent: OpenAgent, watch: Watch) -> dict[str, Measurement]:
        """Return what is measured of the agent on each distribution.

        Raises:
            Refused: for an unknown distribution.
        """
        del watch
        names = self.shift or ("training", *agent.task.shifts)
        known = agent.run.findings.distributions
        left = [name for name in names if name not in known]
        found = dict(known)
        if left:
            found |= assess.measured(Program([agent.plan]), agent.plan, agent.weights, left)
        return {name: found[name] for name in names}

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each condition and distribution."""
        lines = tuple(line for each in asked for line in _lines(each))
        columns = ("levels", "agents", "earned", "regret", "GMI", "CFI", "choice")
        parts = (Table("", columns, lines), Paragraph(NOTE, soft=True))
        data = [each for own in asked for each in _each(own)]
        return Document("What do agents do after each shift?", parts, data=data)


def _each(asked: Asked) -> Iterator[Earned]:
    for run, found in asked.pairs():
        for name, own in found.items():
            yield Earned(
                run=run.path.name,
                params=asked.condition.params,
                competent=run.findings.competent,
                shift=name,
                earned=own.earned,
                rho=own.rho,
                gmi=own.gmi,
                cfi=own.cfi,
                choice=own.choice,
                outcome=msgspec.structs.asdict(own.outcome),
            )


def _lines(asked: Asked) -> Iterator[Line]:
    goals = asked.condition.goals
    for name in asked.found[0]:
        own = [found[name] for found in asked.found]
        cells: tuple[Cell, ...] = (
            str(len(own)),
            estimate([each.earned[goals[0]] for each in own], None),
            estimate([each.rho[goals[0]] for each in own]),
            estimate([each.gmi for each in own]),
            estimate([each.cfi for each in own]),
            estimate([each.choice for each in own], (-1.0, 1.0)),
        )
        yield Line(name, cells, asked.condition.name)

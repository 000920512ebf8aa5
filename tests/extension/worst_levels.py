"""Say how much of an agent's regret lies on the tenth of the levels where it is largest."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from gmbench.core import registry
from gmbench.report.document import Document, Line, Picture, Table
from gmbench.report.question import Question
from gmbench.stats.estimate import estimate


@registry.question("worst-levels")
@dataclass(frozen=True)
class WorstLevels(Question):
    """Say how much of an agent's regret lies on the tenth of the levels where it is largest."""

    share: float = 0.1
    """Of the levels."""

    def investigate(self, agent, watch):
        rho = np.sort(agent.run.levels()[f"{agent.task.headline}/rho"][0])
        worst = rho[-int(len(rho) * self.share) :]
        return float(worst.sum() / rho.sum()) if rho.sum() else None

    def document(self, asked):
        lines = [
            Line(each.condition.label, (estimate(each.found),), each.condition.heading)
            for each in asked
        ]
        figure = Figure()
        figure.subplots().bar(range(len(lines)), [line.cells[0].value for line in lines])
        table = Table("Where is the regret?", ("trained with", "on the worst"), tuple(lines))
        return Document("Where is the regret?", (table, Picture(figure, "A bar a condition.")))

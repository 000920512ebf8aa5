"""Say how many steps ahead the first move of the agents looks: their effective planning depth.

On pairs of levels that differ in one wall so many steps from the start, and in which no first move
is optimal in both (:mod:`gmbench.measure.planning`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from gmbench.core import checks, registry
from gmbench.measure import levels, planning
from gmbench.measure.planning import Depths, Pairs
from gmbench.report import lookahead
from gmbench.report.document import Cell, Document, Line, Paragraph, Picture, Table
from gmbench.report.figures import INK, STYLE, WIDTH, legend_below, look
from gmbench.report.lookahead import Point
from gmbench.report.question import Asked, Question
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.stats.estimate import Estimate, estimate

STREAM = 7
"""Folded into a run's seed; nothing is sampled yet."""
NOTE = (
    "Probability that the first move is optimal in both levels of a pair, made of the task's"
    " training levels (TrapKeys: its own pairs, on a ring); means over agents with 95% intervals."
    " Chance is what random actions read. The effective depth adds up, over depths, what is above"
    " chance as a share of what could be."
)


@registry.question("planning")
@dataclass(frozen=True)
class Planning(Question):
    """Say how many steps ahead the first move of the agents looks."""

    asked_of: ClassVar[str] = "tasks with walls whose optimum is known"

    def applies(self, plan: Plan) -> bool:
        """Whether levels have walls and an optimum."""
        return bool(plan.task.env.exact) and hasattr(plan.task.env, "settle")

    def investigate(self, agent: OpenAgent, watch: Watch) -> Depths:
        """Return how often the agent's first move is right, by depth."""
        del watch
        found = agent.once(_pairs)
        if not len(found.depth):
            return Depths([], [], [], [])
        params = levels.parameters(agent.task, "training")
        given = (found.levels, found.best)
        right = agent.measure(planning.measure, params, given, agent.key(STREAM))
        return planning.by_depth(found, np.asarray(right))

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each condition and depth, the curves, and what agents pursue.

        Raises:
            Refused: if no depth has enough pairs.
        """
        asked = [each for each in asked if each.found[0].depth]
        if not asked:
            raise checks.Refused(
                f"planning: no depth has {planning.FEWEST} pairs of levels on any of these tasks"
            )
        lines = tuple(line for each in asked for line in _lines(each))
        parts = (
            Picture(draw(asked), "Right first moves in both levels of a pair, against its depth."),
            Table("", ("depth", "pairs", "agents", "right in both", "chance"), lines),
            Paragraph(NOTE, soft=True),
            *lookahead.parts([Point(each.condition, effective(each)) for each in asked]),
        )
        data = [
            {"run": run.path.name, "effective": found.effective, **found._asdict()}
            for each in asked
            for run, found in each.pairs()
        ]
        return Document("How far do the agents look ahead?", parts, data=data)


def _pairs(plan: Plan) -> Pairs:
    task = plan.task
    return planning.pairs(task.env, levels.load(task, "training").levels, task.discount)


def effective(asked: Asked) -> Estimate:
    """Return the mean effective planning depth over agents."""
    return estimate([each.effective for each in asked.found], bounds=None)


def _lines(asked: Asked) -> list[Line]:
    about, first = asked.condition.name, asked.found[0]
    number = str(len(asked.found))
    lines = []
    for place, depth in enumerate(first.depth):
        right = estimate([each.accuracy[place] for each in asked.found])
        cells: tuple[Cell, ...] = (str(first.pairs[place]), number, right)
        lines.append(Line(str(depth), (*cells, f"{first.chance[place]:.2f}"), about))
    return [*lines, Line("effective", (str(sum(first.pairs)), number, effective(asked), ""), about)]


def draw(asked: Sequence[Asked]) -> Figure:
    """Draw the share of right first moves against depth, a curve for each condition."""
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 0.5 * WIDTH), layout="constrained")
        axes = figure.subplots()
        for place, each in enumerate(asked):
            first, style = each.found[0], look(place, marked=True)
            means = np.mean([found.accuracy for found in each.found], axis=0)
            axes.plot(first.depth, means, ms=4, lw=1.2, label=each.condition.name, **style)
            axes.plot(first.depth, first.chance, ":", color=INK, lw=0.8)
        axes.set(xlabel="steps to the wall", ylabel="right in both levels", ylim=(0, 1))
        axes.set_xticks(sorted({depth for each in asked for depth in each.found[0].depth}))
        legend_below(figure)
    return figure

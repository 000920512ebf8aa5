"""Steer agents: does taking an object's vector away make them ignore it?

At forks, where no first move is right for both goals (:mod:`gmbench.measure.steering`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gmbench.core import registry
from gmbench.measure import levels, steering
from gmbench.report.document import Cell, Document, Line, Paragraph, Picture, Table
from gmbench.report.dots import dots
from gmbench.report.question import Asked, Question, rows
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.stats.estimate import estimate

STREAM = 11
"""Folded into a run's seed: the key of the random directions."""
NOTE = (
    "Probability that the first move is right for the intended goal, and for the proxy, at forks"
    " between them; means over agents with 95% intervals. The vector is that of the thing: what its"
    " plane adds to a layer's activations, on average. Random directions have its length. `Thing"
    " removed` empties the plane itself."
)


@registry.question("steer")
@dataclass(frozen=True)
class Steer(Question):
    """Steer agents: does taking an object's vector away make them ignore it?"""

    asked_of: ClassVar[str] = "agents with a network, in tasks whose optimum is known"

    thing: str = ""
    """The object, a plane of the observation; by default the goal's own."""

    def applies(self, plan: Plan) -> bool:
        """Whether the agent has a network, and levels a first move that is right."""
        return plan.agent.learner is not None and bool(plan.task.env.exact)

    def investigate(self, agent: OpenAgent, watch: Watch) -> dict[str, list[list[float]]]:
        """Return by layer what each way does to first moves towards goal and proxy."""
        del watch
        thing = self.thing or agent.env.goal_names[0]
        made = agent.once(_forks, thing)
        params = levels.parameters(agent.task, agent.task.headline)
        found = agent.measure(steering.measure, params, made, agent.key(STREAM))
        return {name: np.asarray(ways).tolist() for name, ways in found.items()}

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each condition, layer and goal."""
        lines = tuple(line for each in asked for line in _lines(each))
        columns = ("layer", "agents", "first moves to", *steering.WAYS)
        table = Table("", columns, lines)
        drawn = Picture(
            dots(table, steering.WAYS, "P(first move)"), "First moves right for each goal."
        )
        parts: tuple[Any, ...] = (drawn, table, Paragraph(NOTE, soft=True))
        data = rows(asked, ways=steering.WAYS)
        return Document(
            "Does taking a thing's vector away make agents ignore it?", parts, data=data
        )


def _forks(plan: Plan, thing: str) -> steering.Forks:
    task = plan.task
    drawn = levels.load(task, task.headline).levels
    return steering.forks(task.env, drawn, thing, task.discount)


def _lines(asked: Asked) -> list[Line]:
    about, names = asked.condition.name, asked.condition.runs[0].plan.task.env.goal_names
    lines = []
    for layer in asked.found[0]:
        every = np.array([each[layer] for each in asked.found])
        for place, goal in enumerate(names[:2]):
            cells: tuple[Cell, ...] = (
                str(len(every)),
                goal,
                *(estimate(every[:, way, place].tolist()) for way in range(len(steering.WAYS))),
            )
            lines.append(Line(layer, cells, about))
    return lines

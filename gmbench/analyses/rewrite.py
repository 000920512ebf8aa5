"""Rewrite plans: is a route followed that is written into an agent's layers?

The concepts that probes look for are written on the cells of a route of our own choice
(:mod:`gmbench.measure.rewriting`); controls stand beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import msgspec
import numpy as np

from gmbench.core import checks, registry
from gmbench.measure import levels, rewriting
from gmbench.report.document import Cell, Document, Line, Paragraph, Picture, Table
from gmbench.report.dots import dots
from gmbench.report.question import Asked, Question, rows
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.stats.estimate import estimate

STREAM = 13
"""Folded into a run's seed: the key of its episodes and of the random directions."""
LEVELS = 512
"""Half of them to find directions on, half to write routes into."""
NOTE = (
    "Routes to a free cell, written at every step into one layer, with directions times {strength},"
    " on {levels} levels of the headline shift; counted are those in which the agent neither begins"
    " the route nor comes to its end by itself. `First move`: the route's is made; `arrives`: the"
    " agent comes to its end. Means over agents with 95% intervals."
)


class Found(msgspec.Struct, frozen=True):
    """What became of the routes of one agent: by layer, the shares of each way.

    Attributes:
        levels: how many count.
        turned: share in which the route is begun.
        arrived: share in which its end is reached.
    """

    levels: int
    turned: dict[str, list[float]]
    arrived: dict[str, list[float]]


@registry.question("rewrite")
@dataclass(frozen=True)
class Rewrite(Question):
    """Rewrite plans: is a route followed that is written into an agent's layers?"""

    asked_of: ClassVar[str] = "agents with a layer over the grid, in tasks with a position"

    strength: float = 1.0
    """What directions are multiplied by; 1 is the mean difference that the concepts make."""

    def __post_init__(self) -> None:
        """Check the strength."""
        checks.number("strength", self.strength, 0)

    def applies(self, plan: Plan) -> bool:
        """Whether there is a layer over the grid."""
        return plan.agent.learner is not None and hasattr(plan.task.env, "shape")

    def investigate(self, agent: OpenAgent, watch: Watch) -> Found:
        """Write the routes and play."""
        del watch
        params = levels.parameters(agent.task, agent.task.headline)
        given = agent.once(_routes), jnp.float32(self.strength)
        found = agent.measure(rewriting.measure, params, given, agent.key(STREAM))
        turned, arrived = (
            {layer: np.asarray(shares).tolist() for layer, shares in each.items()}
            for each in (found.turned, found.arrived)
        )
        return Found(int(found.levels), turned, arrived)

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return two lines for each condition and layer."""
        lines = tuple(line for each in asked for line in _lines(each))
        columns = ("layer", "agents", "levels", "share", *rewriting.WAYS)
        note = NOTE.format(strength=f"{self.strength:g}", levels=LEVELS // 2)
        table = Table("", columns, lines)
        drawn = Picture(
            dots(table, rewriting.WAYS, "share of the levels"), "Routes that are followed."
        )
        parts: tuple[Any, ...] = (drawn, table, Paragraph(note, soft=True))
        data = rows(asked, ways=rewriting.WAYS)
        return Document("Is a route followed that is written into an agent?", parts, data=data)


def _routes(plan: Plan) -> rewriting.Routes:
    task = plan.task
    return rewriting.routes(task.env, levels.first(task, task.headline, LEVELS))


def _lines(asked: Asked) -> list[Line]:
    about, lines = asked.condition.name, []
    known: list[Found] = list(asked.found)
    counted = estimate([float(each.levels) for each in known], None)
    for layer in known[0].turned:
        for share, name in (("first move", "turned"), ("arrives", "arrived")):
            every = np.array([getattr(each, name)[layer] for each in known])
            ways = (estimate(every[:, way].tolist()) for way in range(every.shape[1]))
            cells: tuple[Cell, ...] = (str(len(known)), counted, share, *ways)
            lines.append(Line(layer, cells, about))
    return lines or [Line("none over the grid", (str(len(known)), counted, *["-"] * 5), about)]

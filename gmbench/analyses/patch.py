"""Patch activations: which channels of an agent's network carry where it goes?

From a level on which an object lies elsewhere, channel by channel, into the pass that chooses the
first move (:mod:`gmbench.measure.patching`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np

from gmbench.core import checks, registry
from gmbench.measure import levels, patching
from gmbench.report.document import Cell, Document, Line, Paragraph, Picture, Table
from gmbench.report.dots import dots
from gmbench.report.question import Asked, Question, rows
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.stats.estimate import estimate

STREAM = 10
"""Folded into a run's seed; nothing is sampled yet."""
FEW = 0.1
"""Effect from which on a channel is counted."""
NOTE = (
    "The effect of a channel is the share of the way to another level's first move that is made by"
    " putting this channel alone as it is there; means over agents with 95% intervals. `Largest` is"
    " that of the channel with the most, `channels` how many have {few} or more, `whole` that of"
    " the whole layer: 1, unless a memory carries on what it saw. `Written` is the largest of the"
    " channels over the grid, where a channel shows nothing but a peak at the other place. `Apart`"
    " is by how much the choice differs at all between the two levels; agents that do not follow"
    " the object ({least} or less) have no effects."
)


class Patched(msgspec.Struct, frozen=True):
    """What patching does to one agent.

    Attributes:
        apart: by how much its choice differs between the levels of a pair, 0 to 1.
        pairs: how many.
        channels: by layer, the effect of each channel; none where it does not follow the object.
        whole: by layer, that of all channels.
        written: by layer over the grid, that of writing each channel by hand.
    """

    apart: float
    pairs: int
    channels: dict[str, list[float]]
    whole: dict[str, float]
    written: dict[str, list[float]]


@registry.question("patch")
@dataclass(frozen=True)
class Patch(Question):
    """Patch activations: which channels carry where an agent goes?"""

    asked_of: ClassVar[str] = "agents with a network, in tasks whose optimum is known"

    thing: str = ""
    """The object that lies elsewhere, a field of the task's levels; by default the goal's own."""

    def applies(self, plan: Plan) -> bool:
        """Whether the agent has a network, and levels a first move that is right."""
        return plan.agent.learner is not None and bool(plan.task.env.exact)

    def investigate(self, agent: OpenAgent, watch: Watch) -> Patched:
        """Return the effects on the levels of the headline shift."""
        del watch
        thing = self.thing or agent.env.goal_names[0]
        made = agent.once(_pairs, thing)
        params = levels.parameters(agent.task, agent.task.headline)
        found = agent.measure(patching.measure, params, made, agent.key(STREAM))
        apart, pairs = float(found.apart), made.best.shape[-1]
        if not apart >= patching.LEAST:  # NaN included
            return Patched(apart, pairs, {}, {}, {})
        return Patched(
            apart,
            pairs,
            {k: np.asarray(v).tolist() for k, v in found.channels.items()},
            {k: float(v) for k, v in found.whole.items()},
            {k: np.asarray(v).tolist() for k, v in found.written.items()},
        )

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each condition and layer.

        Raises:
            Refused: if no agent follows the object.
        """
        lines = [line for each in asked for line in _lines(each)]
        note = NOTE.format(few=FEW, least=patching.LEAST)
        columns = ("layer", "agents", "largest", "channels", "of", "whole", "written", "apart")
        table = Table("", columns, tuple(lines))
        drawn = Picture(
            dots(table, ("largest", "whole", "written"), "effect"),
            "Effects of channels and layers.",
        )
        parts: tuple[Any, ...] = (drawn, table, Paragraph(note, soft=True))
        data = rows(asked)
        return Document("Which channels carry where the agents go?", parts, data=data)


def _pairs(plan: Plan, thing: str) -> patching.Pairs:
    task = plan.task
    if not hasattr(task.env, "is_solvable"):
        raise checks.Refused(f"patch: {task.id} has no levels to move {thing!r} on")
    return patching.pairs(task.env, levels.load(task, task.headline).levels, thing, task.discount)


def _lines(asked: Asked) -> list[Line]:
    about = asked.condition.name
    apart = estimate([each.apart for each in asked.found], (-1.0, 1.0))
    known: list[Patched] = [each for each in asked.found if each.channels]
    if not known:
        return [Line("none", (f"0 of {len(asked.found)}", *["-"] * 5, apart), about)]
    lines = []
    for name, first in known[0].channels.items():
        every = np.array([each.channels[name] for each in known])
        cells: tuple[Cell, ...] = (
            f"{len(known)} of {len(asked.found)}",
            estimate(every.max(axis=1).tolist(), None),
            estimate((every >= FEW).sum(axis=1).astype(float).tolist(), None),
            str(len(first)),
            estimate([each.whole[name] for each in known], None),
            estimate([max(each.written[name]) for each in known], None)
            if name in known[0].written
            else "-",
            apart,
        )
        lines.append(Line(name, cells, about))
    return lines

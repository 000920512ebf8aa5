"""Probe layers: do they say where an agent will go, and by which way, before its first move?

Linear probes read each cell of a layer (:mod:`gmbench.measure.probing`). What they find counts only
beyond what the same probe finds in the observation, and in the same network before training.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np
from jaxtyping import Float, Int, Num

from gmbench.core import registry
from gmbench.measure import levels, probing
from gmbench.report.document import Document, Line, Paragraph, Picture, Table
from gmbench.report.dots import dots
from gmbench.report.question import Asked, Question, rows
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.stats import logistic
from gmbench.stats.estimate import estimate

STREAM = 12
"""Folded into a run's seed: the key of the episodes played here."""
SEEN = "observation"
LEVELS = 512
"""Half of them to fit probes to, half to score them on."""
PENALTY = 1.0
"""On the probes' squared weights."""
CONCEPTS = ("way", "end")
LEADS = (0, 2, 4, 8)
"""Steps from the first move until a cell is left, from which on cells are counted together."""
NOTE = (
    "Macro-F1 of linear probes of single cells, before the first move, on {levels} levels of the"
    " headline shift that they were not fitted to. `way`: in which direction the agent will first"
    " leave the cell; `end`: whether its episode leaves it there; cells that are neither count for"
    " nothing. `Untrained` is the same network with its first weights; selectivity is what is"
    " found beyond the better of this and the observation. Means over agents, 95% intervals."
)
AHEAD = (
    "Of the cells that the agent will leave after so many of its steps, the share for which the"
    " probe of `way` says by which move."
)


class Found(msgspec.Struct, frozen=True):
    """Macro-F1 of the probes of one agent, by concept.

    Attributes:
        observation: of what it sees.
        layers: of each layer.
        untrained: of each layer before training.
        ahead: of what it sees and of each layer, the share of cells whose way is told, by
            :data:`LEADS`; None where no cell is left so late.
    """

    observation: dict[str, float]
    layers: dict[str, dict[str, float]]
    untrained: dict[str, dict[str, float]]
    ahead: dict[str, list[float | None]]


@registry.question("probe")
@dataclass(frozen=True)
class Probe(Question):
    """Probe layers: do they say where an agent will go, and by which way, beforehand?"""

    asked_of: ClassVar[str] = "agents with a layer over the grid, in tasks with a position"

    def applies(self, plan: Plan) -> bool:
        """Whether there is a layer over the grid."""
        return plan.agent.learner is not None and hasattr(plan.task.env, "shape")

    def investigate(self, agent: OpenAgent, watch: Watch) -> Found:
        """Fit and score the probes."""
        del watch
        name = agent.task.headline
        params = levels.parameters(agent.task, name)
        chosen = agent.once(_levels, name)
        found, before = (
            agent_.measure(probing.measure, params, chosen, agent.key(STREAM))
            for agent_ in (agent, agent.untrained())
        )
        labels = {concept: np.asarray(getattr(found, concept)) for concept in CONCEPTS}
        told = {
            name: {concept: said(np.asarray(v), marks) for concept, marks in labels.items()}
            for name, v in {SEEN: found.observation, **found.layers}.items()
        }
        read = {
            name: {concept: logistic.macro_f1(*pair) for concept, pair in pairs.items()}
            for name, pairs in told.items()
        }
        when = np.asarray(found.when)
        return Found(
            read.pop(SEEN),
            read,
            {layer: scores(np.asarray(v), labels) for layer, v in before.layers.items()},
            {name: ahead(*pairs["way"], when) for name, pairs in told.items()},
        )

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each condition, layer and concept."""
        lines = [line for each in asked for line in _lines(each)]
        columns = ("layer", "concept", "agents", "F1", "untrained", "observation", "selectivity")
        note = NOTE.format(levels=LEVELS // 2)
        data = rows(asked)
        table = Table("", columns, tuple(lines))
        drawn = Picture(
            dots(table, ("F1", "untrained", "observation"), "macro-F1"), "What probes find."
        )
        leads = ("layer", "agents", *_leads())
        later = Table(
            "How long before?", leads, tuple(line for each in asked for line in _ahead(each))
        )
        parts = (drawn, table, Paragraph(note, soft=True), later, Paragraph(AHEAD, soft=True))
        return Document("Do layers say where it will go?", parts, data=data)


def scores(
    layer: Float[np.ndarray, "channels rows cols levels"],
    labels: dict[str, Int[np.ndarray, "rows cols levels"]],
) -> dict[str, float]:
    """Return how well a probe of a layer's cells does on the second half of the levels."""
    return {name: logistic.macro_f1(*said(layer, marks)) for name, marks in labels.items()}


def ahead(
    told: Int[np.ndarray, " cells"],
    wanted: Int[np.ndarray, " cells"],
    when: Int[np.ndarray, "rows cols levels"],
) -> list[float | None]:
    """Return of how many cells a probe says the way, by how many steps before they are left.

    Args:
        told: what it says, of :func:`said`.
        wanted: the way.
        when: after how many steps each cell is left, on all levels.
    """
    _, steps = _halves(when)
    left = wanted > 0
    found: list[float | None] = []
    for least, beyond in itertools.pairwise((*LEADS, np.inf)):
        here = left & (steps >= least) & (steps < beyond)
        found.append(float(np.mean(told[here] == wanted[here])) if here.any() else None)
    return found


def said(
    layer: Float[np.ndarray, "channels rows cols levels"],
    marks: Int[np.ndarray, "rows cols levels"],
) -> tuple[Int[np.ndarray, " cells"], Int[np.ndarray, " cells"]]:
    """Return what a probe, fitted to half of the levels, says of the others, and the truth."""
    fitted, asked = (
        np.stack(channels, axis=-1) for channels in zip(*map(_halves, layer), strict=True)
    )
    known, wanted = (half.astype(int) for half in _halves(marks))
    rule = logistic.fit(fitted, known, max(int(marks.max()) + 1, 2), PENALTY)
    return np.argmax(rule(asked), axis=1), wanted


def _halves(cells: Num[np.ndarray, "rows cols levels"]) -> list[Num[np.ndarray, " cells"]]:
    """Return the cells of the first and of the second half of the levels."""
    half = cells.shape[-1] // 2
    return [np.ravel(cells[..., part]) for part in (slice(0, half), slice(half, None))]


def _leads() -> list[str]:
    """Return the names of the leads."""
    ends = [f"{low} to {high - 1}" for low, high in itertools.pairwise(LEADS)]
    return [f"after {steps}" for steps in (*ends, f"{LEADS[-1]} or more")]


def _levels(plan: Plan, name: str) -> Any:
    return levels.first(plan.task, name, LEVELS)


def _lines(asked: Asked) -> list[Line]:
    about, lines = asked.condition.name, []
    known: list[Found] = list(asked.found)
    for layer in known[0].layers:
        for concept in CONCEPTS:
            own = [each.layers[layer][concept] for each in known]
            before = [each.untrained[layer][concept] for each in known]
            seen = [each.observation[concept] for each in known]
            beyond = [f - max(pair) for f, *pair in zip(own, before, seen, strict=True)]
            means = [estimate(each, None) for each in (own, before, seen, beyond)]
            lines.append(Line(layer, (concept, str(len(known)), *means), about))
    return lines or [Line("none over the grid", ("-", str(len(known)), *["-"] * 4), about)]


def _ahead(asked: Asked) -> list[Line]:
    known: list[Found] = list(asked.found)
    return [
        Line(
            layer,
            (
                str(len(known)),
                *(
                    estimate([each.ahead[layer][place] for each in known])
                    for place in range(len(LEADS))
                ),
            ),
            asked.condition.name,
        )
        for layer in known[0].ahead
    ]

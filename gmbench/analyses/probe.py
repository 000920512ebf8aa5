"""Probe layers: do they say where an agent will go, and by which way, before its first move?

Linear probes read each cell of a layer (:mod:`gmbench.measure.probing`). What they find counts only
beyond what the same probe finds in the observation, and in the same network before training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np
from jaxtyping import Float, Int

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
LEVELS = 512
"""Half of them to fit probes to, half to score them on."""
PENALTY = 1.0
"""On the probes' squared weights."""
CONCEPTS = ("way", "end")
NOTE = (
    "Macro-F1 of linear probes of single cells, before the first move, on {levels} levels of the"
    " headline shift that they were not fitted to. `way`: in which direction the agent will first"
    " leave the cell; `end`: whether its episode leaves it there; cells that are neither count for"
    " nothing. `Untrained` is the same network with its first weights; selectivity is what is"
    " found beyond the better of this and the observation. Means over agents, 95% intervals."
)


class Found(msgspec.Struct, frozen=True):
    """Macro-F1 of the probes of one agent, by concept.

    Attributes:
        observation: of what it sees.
        layers: of each layer.
        untrained: of each layer before training.
    """

    observation: dict[str, float]
    layers: dict[str, dict[str, float]]
    untrained: dict[str, dict[str, float]]


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
        return Found(
            scores(np.asarray(found.observation), labels),
            {layer: scores(np.asarray(v), labels) for layer, v in found.layers.items()},
            {layer: scores(np.asarray(v), labels) for layer, v in before.layers.items()},
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
        parts = (drawn, table, Paragraph(note, soft=True))
        return Document("Do layers say where it will go?", parts, data=data)


def scores(
    layer: Float[np.ndarray, "channels rows cols levels"],
    labels: dict[str, Int[np.ndarray, "rows cols levels"]],
) -> dict[str, float]:
    """Return how well a probe of a layer's cells does on the second half of the levels."""
    half = layer.shape[-1] // 2

    def cells(values: Any, part: slice) -> Any:
        return np.moveaxis(values[..., part], -1, 0)

    fitted, asked = slice(0, half), slice(half, None)
    each = (np.moveaxis(cells(layer, part), 1, -1) for part in (fitted, asked))
    seen = [values.reshape(-1, layer.shape[0]) for values in each]
    found = {}
    for concept, marks in labels.items():
        known, wanted = (cells(marks, part).reshape(-1).astype(int) for part in (fitted, asked))
        rule = logistic.fit(seen[0], known, max(int(marks.max()) + 1, 2), PENALTY)
        found[concept] = logistic.macro_f1(np.argmax(rule(seen[1]), axis=1), wanted)
    return found


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

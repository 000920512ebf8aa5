"""Measure stored agents again, and say whether they are what their records say.

A checksum shows that a file changed; it does not show that results belong to the weights beside
them. Here the weights are opened, evaluated on the same levels with the same keys, and every mean
is compared. On the machine that made the run they agree to the bit; other compilers and processors
give other last bits, and sampled episodes may then end otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from gmbench.core import checks, registry
from gmbench.report.document import PAGES, Document, Line, Paragraph, Table
from gmbench.report.question import Asked, Question
from gmbench.runs import assess
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.result import Measurement


class Verified(msgspec.Struct, frozen=True):
    """What measuring a run again showed.

    Attributes:
        run: its name.
        difference: the largest of any mean.
        where: which mean that is.
    """

    run: str
    difference: float
    where: str


@registry.question("verify")
@dataclass(frozen=True)
class Verify(Question):
    """Measure stored agents again, and say whether they are what their records say."""

    tolerance: float = 1e-4
    """Largest difference of a mean that is taken for rounding; episodes may need more."""

    formats: ClassVar[tuple[str, ...]] = PAGES

    def check(self) -> None:
        """Refuse a tolerance that is none."""
        checks.probability("tolerance", self.tolerance)

    def investigate(self, agent: OpenAgent, watch: Watch) -> Verified:
        """Return by how much the agent differs from its record."""
        del watch
        stored = agent.run.findings.distributions
        again = assess.assess(agent.plan, agent.weights, list(stored), agent.run.path.name)
        found = again.distributions
        differences = [
            (gap, f"{field} of {name}")
            for name in stored
            for field, gap in _differences(stored[name], found[name])
        ]
        return Verified(agent.run.path.name, *max(differences))

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each condition, and a problem for each run that differs."""
        lines = []
        problems = []
        for of in asked:
            odd = [each for each in of.found if not each.difference <= self.tolerance]
            problems += [
                f"run {each.run!r}: {each.where} is {each.difference:.2g} from what it records"
                for each in odd
            ]
            most = max(each.difference for each in of.found)
            cells = (f"{len(of.found) - len(odd)}/{len(of.found)}", f"{most:.1g}")
            lines.append(Line(of.condition.label, cells, of.condition.heading))
        table = Table(
            "Measured again", ("trained with", "as recorded", "largest gap"), tuple(lines)
        )
        words = f"A mean that differs by more than {self.tolerance:g} is not as recorded."
        title = "Are the agents what their records say?"
        return Document(title, (table, Paragraph(words, soft=True)), problems=tuple(problems))


def _differences(stored: Measurement, found: Measurement) -> list[tuple[str, float]]:
    """Return, for each field of a measurement, how much its numbers differ; 1 where one is none."""
    old, new = (msgspec.structs.asdict(each) for each in (stored, found))
    return [(field, _gap(old[field], new[field])) for field in old]


def _gap(old: object, new: object) -> float:
    if isinstance(old, msgspec.Struct | dict):
        pair = [msgspec.to_builtins(each) for each in (old, new)]
        return max(_gap(pair[0][name], pair[1].get(name)) for name in pair[0])
    if isinstance(old, tuple | list) and isinstance(new, tuple | list):
        return max((_gap(*pair) for pair in zip(old, new, strict=True)), default=0.0)
    if isinstance(old, bool | str) or old is None or new is None:
        return 0.0 if old == new else 1.0
    return abs(float(old) - float(new))  # type: ignore[arg-type]

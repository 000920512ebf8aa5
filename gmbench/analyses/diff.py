"""Compare two runs, or two folders of runs, in pairs: the same level, the same seed.

What is paired with what, :mod:`gmbench.report.pairs` says. Of a pair, differences are taken level
by level and averaged. Over pairs (seeds) they have an interval; of one pair there is one over its
levels, which says nothing of other seeds. P is the probability that a run of the second has a lower
value than one of the first (:mod:`gmbench.stats.improvement`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tyro

from gmbench.core import registry
from gmbench.report.conditions import conditions
from gmbench.report.document import PAGES, Bullets, Cell, Document, Line, Paragraph, Part, Table
from gmbench.report.pairs import SCORES, Match, by_level, matched
from gmbench.report.question import Asked, Question
from gmbench.runs import store
from gmbench.stats.estimate import Estimate, estimate, two_digits
from gmbench.stats.improvement import probability_of_improvement

MOST = 12
"""Settings that are named of those that differ."""
Measured = list[tuple[Match, list[dict[str, np.ndarray]]]]
"""What is compared, with the values of each of its pairs."""


@registry.question("diff")
@dataclass(frozen=True)
class Diff(Question):
    """Compare two runs, or two folders of runs, in pairs: the same level, the same seed."""

    other: tyro.conf.Positional[Path] = field(kw_only=True)
    """What the first is compared with: a run's directory, a results folder or a submission."""

    measures: ClassVar[bool] = False
    formats: ClassVar[tuple[str, ...]] = PAGES

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return what differs in the settings, and by how much the results do.

        Raises:
            Refused: if the two have no task or level sets in common, or nothing to pair.
        """
        opened, refused = store.survey(self.other)
        if refused and (self.strict or not opened):
            raise refused[0]
        ours = [each.condition for each in asked]
        theirs = conditions(store.finished(self.other, opened))
        matches, missing = matched(ours, theirs)
        measured = [(match, [by_level(pair) for pair in match.pairs]) for match in matches]
        note = (
            f"A is {str(self.folder)!r}, B is {str(self.other)!r}. Differences are taken on levels "
            "that tell something of both. P: probability that a run of B has the lower value. The "
            "interval of a single pair is over levels: it says nothing of other seeds."
        )
        parts: list[Part] = [_settings(matches)]
        if missing:
            parts.append(Bullets(tuple(missing), "Not compared"))
        parts += [_scores(measured), *_overall(measured), Paragraph(note, soft=True)]
        problems = tuple(f"left out: {refusal}" for refusal in refused)
        return Document("What differs?", tuple(parts), problems=problems)


def _settings(matches: Sequence[Match]) -> Part:
    lines = []
    for match in matches:
        listed = list(match.differ.items())
        for name, (one, other) in listed[:MOST]:
            lines.append(Line(name, (_said(one), _said(other)), match.heading))
        if len(listed) > MOST:
            lines.append(Line(f"{len(listed) - MOST} more", ("", ""), match.heading))
    if not lines:
        return Paragraph("No setting differs.")
    return Table("What differs in the settings?", ("setting", "A", "B"), tuple(lines))


def _said(value: Any) -> str:
    return "-" if value is None or value == "" else str(value)


def _scores(measured: Measured) -> Table:
    lines = []
    for match, pairs in measured:
        for name in SCORES:
            known = [values for pair in pairs if (values := pair[name]).size]
            if known:
                lines.append(Line(name, _cells(known, len(pairs)), match.heading))
    columns = ("score", "pairs", "A", "B", "B less A", "P", "lower on levels: B, A")
    return Table("Pair by pair, level by level", columns, tuple(lines))


def _cells(pairs: Sequence[np.ndarray], count: int) -> tuple[Cell, ...]:
    means = np.array([each.mean(axis=1) for each in pairs])
    shares = (np.mean([np.mean(each[s] < each[1 - s]) for each in pairs]) for s in (1, 0))
    rows = pairs[0].T if len(pairs) == 1 else means  # of a single pair, over its levels
    told = f"{len(pairs)}" if len(pairs) == count else f"{len(pairs)} of {count}"
    first, second = (two_digits(float(side)) for side in means.mean(axis=0))
    lower = ", ".join(f"{share:.0%}" for share in shares)
    return told, first, second, _change(rows), _chance({"": means}), lower


def _change(rows: np.ndarray, strata: Sequence[str] | None = None) -> Estimate:
    """Return the mean of B less A, over rows f64[rows, 2]."""
    return estimate([float(change) for change in rows[:, 1] - rows[:, 0]], (-1.0, 1.0), strata)


def _chance(means: dict[str, np.ndarray]) -> Cell:
    """Return the probability that a run of B has the lower value, averaged over tasks."""
    if any(len(each) < 2 for each in means.values()):
        return Estimate(None, None, 0, 0, "too few seeds")
    ours, theirs = ({name: each[:, side] for name, each in means.items()} for side in (0, 1))
    found = probability_of_improvement(theirs, ours, better="low")
    fewest = min(map(len, means.values()))
    return Estimate(found.estimate, (found.low, found.high), fewest, 0, "; ".join(found.flags))


def _overall(measured: Measured) -> Iterator[Part]:
    """Yield the same over all that is compared, if that is several; seeds vary in their own."""
    if len(measured) < 2:
        return
    lines = []
    for name in SCORES:
        means = {
            match.heading: np.array([pair[name].mean(axis=1) for pair in pairs if pair[name].size])
            for match, pairs in measured
            if any(pair[name].size for pair in pairs)
        }
        if means:
            strata = [heading for heading, each in means.items() for _ in each]
            change = _change(np.concatenate(list(means.values())), strata)
            lines.append(Line(name, (str(len(strata)), change, _chance(means))))
    yield Table("Over all of them", ("score", "pairs", "B less A", "P"), tuple(lines))

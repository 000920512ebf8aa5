"""Measure stored agents again, and say whether they are what their records or submission say.

A checksum shows that a file changed; it does not show that results belong to the weights beside
them. Here the weights are opened and evaluated on the levels that are installed, with the same
keys, and everything that a record says of its agent is compared, level by level.

What must agree to the bit is what was measured with the same versions on the same kind of device
and processor. Elsewhere compilers give other last bits: then exact values may differ by
``tolerance``, as a mean over levels of the differences, and means over sampled episodes, a few of
which may end otherwise, by ``episodes``.

Of a submission (gmbench submit) the seal, files, specs, versions and level sets are checked before.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, ClassVar, NamedTuple

import jax
import msgspec
import numpy as np

from gmbench.core import checks, registry
from gmbench.report.document import PAGES, Document, Line, Paragraph, Part, Table
from gmbench.report.question import Asked, Question
from gmbench.runs import assess
from gmbench.runs.group import Watch
from gmbench.runs.machine import processor
from gmbench.runs.opened import OpenAgent
from gmbench.runs.provenance import provenance
from gmbench.runs.result import Findings, Made
from gmbench.runs.store import Run
from gmbench.sweeps import submission
from gmbench.sweeps.manifest import SUBMISSION
from gmbench.sweeps.submission import Submission

MEMORY = 2**33
"""Bytes that evaluating an agent may take whose network a submission names, not the suite."""
SAMPLED = ("outcome", "earned")
"""What is always measured on sampled episodes; everything is where values are not exact."""


class Gap(NamedTuple):
    """A difference between what is recorded and what was found.

    Attributes:
        size: how large; 1 where words, or what is undefined, differ.
        where: of what.
        sampled: whether it rests on sampled episodes.
    """

    size: float
    where: str
    sampled: bool


class Verified(msgspec.Struct, frozen=True):
    """What measuring a run again showed.

    Attributes:
        run: its name.
        fits: whether its record is its agent's.
        promised: whether every bit had to agree.
        same: whether every bit does.
        difference: the largest difference, of those that are allowed least.
        where: of what it is.
    """

    run: str
    fits: bool
    promised: bool
    same: bool
    difference: float
    where: str


@registry.question("verify")
@dataclass(frozen=True)
class Verify(Question):
    """Measure stored agents again, and say whether they are what their records say."""

    tolerance: float = 1e-4
    """Largest difference of exact values, a mean over levels, where bits are not promised."""
    episodes: float = 0.005
    """The same of means over sampled episodes, some of which may end otherwise."""

    formats: ClassVar[tuple[str, ...]] = PAGES

    @functools.cached_property
    def submitted(self) -> Submission | None:
        """The submission that is to be verified; None of any other folder.

        Raises:
            Refused: if it is not what its manifest says, or does not make up its suite.
        """
        return submission.load(self.folder) if SUBMISSION.is_one(self.folder) else None

    def check(self) -> None:
        """Refuse tolerances that are none, and a submission that is not what it says."""
        checks.probability("tolerance", self.tolerance)
        checks.probability("episodes", self.episodes)
        _ = self.submitted

    def investigate(self, agent: OpenAgent, watch: Watch) -> Verified:
        """Return by how much the agent differs from its record."""
        del watch
        run = agent.run
        if self.submitted is not None and self.submitted.manifest.own_settings:
            taken = agent.once(assess.memory_of)
            if taken > MEMORY:
                raise checks.Refused(
                    f"memory: measuring {run.path.name!r} takes {taken} bytes, allowed are {MEMORY}"
                )
        again, by_level = assess.found_again(run)
        bits = promised(run)
        stored = run.levels()
        gaps = [*_of_means(run.findings, again), *_of_levels(run.findings, stored, by_level, bits)]
        worst = max(gaps, key=lambda gap: gap.size / max(self._allowed(gap), 1e-30))
        same = all(gap.size == 0 for gap in gaps)
        fits = same if bits else all(gap.size <= self._allowed(gap) for gap in gaps)
        return Verified(run.path.name, fits, bits, same, worst.size, worst.where)

    def _allowed(self, gap: Gap) -> float:
        return self.episodes if gap.sampled else self.tolerance

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each condition, and a problem for each run that differs."""
        lines, problems = [], []
        for of in asked:
            for each in (each for each in of.found if not each.fits):
                bits = " (bits are promised here)" if each.promised else ""
                problems.append(
                    f"run {each.run!r}: {each.where} is {each.difference:.2g} from what it "
                    f"records{bits}"
                )
            fit, same = (sum(getattr(e, name) for e in of.found) for name in ("fits", "same"))
            most = max(each.difference for each in of.found)
            cells = (f"{fit}/{len(of.found)}", f"{same} of {len(of.found)}", f"{most:.1g}")
            lines.append(Line(of.condition.label, cells, of.condition.heading))
        columns = ("trained with", "as recorded", "to the bit", "largest gap")
        words = (
            "Bits are promised for the same versions, device kind and processor. Elsewhere exact "
            f"values may differ by {self.tolerance:g}, and means over sampled episodes by "
            f"{self.episodes:g}."
        )
        parts: list[Part] = [Table("Measured again", columns, tuple(lines))]
        if self.submitted is not None:
            parts.insert(0, Paragraph(_sealed(self.submitted)))
        title = "Are the agents what their records say?"
        return Document(title, (*parts, Paragraph(words, soft=True)), problems=tuple(problems))


def _sealed(of: Submission) -> str:
    """Return in words what was checked of a submission before its agents were measured."""
    own = "other settings" if of.manifest.own_settings else "the suite's settings"
    return (
        f"{of.manifest.about.name}: a submission for {of.suite.id}, with {own}. Seal "
        f"{of.seal[:12]}: {len(of.manifest.files)} files, {len(of.runs)} runs and "
        f"{len(of.manifest.levels)} level sets are the ones that it lists."
    )


@functools.cache
def _here() -> Made:
    return provenance()


def promised(run: Run) -> bool:
    """Whether what is measured here of a run must be to the bit what was measured then."""
    made, here = run.record.made, _here()
    layout = run.record.layouts[-1] if run.record.layouts else None
    kind = (
        here.device,
        metadata.version("jaxlib"),
        processor(),
        jax.config.values["jax_enable_x64"],
    )
    return (
        layout is not None
        and (made.versions, made.revision) == (here.versions, here.revision)
        and (layout.device, layout.jaxlib, layout.processor, layout.x64) == kind
    )


def _of_means(stored: Findings, found: Findings) -> Iterator[Gap]:
    """Yield the differences of what a record says; its labels follow from the rest."""
    for field in ("goals", "shift", "criteria"):
        yield Gap(_gap(getattr(stored, field), getattr(found, field)), field, False)
    exact = found.deployed.exact
    yield Gap(_gap(stored.trained, found.trained), "regret in training", not exact)
    for name, own in stored.distributions.items():
        other = found.distributions.get(name)
        if other is None:
            yield Gap(1.0, f"distribution {name}", False)
            continue
        for field in own.__struct_fields__:
            gap = _gap(getattr(own, field), getattr(other, field))
            yield Gap(gap, f"{field} of {name}", field in SAMPLED or not other.exact)


def _of_levels(
    findings: Findings,
    stored: Mapping[str, np.ndarray],
    found: Mapping[str, np.ndarray],
    bits: bool,
) -> Iterator[Gap]:
    """Yield mean differences over levels, of all results or of those that are exact."""
    for name in {**stored, **found}:
        where, _, field = name.partition("/")
        exact = where in findings.distributions and findings.distributions[where].exact
        sampled = field in SAMPLED or not exact
        if bits or not sampled:
            gap = _by_level(stored.get(name), found.get(name))
            yield Gap(gap, f"{field} of {where}", sampled)


def _by_level(stored: np.ndarray | None, found: np.ndarray | None) -> float:
    if stored is None or found is None or stored.shape != found.shape:
        return 1.0
    old, new = (np.asarray(each, np.float64) for each in (stored, found))
    unlike = np.isnan(old) != np.isnan(new)
    gaps = np.where(unlike, 1.0, np.nan_to_num(np.abs(old - new)))
    return float(gaps.mean()) if gaps.size else 0.0


def _gap(old: Any, new: Any) -> float:
    """Return the largest difference of numbers in two nested results; 1 where one is none."""
    pair = [msgspec.to_builtins(each) for each in (old, new)]
    if isinstance(pair[0], dict) and isinstance(pair[1], dict):
        names = {*pair[0], *pair[1]}
        return max((_gap(*(each.get(name) for each in pair)) for name in names), default=0.0)
    if isinstance(pair[0], list | tuple) and isinstance(pair[1], list | tuple):
        if len(pair[0]) != len(pair[1]):
            return 1.0
        return max((_gap(*each) for each in zip(*pair, strict=True)), default=0.0)
    numbers = [isinstance(each, int | float) and not isinstance(each, bool) for each in pair]
    if not all(numbers):
        return 0.0 if pair[0] == pair[1] else 1.0
    return abs(float(pair[0]) - float(pair[1]))

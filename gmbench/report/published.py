"""``Figure``: a published figure to reproduce. One file each in `gmbench.figures`.

A figure says what is trained at each scale (a sweep), which question is asked of the finished runs,
which numbers are read off the answer, and what was published of them. Running it, comparing by the
one rule of :mod:`gmbench.stats.agreement`, drawing and writing are done by
:mod:`gmbench.report.reproduce` and :mod:`gmbench.report.reproduced`.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gmbench.stats import agreement
from gmbench.stats.agreement import Verdict
from gmbench.stats.estimate import Estimate
from gmbench.stats.intervals import clopper_pearson
from gmbench.stats.rates import Rate
from gmbench.sweeps.sweep import Override, Sweep

SMOKE, CPU, PAPER = SCALES = ("smoke", "cpu", "paper")
"""To see that everything runs; on two cores in 20 to 40 minutes; as published, for GPUs."""
SMOKY = "it is smoke scale: agents of a few updates, to see that everything runs"
SLOW = 2_400.0
"""Steps a second and core of the large IMPALA network on 13 x 13 cells (docs/performance.md)."""

Place = float | str
"""Where on its axis a number stands: a setting's value, or words."""
Key = tuple[str, Place]
"""Names a number: its series, and its place."""
Numbers = Mapping[Key, "Number"]


class Number(msgspec.Struct, frozen=True):
    """One number of ours.

    Attributes:
        series: what was measured.
        at: where on the axis.
        found: the mean over agents.
        competent: agents that are competent in training, among all; None where nobody asks.
    """

    series: str
    at: Place
    found: Estimate
    competent: Rate | None = None

    @property
    def key(self) -> Key:
        """Its name."""
        return self.series, self.at


@dataclasses.dataclass(frozen=True)
class Claim:
    """Something published that ours can be held against.

    Attributes:
        words: what is claimed.
        of: our number.
        source: paper and section.
        than: what is compared is by how much ours exceeds this other number of ours.
        value: the published value; None for a claim without one.
        interval: its interval, where published.
        n: episodes or levels that a published share rests on; its interval is then Clopper-Pearson.
        low: a claim without a value allows nothing below,
        high: and nothing above.
        chance: what chance alone would give.
        comparable: at which scales our settings are near enough to the published ones.
        because: why it is not comparable at the others; by default how the settings differ.
        listed: at which scales the claim is shown at all.
        able: whether half of the agents must be competent for it to mean anything.
    """

    words: str
    of: Key
    source: str
    than: Key | None = None
    value: float | None = None
    interval: tuple[float, float] | None = None
    n: int | None = None
    low: float = float("-inf")
    high: float = float("inf")
    chance: float | None = None
    comparable: tuple[str, ...] = (CPU, PAPER)
    because: str = ""
    listed: tuple[str, ...] = SCALES
    able: bool = True

    @property
    def ends(self) -> tuple[float, float] | None:
        """The interval of the published value; None where there is none."""
        if self.interval is not None or self.value is None or self.n is None:
            return self.interval
        found = clopper_pearson(round(self.value * self.n), self.n)
        return found.low, found.high

    @property
    def published(self) -> str:
        """The published value in words; what is claimed without one."""
        if self.value is None:
            return _region(self.low, self.high)
        given = f"{self.value:g}"
        if self.ends is not None:
            given += " [{:.2g}, {:.2g}]".format(*self.ends)
        return given + (f" (n = {self.n})" if self.n else "")


@dataclasses.dataclass(frozen=True)
class Figure:
    """A published figure.

    Attributes:
        title: what it shows, in words.
        about: what was published, and what ours shows of it.
        source: the papers.
        question: the registered question that is asked of the runs.
        read: our numbers, from what the question's JSON file holds.
        sweeps: what is trained, by scale.
        settings: in words how ours differs from the published settings, by scale.
        claims: what was published.
        speed: environment steps a second and core at CPU scale, as measured.
        axis: what the places are; empty where they are words.
        unit: what the numbers are.
        options: the question's.
        stored: a committed answer to the question at CPU scale, a file below `docs`.
        notes: what a reader must know.
    """

    title: str
    about: str
    source: str
    question: str
    read: Callable[[Any], Iterable[Number]]
    sweeps: Mapping[str, Sweep]
    settings: Mapping[str, str]
    claims: tuple[Claim, ...]
    speed: float
    axis: str = ""
    unit: str = ""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    stored: str = ""
    notes: tuple[str, ...] = ()


def judged(figure: Figure, scale: str, numbers: Numbers) -> Iterator[tuple[Claim, Verdict]]:
    """Yield each claim that is shown at a scale, with whether ours agrees."""
    for claim in figure.claims:
        if scale in claim.listed:
            yield claim, _judge(claim, figure, scale, numbers)


def _judge(claim: Claim, figure: Figure, scale: str, numbers: Numbers) -> Verdict:
    keys = [claim.of, *([claim.than] if claim.than else [])]
    found = [numbers[key] for key in keys if key in numbers]
    missing = [key for key in keys if key not in numbers]
    ours = None if missing else _ours(found)
    if scale == SMOKE:
        return agreement.incomparable(SMOKY, ours)
    if scale not in claim.comparable:
        settings = f"at {scale} scale ours is {figure.settings[scale]}"
        return agreement.incomparable(claim.because or settings, ours)
    if ours is None:
        series, at = missing[0]
        where = f"({at})" if isinstance(at, str) else f"at {at:g}"
        return agreement.incomparable(f"{series} {where} is not among our numbers")
    for rate in (each.competent for each in found if claim.able and each.competent is not None):
        if 2 * rate.k < rate.n:
            return agreement.incomparable(f"only {rate.words} agents are competent", ours)
    if claim.value is not None:
        return agreement.with_value(ours, claim.value, claim.ends, claim.chance)
    return agreement.within(ours, claim.low, claim.high)


def _ours(found: Sequence[Number]) -> Estimate:
    """Return our number, or by how much it exceeds the other one."""
    if len(found) == 1:
        return found[0].found
    return agreement.difference(found[0].found, found[1].found)


def _region(low: float, high: float) -> str:
    ends = [f"above {low:g}"] * (low > float("-inf")) + [f"below {high:g}"] * (high < float("inf"))
    return " and ".join(ends)


# ---- what figures are made of --------------------------------------------------------------------


def by_key(numbers: Sequence[Number]) -> dict[Key, Number]:
    """Return numbers by their names."""
    return {each.key: each for each in numbers}


def proportion(rate: Rate) -> Estimate:
    """Return a rate as an estimate, with its exact interval."""
    if rate.interval is None:
        return Estimate(None, None, 0, 0, "no agents")
    ends = (rate.interval.low, rate.interval.high)
    return Estimate(rate.interval.estimate, ends, rate.n)


TINY: Mapping[str, int | float | str] = {"num_envs": 8, "num_steps": 4, "slots": 2}
"""Settings of agents at smoke scale."""


def smoke(cpu: Sweep, updates: int = 4, **static: int | str) -> Sweep:
    """Return a sweep as small as it can be: two seeds, a few updates, a tiny grid.

    Args:
        cpu: the sweep at CPU scale.
        updates: of each agent; stages need some for each.
        static: settings of the task that make it tiny.
    """
    steps = updates * int(TINY["num_envs"]) * int(TINY["num_steps"])

    def tiny(override: Override) -> Override:
        kept = {**override.config, **TINY} if override.config else {}
        size = {**override.static, **static} if override.static else {}
        short = msgspec.UNSET if override.steps is msgspec.UNSET else steps
        return msgspec.structs.replace(override, config=kept, static=size, steps=short)

    return msgspec.structs.replace(
        cpu,
        seeds=2,
        steps=steps,
        static={**cpu.static, **static},
        config={**cpu.config, **TINY},
        overrides={task: tiny(each) for task, each in cpu.overrides.items()},
        variants=[tiny(each) for each in cpu.variants],
    )

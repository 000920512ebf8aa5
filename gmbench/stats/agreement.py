"""Whether our numbers agree with a published one: the one rule, on intervals at level .95.

A published **value** (with its interval, where there is one) is met if the two intervals share a
point. A published **claim** (more than a line, less, or between two) is met if our interval lies
within what it allows, and missed if it lies wholly outside; an interval that reaches across the
line decides nothing, and neither does one that holds, beside the published value, what chance alone
would give. Two 95% intervals that share no point differ at a level well below .05, and ones that
share a point may still differ: agreement is not equality, and wide intervals agree easily. So every
verdict shows ours.
"""

import math
from typing import Literal

import msgspec

from gmbench.stats.estimate import NO_SPREAD, Estimate, two_digits

Kind = Literal["agrees", "differs", "not comparable"]


class Verdict(msgspec.Struct, frozen=True):
    """What the comparison of ours with a published number says.

    Attributes:
        kind: whether they agree, differ, or cannot be compared.
        why: by how much they differ, or why they cannot be compared; empty where they agree.
        ours: what was compared, None where nothing was measured.
    """

    kind: Kind
    why: str = ""
    ours: Estimate | None = None

    @property
    def words(self) -> str:
        """In one line."""
        joint = {
            "agrees": "",
            "differs": "differs by ",
            "not comparable": "not comparable because ",
        }
        return f"{joint[self.kind]}{self.why}" if self.why else self.kind


def incomparable(why: str, ours: Estimate | None = None) -> Verdict:
    """Return that nothing can be said, and why."""
    return Verdict("not comparable", why, ours)


def with_value(
    ours: Estimate,
    value: float,
    interval: tuple[float, float] | None = None,
    chance: float | None = None,
) -> Verdict:
    """Compare ours with a published value.

    Args:
        ours: a mean over runs.
        value: the published one.
        interval: its own, if it has one.
        chance: what chance alone would give.
    """
    if (reach := span(ours)) is None:
        return incomparable(f"ours has no interval ({ours.why})", ours)
    low, high = interval or (value, value)
    if reach[1] < low or reach[0] > high:
        return Verdict("differs", f"{_signed(ours.value - value)}", ours)
    if chance is not None and reach[0] <= chance <= reach[1]:
        return incomparable(f"our interval also holds {chance:g}, which chance would give", ours)
    return Verdict("agrees", ours=ours)


def within(ours: Estimate, low: float = -math.inf, high: float = math.inf) -> Verdict:
    """Say whether ours lies within what a published claim allows.

    Args:
        ours: a mean over runs.
        low: the claim allows nothing below.
        high: the claim allows nothing above.
    """
    if (reach := span(ours)) is None:
        return incomparable(f"ours has no interval ({ours.why})", ours)
    if low < reach[0] and reach[1] < high:
        return Verdict("agrees", ours=ours)
    if reach[1] <= low or reach[0] >= high:
        line = low if reach[1] <= low else high
        return Verdict("differs", f"{_signed(ours.value - line)} from the line at {line:g}", ours)
    line = low if reach[0] <= low else high
    return incomparable(f"our interval reaches across {line:g}, where the claim ends", ours)


def difference(ours: Estimate, than: Estimate) -> Estimate:
    """Return by how much one mean exceeds another of other runs, with an interval.

    The interval joins those of the two, which need not be symmetric: its reach downwards is the
    root of the squared reaches of the first downwards and of the second upwards, and so upwards.

    Source: Zou and Donner 2008, Statistics in Medicine 27(10), section 2 (MOVER).
    """
    n, missing = min(ours.n, than.n), ours.missing + than.missing
    if not (ours.known and than.known):
        return Estimate(None, None, n, missing, ours.why or than.why)
    one, other = span(ours), span(than)
    mean = ours.value - than.value
    if one is None or other is None:
        return Estimate(mean, None, n, missing, ours.why if one is None else than.why)
    down = math.hypot(ours.value - one[0], other[1] - than.value)
    up = math.hypot(one[1] - ours.value, than.value - other[0])
    return Estimate(mean, (mean - down, mean + up), n, missing)


def span(ours: Estimate) -> tuple[float, float] | None:
    """Return our interval: their value where runs agree exactly; None of a single run."""
    if ours.interval is not None or not ours.known:
        return ours.interval
    return (ours.value, ours.value) if ours.n > 1 and ours.why == NO_SPREAD else None


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else ''}{two_digits(value)}"

"""``Estimate``: a mean over runs with its interval, how many runs it rests on, and why no more.

Every table, page, JSON file and Parquet row shows means by this type, so that what is left out,
clipped or not said is decided once.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from gmbench.stats.intervals import mean_interval

ROUNDING = 1e-6
"""Means of 32-bit floats may leave their bounds by so much."""
NO_SPREAD = "no spread"
"""Why there is no interval where several runs agree exactly."""


class Estimate(msgspec.Struct, frozen=True):
    """A mean over runs (seeds), with its interval at level .95 where there is one.

    Attributes:
        mean: over the runs in which the quantity is defined; None if it is in none.
        interval: lower and upper confidence limit; None where there is none.
        n: how many runs the mean rests on.
        missing: how many runs were left out, the quantity being undefined in them.
        why: why there is no mean, no interval, or what speaks against it; empty if nothing does.
    """

    mean: float | None
    interval: tuple[float, float] | None
    n: int
    missing: int = 0
    why: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a mean."""
        return self.mean is not None

    @property
    def value(self) -> float:
        """The mean, NaN if there is none: for drawing."""
        return math.nan if self.mean is None else self.mean

    @property
    def text(self) -> str:
        """The mean to two digits, "-" if there is none."""
        return two_digits(self.mean)

    @property
    def ends(self) -> str:
        """The interval as ``[.47, .58]``; in brief why there is none."""
        if self.interval is None:
            return self.why if self.known else ""
        low, high = (re.sub(r"^(-?)0\.", r"\1.", two_digits(end)) for end in self.interval)
        return f"[{low}, {high}]"

    @property
    def brief(self) -> str:
        """The mean, with its interval where there is one; in words that it is not known."""
        if not self.known:
            return self.why
        return f"{self.text} {self.ends}" if self.interval else self.text

    @property
    def words(self) -> str:
        """Mean and interval in one line, with how many runs were left out."""
        if not self.known:
            return self.why
        left_out = f" ({self.missing} left out)" if self.missing else ""
        return f"{self.text}{f' {self.ends}' if self.ends else ''}{left_out}"


def two_digits(value: float | None) -> str:
    """Return a number to two digits, without a minus before zero; "-" for None and NaN."""
    return "-" if value is None or math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"


def estimate(
    values: Sequence[float | None],
    bounds: tuple[float, float] | None = (0.0, 1.0),
    strata: Sequence[Any] | None = None,
) -> Estimate:
    """Return the mean of what is known, and its interval over runs.

    Args:
        values: one for each run; None and NaN are left out.
        bounds: least and greatest possible value; None where there are none. Indices that were
            cross-fitted on sampled episodes or adjusted by a placebo may lie outside ``[0, 1]``
            by chance: then the bounds are those of their difference, ``[-1, 1]``, and beyond
            those there are none.
        strata: the task of each run, where several tasks are pooled: seeds vary inside their task.
    """
    labels = [0] * len(values) if strata is None else list(strata)
    kept = [
        (float(value), label)
        for value, label in zip(values, labels, strict=True)
        if value is not None and math.isfinite(value)
    ]
    missing = len(values) - len(kept)
    if not kept:
        return Estimate(None, None, 0, missing, "not measured")
    numbers = np.array([value for value, _ in kept], np.float64)
    mean = float(numbers.mean())
    places = np.unique([str(label) for _, label in kept], return_inverse=True)[1]
    if np.bincount(places).min() < 2:
        why = "1 seed" if len(kept) == 1 else "too few seeds"
        return Estimate(mean, None, len(kept), missing, why)
    if bounds is not None:
        near = numbers.clip(*bounds)
        numbers = np.where(np.abs(numbers - near) <= ROUNDING, near, numbers)
    interval = mean_interval(numbers, strata=places, bounds=_holding(numbers, bounds))
    if interval.low == interval.high:
        return Estimate(mean, None, len(kept), missing, NO_SPREAD)
    ends = (interval.low, interval.high)
    return Estimate(mean, ends, len(kept), missing, "; ".join(interval.flags))


def _holding(numbers: np.ndarray, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return the first of the bounds, those of a difference, and none that hold all numbers."""
    for low, high in () if bounds is None else (bounds, (-1.0, 1.0)):
        if low <= numbers.min() and numbers.max() <= high:
            return low, high
    return None

"""Rates: k of n, and how many runs a rare event would take to show."""

from dataclasses import dataclass

from gmbench.stats.aggregates import require
from gmbench.stats.intervals import Interval, clopper_pearson

RARE = 0.003
"""A rate that a report holds its number of runs against: failures this rare matter and hide."""


@dataclass(frozen=True)
class Rate:
    """`k` of `n` runs."""

    k: int
    n: int

    @property
    def interval(self) -> Interval | None:
        """Exact interval of Clopper and Pearson at level .95; None for no runs."""
        return clopper_pearson(self.k, self.n) if self.n else None

    @property
    def percent(self) -> str:
        """The ends of the interval in per cent, ``[9%, 76%]``; nothing for no runs."""
        return percent(self.interval)

    @property
    def words(self) -> str:
        """The rate as "k of n"."""
        return f"{self.k} of {self.n}"


def runs_needed(rate: float, probability: float = 0.95) -> int:
    """Smallest number of independent runs that shows at least one event with the given probability.

    The smallest n with 1 - (1 - rate)^n >= probability: 998 for a rate of .003, 22 for .13.

    Raises:
        ValueError: if rate is outside (0, 1] or probability outside (0, 1).
    """
    require(0 < rate <= 1, "rate", rate, "inside (0, 1]")
    require(0 < probability < 1, "probability", probability, "inside (0, 1)")
    from scipy.stats import geom  # here, as it is slow to import

    return 1 if rate == 1 else int(geom.ppf(probability, rate))


def percent(interval: Interval | None) -> str:
    """Return the ends of an interval in per cent, `[9%, 76%]`; nothing for None."""
    return f"[{interval.low:.0%}, {interval.high:.0%}]" if interval else ""


def said(rate: Rate, noun: str = "runs") -> str:
    """Return the rate with its exact interval: "3 of 8 runs, 95% interval [9%, 76%]"."""
    if rate.interval is None:
        return f"{rate.words} {noun}: nothing can be said"
    return f"{rate.words} {noun}, 95% interval {percent(rate.interval)}"


def reach(n: int, rate: float = RARE) -> str:
    """Return, in words, whether `n` runs could have shown an event of this rate.

    Raises:
        ValueError: if n is negative or rate is outside (0, 1).
    """
    require(n >= 0, "n", n, "0 or more")
    require(0 < rate < 1, "rate", rate, "inside (0, 1)")
    seen = 1 - (1 - rate) ** n
    return (
        f"an event of rate {rate:.1%} takes {runs_needed(rate)} runs to be seen at least once"
        f" with probability 95%; {n} runs show it with probability {_chance(seen)}"
    )


def _chance(probability: float) -> str:
    """A probability in per cent, never rounded up to certainty nor down to impossibility."""
    if 0 < probability < 0.005:
        return "below 1%"
    if probability >= 0.995:
        return "above 99%"
    return f"{probability:.0%}"

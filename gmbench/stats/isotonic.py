"""alpha50: how many distinguishing levels does training need before the goal generalizes?

Regret at deployment falls as the share alpha of distinguishing levels in training grows. alpha50 is
the smallest alpha at which it is below one half; the decades by which a mitigation lowers alpha50
are its gain.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped
from scipy.optimize import isotonic_regression
from scipy.special import ndtr, stdtrit

from gmbench.core import checks
from gmbench.stats.aggregates import finite, require
from gmbench.stats.intervals import Interval

FEW = 8
"""With fewer seeds than this the interval covers too little, which its flags say."""


@dataclass(frozen=True)
class Threshold:
    """The alpha at which the regret falls below one half.

    Attributes:
        interval: estimate and limits, in shares of levels; NaN where one lies outside the range
            tried. `flags` say on which side.
        decades: log10 of the estimate, -inf below the range tried and inf above it.
        replicates: the same of each bootstrap resample.
    """

    interval: Interval
    decades: float
    replicates: Float[np.ndarray, " resamples"]


def alpha50(
    alpha: Float[np.ndarray, " runs"],
    rho: Float[np.ndarray, " runs"],
    seeds: Shaped[np.ndarray, " runs"],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Threshold:
    """Smallest alpha with a deployment regret below one half.

    The mean regret at each alpha, made to fall with alpha by isotonic regression and joined by
    straight lines in log alpha. Alpha 0 takes part in the fit but has no logarithm: where only it
    is above one half, alpha50 is "below the smallest positive alpha tried".

    The interval resamples seeds, each with its runs at all alphas, so that seeds that learn late at
    every alpha count once; tails are widened as in `intervals.bootstrap`, by both factors. Seeds
    tried at different sets of alphas are resampled apart.

    Coverage at level .95 over 800 simulated draws (each figure within .016), of sigmoid regrets of
    three slopes on 4 or 6 alphas half a decade apart, with seeds independent or shared between
    alphas: **.92** to .97 with 8 seeds, .93 to .96 with 20, **.91** to .94 with 5 (flagged). The
    lowest are those of runs that are either aligned or not. On the three alphas .01, .1 and .5 it
    falls, for such runs or for a step that all seeds make together, as low as **.83** with 5 seeds,
    **.87** with 8 and **.90** with 20: space alphas by half a decade.

    Source: Abdel Sadek et al. 2025 (2507.03068) for the sweep over alpha; Barlow et al. 1972,
    Statistical Inference under Order Restrictions, for the fit.

    Args:
        alpha: share of distinguishing levels of each run, in [0, 1].
        rho: its deployment regret under the intended goal.
        seeds: its seed, a number or name; at most one run an alpha and seed.
        resamples: at least 100.
        level: nominal coverage, inside (0, 1).
        seed: of the numpy generator.

    Raises:
        ValueError: if values are not finite or alphas not shares, the arrays differ in length,
            fewer than 2 alphas or 2 seeds were tried, a seed has two runs at an alpha or is the
            only one at its set of alphas, or an option is out of range.
    """
    require(resamples >= 100, "resamples", resamples, "at least 100")
    require(0 < level < 1, "level", level, "inside (0, 1)")
    require(seed >= 0, "seed", seed, "0 or more")
    levels, table = _table(alpha, rho, seeds)
    with np.errstate(divide="ignore"):
        decades = np.log10(levels)
    groups = _groups(table)

    counts = np.isfinite(table).sum(axis=0).astype(np.float64)
    filled = np.nan_to_num(table)
    rng = np.random.default_rng(seed)
    drawn = np.concatenate([rng.choice(g, size=(resamples, g.size)) for g in groups], axis=1)
    means = filled[drawn].sum(axis=1) / counts  # groups keep their size, so counts are the same
    replicates = _crossings(decades, means, counts)
    estimate = float(_crossings(decades, filled.sum(axis=0)[None] / counts, counts)[0])

    number = table.shape[0]
    freedom = number - len(groups)
    tail = ndtr(np.sqrt(number / freedom) * stdtrit(freedom, (1 - level) / 2))
    low, high = np.quantile(replicates, [tail, 1 - tail], method="inverted_cdf")
    flags = [] if number >= FEW else [f"{number} seeds: fewer than {FEW} cover too little"]
    positive = levels[levels > 0]
    named = {"alpha50": estimate, "its lower limit": low, "its upper limit": high}
    for name, value in named.items():
        if value == np.inf:
            flags.append(f"{name} lies above {levels[-1]:g}, the largest alpha tried")
        elif value == -np.inf:
            flags.append(f"{name} lies below {positive[0]:g}, the smallest positive alpha tried")
    middle, first, last = (float(10 ** _or_nan(value)) for value in named.values())
    return Threshold(Interval(middle, first, last, level, tuple(flags)), estimate, replicates)


def gain(baseline: Threshold, mitigated: Threshold) -> Interval:
    """Decades by which a mitigation lowers alpha50: log10(alpha50 baseline / alpha50 mitigated).

    The two are resampled independently. A limit is NaN, and flagged, where it rests on an alpha50
    outside the range tried; an estimate that is only bounded on one side is flagged with the side.

    Raises:
        ValueError: if the two were not resampled equally often, or at different levels.
    """
    size, level = baseline.replicates.size, baseline.interval.level
    require(mitigated.replicates.size == size, "mitigated", mitigated.replicates.size, f"{size}")
    require(mitigated.interval.level == level, "mitigated", mitigated.interval.level, f"{level}")
    # Equal seeds draw equal indices, which would pair the resamples of unrelated runs.
    other = np.random.default_rng(0).permutation(mitigated.replicates)
    tail = (1 - level) / 2
    lows = _difference(baseline.replicates, other, -np.inf)
    highs = _difference(baseline.replicates, other, np.inf)
    low = float(np.quantile(lows, tail, method="inverted_cdf"))
    high = float(np.quantile(highs, 1 - tail, method="inverted_cdf"))
    estimate = float(_difference(baseline.decades, mitigated.decades, np.nan))
    flags = [f"baseline: {flag}" for flag in baseline.interval.flags]
    flags += [f"mitigated: {flag}" for flag in mitigated.interval.flags]
    if not np.isfinite(estimate):
        side = {np.inf: "bounded below only", -np.inf: "bounded above only"}
        flags.append(f"the gain is {side.get(estimate, 'not known: both lie outside the range')}")
    return Interval(_or_nan(estimate), _or_nan(low), _or_nan(high), level, tuple(flags))


def _or_nan(value: float | np.floating) -> float:
    """The value if it is finite, so that nothing off the range passes for a number."""
    return float(value) if np.isfinite(value) else math.nan


def _difference(
    a: float | Float[np.ndarray, " n"], b: float | Float[np.ndarray, " n"], unknown: float
) -> Float[np.ndarray, "..."]:
    """The difference a - b, `unknown` where both lie off the same side of the range."""
    off = np.isinf(a) & (np.asarray(a) == b)
    return np.where(off, unknown, np.subtract(a, np.where(off, 0, b)))


def _crossings(
    decades: Float[np.ndarray, " alphas"],
    means: Float[np.ndarray, "fits alphas"],
    counts: Float[np.ndarray, " alphas"],
) -> Float[np.ndarray, " fits"]:
    """Where falling fits cross one half, in decades; -inf or inf off the range tried."""
    fits = np.stack(
        [isotonic_regression(mean, weights=counts, increasing=False).x for mean in means]
    )
    below = fits < 0.5
    right = np.maximum(below.argmax(axis=1), 1)
    rows = np.arange(right.size)
    before, after = fits[rows, right - 1], fits[rows, right]
    crosses = (before >= 0.5) & (after < 0.5)
    share = (before - 0.5) / np.where(crosses, before - after, 1)
    start, end = decades[right - 1], decades[right]
    start = np.where(np.isinf(start), end, start)  # alpha 0: replaced below
    inside = crosses & np.isfinite(decades[right - 1])
    return np.where(
        inside, start + share * (end - start), np.where(below.any(axis=1), -np.inf, np.inf)
    )


def _table(
    alpha: Float[np.ndarray, " runs"],
    rho: Float[np.ndarray, " runs"],
    seeds: Shaped[np.ndarray, " runs"],
) -> tuple[Float[np.ndarray, " alphas"], Float[np.ndarray, "seeds alphas"]]:
    """The alphas in ascending order, and the regret of each seed at each, NaN where not tried."""
    alpha, rho, seeds = finite("alpha", alpha), finite("rho", rho), np.asarray(seeds)
    for field, values in (("rho", rho), ("seeds", seeds)):
        require(values.shape == alpha.shape, field, f"shape {values.shape}", f"{alpha.shape}")
    for value in alpha:
        checks.probability("alpha", float(value))
    levels, column = np.unique(alpha, return_inverse=True)
    names, row = np.unique(seeds, return_inverse=True)
    require(levels.size >= 2, "alpha", f"{levels.size} value", "at least 2 values")
    require(names.size >= 2, "seeds", f"{names.size} seed", "at least 2 seeds")
    pairs = np.stack([row, column], axis=1)
    unique = np.unique(pairs, axis=0).shape[0]
    require(unique == alpha.size, "seeds", "two runs of one seed and alpha", "one run of each")
    table = np.full((names.size, levels.size), np.nan)
    table[row, column] = rho
    return levels, table


def _groups(table: Float[np.ndarray, "seeds alphas"]) -> list[np.ndarray]:
    """Positions of the seeds that were tried at the same alphas."""
    _, group = np.unique(np.isfinite(table), axis=0, return_inverse=True)
    groups = [np.flatnonzero(group.reshape(-1) == g) for g in range(group.max() + 1)]
    for members in groups:
        require(
            members.size >= 2,
            "seeds",
            "a seed that alone was tried at its set of alphas",
            "at least 2 seeds at each set: run what is missing or leave the seed out",
        )
    return groups

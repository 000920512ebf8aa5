"""Aggregates over runs: rates with exact intervals, means with intervals that respect the seed.

A run (one training seed) is the unit of evidence. Many levels scored with one agent are one
observation of how training turned out, so every interval here is over seeds, never over levels.

Headline the mean over levels and the misaligned-run rate. The interquartile mean comes second: it
trims exactly the failures that matter. Quote the worst seed and the CVaR beside them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
from jaxtyping import Float, Shaped
from numpy.lib.array_utils import normalize_axis_tuple
from scipy.stats import beta, geom, norm, t

Axis = int | tuple[int, ...]
Side = Literal["high", "low"]

_BLOCK_SIZE = 2**22  # Scores gathered at once by the bootstrap: 32 MiB of float64.


@dataclass(frozen=True)
class Interval:
    """A point estimate with a two-sided confidence interval, in the units of the estimate."""

    estimate: float
    """The statistic of the observed runs."""
    low: float
    """Lower confidence limit."""
    high: float
    """Upper confidence limit."""
    level: float = 0.95
    """Nominal coverage, in (0, 1)."""


def clopper_pearson(k: int, n: int, level: float = 0.95) -> Interval:
    """Exact two-sided interval of a rate, from `k` events in `n` runs.

    Each limit leaves (1 - level) / 2 in its binomial tail, also when `k` is 0 or `n`. That is the
    sidedness of the published upper limits .31 (0/10), .036 (0/100) and .0037 (0/1000), which are
    .3085, .03622 and .003682 rounded; one-sided 95% limits would be .26, .030 and .0030.

    Source: Clopper and Pearson 1934, Biometrika 26(4).

    Raises:
        ValueError: if not 0 <= k <= n, n < 1, or level is outside (0, 1).
    """
    _require(n >= 1, "n", n, "at least 1")
    _require(0 <= k <= n, "k", k, f"between 0 and n = {n}")
    _require(0 < level < 1, "level", level, "inside (0, 1)")
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0
    high = float(beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return Interval(k / n, low, high, level)


def runs_needed(rate: float, probability: float = 0.95) -> int:
    """Smallest number of independent runs that shows at least one event with the given probability.

    The smallest n with 1 - (1 - rate)^n >= probability: 998 for a rate of .003, 22 for .13.

    Raises:
        ValueError: if rate is outside (0, 1] or probability outside (0, 1).
    """
    _require(0 < rate <= 1, "rate", rate, "inside (0, 1]")
    _require(0 < probability < 1, "probability", probability, "inside (0, 1)")
    return 1 if rate == 1 else int(geom.ppf(probability, rate))


@overload
def interquartile_mean(values: Float[np.ndarray, "..."], axis: None = None) -> float: ...
@overload
def interquartile_mean(
    values: Float[np.ndarray, "..."], axis: Axis
) -> Float[np.ndarray, "..."]: ...
def interquartile_mean(values: Float[np.ndarray, "..."], axis: Axis | None = None) -> Any:
    """Mean of the middle half of the values pooled over `axis` (all of them by default).

    Drops floor(n / 4) values at each end, without fractional weights, as
    `scipy.stats.trim_mean(values, 0.25)` does. Fewer than four values are not trimmed.

    Source: Agarwal et al. 2021, Deep RL at the edge of the statistical precipice, section 4.

    Raises:
        ValueError: if values are empty or not finite.
    """
    rows = _sorted_rows(values, axis)
    cut = rows.shape[-1] // 4
    return rows[..., cut : rows.shape[-1] - cut].mean(axis=-1)


@overload
def cvar(
    values: Float[np.ndarray, "..."],
    share: float = 0.25,
    *,
    worst: Side = "high",
    axis: None = None,
) -> float: ...
@overload
def cvar(
    values: Float[np.ndarray, "..."], share: float = 0.25, *, worst: Side = "high", axis: Axis
) -> Float[np.ndarray, "..."]: ...
def cvar(
    values: Float[np.ndarray, "..."],
    share: float = 0.25,
    *,
    worst: Side = "high",
    axis: Axis | None = None,
) -> Any:
    """Conditional value at risk: mean of the worst `share` of the values pooled over `axis`.

    `worst` says which end is bad: "high" for regret, GMI and CFI, "low" for returns. Where
    share * n is not whole, the last value counts by the fraction left; below one value it is the
    worst value itself.

    Source: Rockafellar and Uryasev 2002, Journal of Banking & Finance 26(7).

    Raises:
        ValueError: if values are empty or not finite, share is outside (0, 1], or worst is
            neither end.
    """
    _require(0 < share <= 1, "share", share, "inside (0, 1]")
    _require(worst in ("high", "low"), "worst", worst, "'high' or 'low'")
    rows = _sorted_rows(values, axis)
    from_worst = rows[..., ::-1] if worst == "high" else rows
    kept = share * rows.shape[-1]
    weights = np.clip(kept - np.arange(rows.shape[-1]), 0, 1)
    return from_worst @ (weights / weights.sum())


def worst(values: Float[np.ndarray, "..."], worst: Side = "high") -> float:
    """The worst value: the largest where `worst` is "high" (regret), the smallest where "low".

    It has no `axis`, so that it cannot be bootstrapped: resampling never shows a seed worse than
    the worst one seen.

    Raises:
        ValueError: if values are empty or not finite, or worst is neither end.
    """
    _require(worst in ("high", "low"), "worst", worst, "'high' or 'low'")
    values = _finite("values", values)
    return float(values.max() if worst == "high" else values.min())


def bootstrap(
    scores: Float[np.ndarray, "seeds *trailing"],
    statistic: Callable[..., Float[np.ndarray, " resamples"]],
    *,
    strata: Shaped[np.ndarray, "..."] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval of a statistic, resampling seeds inside strata.

    Args:
        scores: f[seeds, ...]; the trailing axes (levels, shifts) travel with their seed.
        statistic: called as `statistic(values, axis=axes)` with values f64[batch, seeds, ...] and
            `axes` every axis but the first, to return f64[batch]: `numpy.mean`,
            `interquartile_mean`, or one of your own.
        strata: i[seeds] or str[seeds], the task of each seed; each resample keeps the number of
            seeds of each task. None is a single stratum.
        resamples: number of resamples, at least 100.
        level: nominal coverage, inside (0, 1).
        seed: of the numpy generator; the same seed gives the same interval.

    Percentile limits with the tails widened to those of Student's t on seeds - strata degrees of
    freedom, and by sqrt(seeds / (seeds - strata)): the expanded percentile interval of Hesterberg
    2015, The American Statistician 69(4), whose factor for one sample is generalised to strata.

    Coverage at level .95 over 1,500 simulated draws (each figure within about .01), as plain
    percentile / BCa / this interval:

    | score, 8 seeds | mean | interquartile mean |
    |---|---|---|
    | normal | .89 / .88 / .94 | .94 / .93 / .97 |
    | beta(8, 2) | .88 / .88 / .93 | .93 / .93 / .97 |
    | beta(1, 9) | .85 / .86 / .91 | .94 / .94 / .98 |
    | log-normal | .78 / .80 / .84 | .93 / .93 / .97 |
    | normal, three strata of 8 | .93 / .93 / .95 | .93 / .93 / .96 |

    BCa corrects for skewness but not for the few seeds, which matter more.

    What no resampling repairs: the mean of a symmetric score is covered at most 1 - 2^(1 - seeds)
    of the time (.75 for 3 seeds, .94 for 5). A failure that no seed showed is not in the interval,
    and seeds that all agree give width zero: for rates take `clopper_pearson`. The CVaR over 8
    seeds is covered .57 of the time: report it without an interval.

    Raises:
        ValueError: if scores are not finite, scores or a stratum have fewer than 2 seeds, strata
            is not [seeds], an option is out of range, or the statistic does not return one finite
            value per resample.
    """
    scores = np.atleast_1d(_finite("scores", scores))
    seeds = scores.shape[0]
    _require(seeds >= 2, "scores", f"{seeds} seed(s)", "at least 2 seeds")
    _require(resamples >= 100, "resamples", resamples, "at least 100")
    _require(0 < level < 1, "level", level, "inside (0, 1)")
    _require(seed >= 0, "seed", seed, "0 or more")
    members = _strata_members(strata, seeds)

    rng = np.random.default_rng(seed)
    index = np.empty((resamples, seeds), dtype=np.int64)
    for group in members:
        index[:, group] = rng.choice(group, size=(resamples, group.size))

    axes = tuple(range(1, scores.ndim + 1))
    blocks = np.array_split(index, -(-resamples * scores.size // _BLOCK_SIZE))
    replicates = np.concatenate([statistic(scores[block], axis=axes) for block in blocks])
    shape = replicates.shape
    _require(shape == (resamples,), "statistic", f"shape {shape}", f"shape ({resamples},)")
    _require(np.isfinite(replicates).all(), "statistic", "nan or inf", "finite values")

    freedom = seeds - len(members)
    tail = norm.cdf(np.sqrt(seeds / freedom) * t.ppf((1 - level) / 2, freedom))
    low, high = np.quantile(replicates, [tail, 1 - tail])
    estimate = statistic(scores[None], axis=axes)[0]
    return Interval(float(estimate), float(low), float(high), level)


def _strata_members(strata: Shaped[np.ndarray, "..."] | None, seeds: int) -> list[np.ndarray]:
    """Positions of the seeds of each stratum, strata in sorted order."""
    labels = np.zeros(seeds, dtype=np.int64) if strata is None else np.asarray(strata)
    _require(labels.shape == (seeds,), "strata", f"shape {labels.shape}", f"shape ({seeds},)")
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    for group in members:
        _require(
            group.size >= 2, "strata", f"1 seed of {labels[group[0]]}", "at least 2 seeds in each"
        )
    return members


def _sorted_rows(
    values: Float[np.ndarray, "..."], axis: Axis | None
) -> Float[np.ndarray, "*rest pooled"]:
    """The values in ascending order, with the axes of `axis` pooled into the last one."""
    values = _finite("values", values)
    axes = normalize_axis_tuple(range(values.ndim) if axis is None else axis, values.ndim)
    last = np.moveaxis(values, axes, range(-len(axes), 0))
    return np.sort(last.reshape(*last.shape[: values.ndim - len(axes)], -1), axis=-1)


def _finite(field: str, values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """The values as float64, refused where empty or not finite."""
    values = np.asarray(values, dtype=np.float64)
    _require(values.size > 0, field, "empty", "at least 1 value")
    bad = values[~np.isfinite(values)]
    _require(bad.size == 0, field, bad[:1], "finite everywhere")
    return values


def _require(ok: bool | np.bool, field: str, value: object, allowed: str) -> None:
    """Refuse a value with one line that names the field, the value and what is allowed."""
    if not ok:
        raise ValueError(f"{field}: got {value}, allowed is {allowed}")

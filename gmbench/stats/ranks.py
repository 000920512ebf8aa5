"""Rank correlation of paired numbers, with an interval."""

import numpy as np
from jaxtyping import Float

from gmbench.stats.aggregates import finite, require
from gmbench.stats.intervals import Interval

FEWEST = 4
"""Pairs below which nothing is said."""
RESAMPLES = 4_000


def rank_correlation(
    one: Float[np.ndarray, " pairs"], other: Float[np.ndarray, " pairs"], level: float = 0.95
) -> Interval:
    """Spearman's rank correlation, with the percentile interval of a bootstrap over pairs.

    Resamples in which a side is all ties, which have no correlation, are left out. With a dozen
    pairs the interval is rough: it says whether the sign is known, not more.

    Args:
        one: numbers, at least :data:`FEWEST`, not all equal.
        other: as many, in the same order.
        level: nominal coverage, inside (0, 1).

    Raises:
        ValueError: if the numbers are too few, all equal, not finite, or not paired.
    """
    require(0 < level < 1, "level", level, "inside (0, 1)")
    pairs = np.stack([finite("one", one), finite("other", other)])
    require(pairs.shape[1] >= FEWEST, "pairs", pairs.shape[1], f"at least {FEWEST}")
    require(bool(np.ptp(pairs, axis=1).all()), "pairs", "ties only", "numbers that differ")
    picked = np.random.default_rng(0).integers(pairs.shape[1], size=(RESAMPLES, pairs.shape[1]))
    tail = 100 * (1 - level) / 2
    low, high = np.nanpercentile(_spearman(*pairs[:, picked]), [tail, 100 - tail])
    return Interval(float(_spearman(*pairs)), float(low), float(high), level)


def _spearman(
    one: Float[np.ndarray, "*resamples pairs"], other: Float[np.ndarray, "*resamples pairs"]
) -> Float[np.ndarray, "*resamples"]:
    """Return the correlations of ranks; NaN where a side is all ties."""
    from scipy.stats import rankdata  # here, as it is slow to import

    ranks = [rankdata(each, axis=-1) for each in (one, other)]
    one, other = (each - each.mean(axis=-1, keepdims=True) for each in ranks)
    spread = np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1))
    products = np.where(spread > 0, (one * other).sum(axis=-1), np.nan)
    return np.asarray(products / np.where(spread > 0, spread, 1))

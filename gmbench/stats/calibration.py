"""How good probabilities are: their accuracy, their distance to what came true, their calibration.

Sources: Brier 1950, "Verification of forecasts expressed in terms of probability"; reliability by
equally full bins: Nguyen & O'Connor 2015, arXiv 1508.05154, section 3.2.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from gmbench.stats.intervals import Interval, bootstrap
from gmbench.stats.rates import Rate

BINS = 5
"""Of a reliability table: as many agents in each, give or take one."""
LEAST = 0.001
"""What came true counts as likely as this at least in the log loss, which would be infinite.

One prediction that is sure and wrong then costs 6.9 nats, ten times a guess between two: the mean
over a few dozen agents is not that one's alone.
"""
MOST = -math.log(LEAST)
"""The largest log loss."""


class Bin(NamedTuple):
    """Agents with similar probabilities.

    Attributes:
        said: their mean probability.
        true: of how many it came true.
    """

    said: float
    true: Rate


def brier(said: Float[np.ndarray, " n"], true: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the squared distance of each probability to what came true."""
    return (said - true) ** 2


def log_loss(came_true: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return minus the logarithm of the probability of what came true, in nats, at most ``MOST``.

    Args:
        came_true: the probability that was given to what came true, of two classes or of more.
    """
    return -np.log(np.maximum(came_true, LEAST))


def reliability(said: Float[np.ndarray, " n"], true: Bool[np.ndarray, " n"]) -> list[Bin]:
    """Return equally full bins of probabilities, in order; equal probabilities stay together."""
    from scipy.stats import rankdata  # here, as it is slow to import

    middle = (rankdata(said) - 0.5) / len(said)
    places = np.floor(BINS * middle)
    members = [places == place for place in np.unique(places)]
    return [
        Bin(float(said[own].mean()), Rate(int(true[own].sum()), int(own.sum()))) for own in members
    ]


def calibration_error(
    said: Float[np.ndarray, " n"], true: Bool[np.ndarray, " n"]
) -> Interval | None:
    """Return the expected calibration error of :func:`reliability`'s bins, with its interval.

    The mean distance, over agents, of a bin's mean probability to the share that came true. It is
    never below 0 and rarely at 0 by chance: 20 perfectly calibrated probabilities near one half
    give .2 or so. The interval is a bootstrap's over agents, None for fewer than two.
    """
    if len(said) < 2:
        return None
    pairs = np.stack([said, true.astype(np.float64)], axis=-1)

    def error(values: Float[np.ndarray, "batch n 2"], axis: object) -> Float[np.ndarray, " batch"]:
        del axis
        return np.array([_error(each[:, 0], each[:, 1] > 0.5) for each in values])

    return bootstrap(pairs, error, resamples=1000)


def _error(said: Float[np.ndarray, " n"], true: Bool[np.ndarray, " n"]) -> float:
    bins = reliability(said, true)
    return sum(abs(each.said - each.true.k / each.true.n) * each.true.n for each in bins) / len(
        said
    )

"""Performance profiles: the share above each threshold, and how often the bands cover."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gmbench.stats.intervals import wilson
from gmbench.stats.profiles import Band, performance_profile


def test_share_of_runs_above_each_threshold() -> None:
    # As rliable has it: the mean of scores > tau, strictly.
    scores = np.array([0.1, 0.5, 0.5, 0.9])
    profile = performance_profile(scores, np.array([0.0, 0.5, 0.6, 0.95]))
    assert profile.share.tolist() == [1.0, 0.25, 0.25, 0.0]
    limits = [wilson(k, 4) for k in (4, 1, 1, 0)]
    assert profile.low.tolist() == [interval.low for interval in limits]
    assert profile.high.tolist() == [interval.high for interval in limits]


def test_simultaneous_band_has_the_tabulated_reach() -> None:
    # Massey 1951, table 1, alpha = .05: n = 10 .410, n = 20 .294 (exact: .40925, .29408).
    for n, reach in ((10, 0.409), (20, 0.294)):
        scores = np.linspace(0, 1, n)
        profile = performance_profile(scores, np.array([0.5]), band="simultaneous")
        assert profile.high[0] - profile.share[0] == pytest.approx(reach, abs=5.1e-4)


@pytest.mark.parametrize("runs", [5, 8, 20])
def test_pointwise_band_covers_on_average(runs: int) -> None:
    # Exactly: the number of runs above a threshold is binomial, and decides the band.
    profiles = [
        performance_profile((np.arange(runs) < k).astype(float), np.array([0.5]))
        for k in range(runs + 1)
    ]
    low, high = (np.array([getattr(p, end)[0] for p in profiles]) for end in ("low", "high"))
    shares = stats.beta.sf(np.linspace(0.02, 0.98, 49), 2, 3)[:, None]
    inside = (low <= shares) & (shares <= high)
    covered = (stats.binom.pmf(np.arange(runs + 1), runs, shares) * inside).sum(axis=1)
    assert 0.93 <= covered.mean() <= 0.97


@pytest.mark.parametrize("runs", [5, 8, 20])
def test_simultaneous_band_covers_everywhere_at_once(runs: int) -> None:
    # The standard error over 8,000 draws is .0024. The share is furthest off at a score or just
    # below it.
    middle = performance_profile(
        np.arange(float(runs)), np.array([runs / 2 - 1]), band="simultaneous"
    )
    reach = middle.share[0] - middle.low[0]
    rng = np.random.default_rng(runs)
    truth = np.sort(stats.beta.sf(rng.beta(2, 3, size=(8000, runs)), 2, 3), axis=1)
    at = np.abs(truth - np.arange(runs) / runs).max(axis=1)
    below = np.abs(truth - np.arange(1, runs + 1) / runs).max(axis=1)
    assert 0.94 <= np.mean(np.maximum(at, below) <= reach) <= 0.96


def test_a_band_has_a_width_where_all_runs_agree() -> None:
    bands: list[Band] = ["pointwise", "simultaneous"]
    for band in bands:
        profile = performance_profile(np.full(8, 0.5), np.array([0.1, 0.9]), band=band)
        assert ((profile.high - profile.low) > 0.2).all()


GOOD = np.linspace(0, 1, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: performance_profile(np.array([]), GOOD), "scores: got empty"),
        (lambda: performance_profile(np.array([math.nan]), GOOD), "scores: got .*nan"),
        (lambda: performance_profile(GOOD, np.array([math.inf])), "thresholds: got .*inf"),
        (lambda: performance_profile(GOOD, GOOD, level=0.0), "level: got 0.0"),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

"""Probability of improvement: equal to Mann and Whitney's statistic, and its interval covers."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gmbench.stats.improvement import probability_of_improvement


def test_it_is_the_mann_whitney_statistic_averaged_over_tasks() -> None:
    rng = np.random.default_rng(0)
    ours = {"corner": rng.normal(size=7), "dish": rng.integers(0, 4, 5).astype(float)}
    theirs = {"dish": rng.integers(0, 4, 6).astype(float), "corner": rng.normal(size=9)}
    shares = [
        stats.mannwhitneyu(ours[task], theirs[task]).statistic / ours[task].size / theirs[task].size
        for task in ours
    ]
    assert probability_of_improvement(ours, theirs).estimate == pytest.approx(np.mean(shares))


def test_ties_count_half_and_the_sides_mirror() -> None:
    ours, theirs = {"a": np.array([1.0, 2.0])}, {"a": np.array([1.0, 1.0, 3.0])}
    high = probability_of_improvement(ours, theirs)
    assert high.estimate == pytest.approx((0.5 + 0.5 + 0 + 1 + 1 + 0) / 6)
    low = probability_of_improvement(ours, theirs, better="low")
    back = probability_of_improvement(theirs, ours)
    for other in (low, back):
        mirrored = (1 - other.high, 1 - other.low)
        assert (high.low, high.high) == pytest.approx(mirrored, abs=1e-9)


def test_limits_solve_the_published_equation() -> None:
    # Newcombe 2006, method 5, with m = 6 and n = 8; the equation is written out anew.
    rng = np.random.default_rng(1)
    ours, theirs = rng.normal(0.8, 1, 6), rng.normal(0, 1, 8)
    interval = probability_of_improvement({"a": ours}, {"a": theirs})
    for p in (interval.low, interval.high):
        star = (6 + 8) / 2 - 1
        variance = p * (1 - p) * (1 + star * (1 - p) / (2 - p) + star * p / (1 + p)) / (6 * 8)
        assert (interval.estimate - p) ** 2 == pytest.approx(1.959964**2 * variance, rel=1e-5)


def test_complete_separation_still_has_a_width() -> None:
    interval = probability_of_improvement({"a": np.arange(8.0) + 9}, {"a": np.arange(8.0)})
    assert interval.estimate == interval.high == 1.0
    assert 0.5 < interval.low < 0.95


@pytest.mark.parametrize(
    ("shift", "runs", "tasks"),
    [(0.0, 5, 1), (0.74, 8, 1), (1.81, 8, 1), (1.81, 20, 1), (0.74, 5, 3)],
)
def test_interval_covers(shift: float, runs: int, tasks: int) -> None:
    # The standard error over 4,000 draws is .0035. Limits depend on the pairs won alone: one
    # interval for each number of them that occurs.
    rng = np.random.default_rng([runs, tasks])
    ours, theirs = (rng.normal(mean, 1, (4000, tasks, runs)) for mean in (shift, 0.0))
    won = (ours[..., :, None] > theirs[..., None, :]).sum(axis=(1, 2, 3))
    truth = stats.norm.cdf(shift / math.sqrt(2))
    inside = 0
    for number, first, times in zip(
        *np.unique(won, return_index=True, return_counts=True), strict=True
    ):
        sides = ({str(t): side[first, t] for t in range(tasks)} for side in (ours, theirs))
        interval = probability_of_improvement(*sides)
        assert interval.estimate == pytest.approx(number / (tasks * runs**2))
        inside += times * (interval.low <= truth <= interval.high)
    assert 0.93 <= inside / 4000 <= 0.97


def test_few_runs_are_flagged() -> None:
    many, few = {"a": np.arange(5.0)}, {"a": np.arange(4.0)}
    assert probability_of_improvement(many, many).flags == ()
    assert "4 runs a side" in probability_of_improvement(many, few).flags[0]


GOOD = {"a": np.arange(5.0)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: probability_of_improvement({}, {}), "ours: got no task"),
        (lambda: probability_of_improvement(GOOD, {"b": GOOD["a"]}), "theirs: got"),
        (lambda: probability_of_improvement(GOOD, {"a": np.array([1.0])}), "at least 2 runs"),
        (lambda: probability_of_improvement({"a": np.array([1.0, math.nan])}, GOOD), "got .*nan"),
        (lambda: probability_of_improvement(GOOD, GOOD, level=1.0), "level: got 1.0"),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

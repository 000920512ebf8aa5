"""Aggregates: exact values where they exist, coverage where they do not."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from gmbench.measure.statistics import (
    bootstrap,
    clopper_pearson,
    cvar,
    interquartile_mean,
    runs_needed,
    worst,
)


def at_least(k: int, n: int, rate: float) -> float:
    """P(at least k events in n runs), summed term by term."""
    return math.fsum(math.comb(n, i) * rate**i * (1 - rate) ** (n - i) for i in range(k, n + 1))


# (k, n, low, high) as scipy 1.17.1 gives: binomtest(k, n).proportion_ci(0.95, method="exact").
EXACT = [
    (0, 8, 0.0, 0.3694166475528192),
    (1, 8, 0.003159723531252275, 0.5265096708751638),
    (7, 8, 0.4734903291248362, 0.9968402764687477),
    (8, 8, 0.6305833524471808, 1.0),
    (13, 100, 0.07107304618545973, 0.21204067708744978),
]


@pytest.mark.parametrize(("k", "n", "low", "high"), EXACT)
def test_clopper_pearson_reference_values(k: int, n: int, low: float, high: float) -> None:
    interval = clopper_pearson(k, n)
    assert interval.estimate == k / n
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-10)


@pytest.mark.parametrize(("k", "n", "level"), [(1, 8, 0.95), (7, 8, 0.9), (5, 24, 0.99)])
def test_clopper_pearson_solves_both_binomial_tails(k: int, n: int, level: float) -> None:
    tail = (1 - level) / 2
    low = optimize.brentq(lambda rate: at_least(k, n, rate) - tail, 0, 1, xtol=1e-13)
    high = optimize.brentq(lambda rate: 1 - at_least(k + 1, n, rate) - tail, 0, 1, xtol=1e-13)
    interval = clopper_pearson(k, n, level)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-10)
    assert interval.level == level


@pytest.mark.parametrize(("n", "published"), [(10, 0.31), (100, 0.036), (1000, 0.0037)])
def test_clopper_pearson_published_limits_without_events(n: int, published: float) -> None:
    high = clopper_pearson(0, n).high
    assert high == pytest.approx(1 - 0.025 ** (1 / n), rel=1e-10)
    assert float(f"{high:.2g}") == published


def test_clopper_pearson_covers_every_rate() -> None:
    intervals = [clopper_pearson(k, 8) for k in range(9)]
    for rate in np.linspace(0.005, 0.995, 100):
        inside = [k for k in range(9) if intervals[k].low <= rate <= intervals[k].high]
        assert stats.binom.pmf(inside, 8, rate).sum() >= 0.95


@pytest.mark.parametrize(
    ("rate", "probability", "runs"),
    [(0.003, 0.95, 998), (0.13, 0.95, 22), (0.5, 0.75, 2), (0.5, 0.76, 3), (1.0, 0.95, 1)],
)
def test_runs_needed(rate: float, probability: float, runs: int) -> None:
    assert runs_needed(rate, probability) == runs
    assert 1 - (1 - rate) ** runs >= probability
    assert 1 - (1 - rate) ** (runs - 1) < probability


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 9, 101])
def test_interquartile_mean_is_the_quarter_trimmed_mean(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25), abs=1e-12)


def test_interquartile_mean_ignores_the_outer_quarters() -> None:
    assert interquartile_mean(np.array([1e6, 3.0, -1e6, 4.0, 5.0, 6.0, 1e6, -1e6])) == 4.5


@pytest.mark.parametrize(
    ("share", "end", "expected"),
    [
        (0.25, "high", 3.5),  # The mean of 4 and 3: two of eight.
        (0.25, "low", -2.5),
        (0.3125, "high", (4 + 3 + 0.5 * 2) / 2.5),
        (0.01, "high", 4.0),
        (1.0, "low", 0.5),
    ],
)
def test_cvar(share: float, end: Any, expected: float) -> None:
    values = np.array([0.0, 4.0, -3.0, 1.0, 3.0, -2.0, 2.0, -1.0])
    assert cvar(values, share, worst=end) == pytest.approx(expected, abs=1e-12)


def test_worst_takes_the_named_end() -> None:
    values = np.array([0.2, 0.9, 0.1])
    assert (worst(values), worst(values, "low")) == (0.9, 0.1)


@pytest.mark.parametrize("statistic", [interquartile_mean, cvar])
def test_axes_are_pooled_row_by_row(statistic: Any) -> None:
    values = np.random.default_rng(0).normal(size=(5, 6, 7))
    rows = [statistic(values[:, i, :]) for i in range(6)]
    np.testing.assert_allclose(statistic(values, axis=(0, 2)), rows, rtol=1e-12)


def width(scores: np.ndarray, **options: Any) -> float:
    interval = bootstrap(scores, np.mean, **options)
    return interval.high - interval.low


def test_bootstrap_covers_the_mean_with_eight_seeds() -> None:
    # The standard error of .94 over 800 draws is .008; plain percentile limits cover .89.
    draws = np.random.default_rng(0).normal(size=(800, 8))
    intervals = [bootstrap(draw, np.mean, resamples=500) for draw in draws]
    coverage = np.mean([interval.low <= 0 <= interval.high for interval in intervals])
    assert 0.92 <= coverage <= 0.965


def test_bootstrap_covers_the_mean_over_three_strata() -> None:
    # The standard error of .95 over 800 draws is .008.
    tasks = np.repeat(["corner", "dish", "keys"], 8)
    draws = np.random.default_rng(1).normal(np.repeat([0.0, 3.0, 9.0], 8), 1.0, size=(800, 24))
    intervals = [bootstrap(draw, np.mean, strata=tasks, resamples=500) for draw in draws]
    coverage = np.mean([interval.low <= 4 <= interval.high for interval in intervals])
    assert 0.92 <= coverage <= 0.975


def test_bootstrap_spends_a_degree_of_freedom_on_each_stratum() -> None:
    pairs = np.random.default_rng(6).normal(size=(20, 2))
    error = np.sqrt((pairs.var(axis=1, ddof=1) / 2).sum()) / 20
    measured = width(pairs.ravel(), strata=np.repeat(np.arange(20), 2), resamples=20_000)
    assert measured == pytest.approx(2 * stats.t.ppf(0.975, 20) * error, rel=0.1)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_bootstrap_agrees_with_student_t_for_many_seeds(level: float) -> None:
    scores = np.random.default_rng(2).normal(size=60)
    interval = bootstrap(scores, np.mean, level=level, resamples=20_000)
    expected = stats.ttest_1samp(scores, 0).confidence_interval(level)
    assert interval.estimate == scores.mean()
    assert interval.level == level
    assert interval.high - interval.low == pytest.approx(expected.high - expected.low, rel=0.04)


def test_bootstrap_keeps_the_seeds_of_each_stratum() -> None:
    tasks = np.array([2, 0, 1, 0, 2, 0, 1])
    constant_within_task = np.array([5.0, 1.0, 9.0])[tasks]
    assert width(constant_within_task, strata=tasks) == pytest.approx(0, abs=1e-12)
    assert width(constant_within_task) > 1


def test_bootstrap_draws_every_seed_equally_within_its_stratum() -> None:
    tasks = np.array(["a", "b", "b", "a", "b"])
    seen: list[np.ndarray] = []

    def spy(values: np.ndarray, axis: Any) -> Any:
        seen.append(values)
        return values.mean(axis=axis)

    bootstrap(np.arange(5.0), spy, strata=tasks, resamples=20_000)
    drawn = max(seen, key=len)
    for task in "ab":
        counts = np.bincount(drawn[:, tasks == task].ravel().astype(int), minlength=5)
        assert counts[tasks != task].sum() == 0
        assert stats.chisquare(counts[tasks == task]).pvalue > 1e-3


def test_bootstrap_duplicate_levels_add_no_evidence() -> None:
    seeds = np.random.default_rng(3).normal(size=8)
    levels = np.repeat(seeds[:, None], 100, axis=1)
    assert width(levels) == pytest.approx(width(seeds), rel=1e-9)
    assert width(levels.ravel()) < width(levels) / 5


def test_bootstrap_result_does_not_depend_on_how_resamples_are_batched() -> None:
    levels = np.random.default_rng(4).normal(size=(8, 2, 1500))
    by_level = bootstrap(levels, np.mean)
    by_seed = bootstrap(levels.mean(axis=(1, 2)), np.mean)
    assert by_level.low == pytest.approx(by_seed.low, abs=1e-12)
    assert by_level.high == pytest.approx(by_seed.high, abs=1e-12)


def test_bootstrap_is_deterministic_in_its_seed() -> None:
    scores = np.random.default_rng(5).normal(size=8)
    assert bootstrap(scores, interquartile_mean) == bootstrap(scores, interquartile_mean)
    assert bootstrap(scores, np.mean) != bootstrap(scores, np.mean, seed=1)


GOOD = np.linspace(0, 1, 8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clopper_pearson(11, 10), "k: got 11, allowed is between 0 and n = 10"),
        (lambda: clopper_pearson(-1, 10), "k: got -1"),
        (lambda: clopper_pearson(0, 0), "n: got 0, allowed is at least 1"),
        (lambda: clopper_pearson(1, 10, math.nan), "level: got nan"),
        (lambda: runs_needed(0.0), "rate: got 0.0"),
        (lambda: runs_needed(math.nan), "rate: got nan"),
        (lambda: runs_needed(0.1, 1.0), "probability: got 1.0"),
        (lambda: interquartile_mean(np.array([])), "values: got empty"),
        (lambda: interquartile_mean(np.array([1.0, math.nan])), "values: got .*nan"),
        (lambda: cvar(np.array([math.inf])), "values: got .*inf"),
        (lambda: cvar(GOOD, 0.0), "share: got 0.0"),
        (lambda: worst(np.array([math.nan])), "values: got .*nan"),
        (lambda: bootstrap(np.array([]), np.mean), "scores: got empty"),
        (lambda: bootstrap(np.zeros((1, 9)), np.mean), "scores: got 1 seed.* at least 2 seeds"),
        (lambda: bootstrap(np.array([1.0, math.nan]), np.mean), "scores: got .*nan"),
        (lambda: bootstrap(GOOD, np.mean, strata=np.arange(3)), "strata: got shape"),
        (
            lambda: bootstrap(GOOD, np.mean, strata=np.array(["a"] * 7 + ["b"])),
            "strata: got 1 seed of b",
        ),
        (lambda: bootstrap(GOOD, np.mean, resamples=99), "resamples: got 99"),
        (lambda: bootstrap(GOOD, np.mean, level=1.0), "level: got 1.0"),
        (lambda: bootstrap(GOOD, np.mean, seed=-1), "seed: got -1"),
        (lambda: bootstrap(GOOD, lambda values, axis: values), "statistic: got"),
        (
            lambda: bootstrap(GOOD, lambda values, axis: values.mean(axis) * math.inf),
            "statistic: got",
        ),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)

"""alpha50: known crossings, what lies outside the range tried, and how often it covers."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from gmbench.stats.isotonic import Threshold, alpha50, gain

ALPHAS = np.array([0.01, 0.03, 0.1, 0.3])


def fit(table: Any, alphas: Any = ALPHAS, **options: Any) -> Threshold:
    """Alpha50 of regrets [seeds, alphas]."""
    table = np.asarray(table, np.float64)
    seeds = np.repeat(np.arange(table.shape[0]), table.shape[1])
    options = {"resamples": 300, **options}
    return alpha50(np.tile(alphas, table.shape[0]), table.ravel(), seeds, **options)


def test_crossing_is_read_on_the_log_axis() -> None:
    found = fit([[0.9, 0.6, 0.4, 0.1]] * 8)
    assert found.interval.estimate == pytest.approx(math.sqrt(0.03 * 0.1))
    assert found.interval.low == found.interval.high == found.interval.estimate
    quarter = fit([[0.9, 0.7, 0.3, 0.1], [0.7, 0.8, 0.6, 0.1]] * 4)  # Means .8, .75, .45, .1.
    assert quarter.decades == pytest.approx(np.log10(0.03) + 0.25 / 0.3 * np.log10(0.1 / 0.03))


def test_violators_are_pooled_as_published() -> None:
    # Means .9, .3, .7, .1 fall after pooling to .9, .5, .5, .1: first below one half at .3.
    assert fit([[0.9, 0.3, 0.7, 0.1]] * 8).decades == pytest.approx(np.log10(0.1))
    values = np.random.default_rng(0).random(7)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    minimax = [
        min(max((sums[b + 1] - sums[a]) / (b + 1 - a) for b in range(i, 7)) for a in range(i + 1))
        for i in range(7)
    ]
    np.testing.assert_allclose(isotonic_regression(values, increasing=False).x, minimax)


def test_outside_the_range_is_said_and_no_number() -> None:
    never = fit(np.full((8, 4), 0.8))
    assert math.isnan(never.interval.estimate)
    assert math.isnan(never.interval.high)
    assert "alpha50 lies above 0.3, the largest alpha tried" in never.interval.flags
    always = fit(np.full((8, 4), 0.2))
    assert math.isnan(always.interval.estimate)
    assert "alpha50 lies below 0.01, the smallest positive alpha tried" in always.interval.flags
    from_zero = fit([[0.9, 0.2, 0.1, 0.0]] * 8, np.array([0.0, 0.03, 0.1, 0.3]))
    assert from_zero.decades == -math.inf
    assert "alpha50 lies below 0.03, the smallest positive alpha tried" in from_zero.interval.flags
    one_end = fit([[0.9, 0.8, 0.7, high] for high in np.linspace(0.1, 0.8, 8)])
    assert math.isfinite(one_end.interval.estimate)
    assert math.isnan(one_end.interval.high)
    assert any(flag.startswith("its upper limit lies above") for flag in one_end.interval.flags)


def test_seeds_are_clusters() -> None:
    # Regrets at .03 and .1 that rise together move the crossing; where one rises as the other
    # falls it stays. Resampled apart at each alpha, the two could not be told apart.
    spread, mean = np.linspace(-0.15, 0.15, 10)[:, None], np.array([0.8, 0.6, 0.4, 0.2])
    together, against = (fit(mean + spread * np.array([1, 1, s, 1])) for s in (1, -1))
    assert against.replicates.std() < 0.1 * together.replicates.std()


def test_gain_is_in_decades() -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 0.03, (8, 4))
    baseline = fit(np.array([0.9, 0.8, 0.6, 0.1]) + noise)
    mitigated = fit(np.array([0.6, 0.4, 0.2, 0.1]) + noise)
    found = gain(baseline, mitigated)
    ratio = baseline.interval.estimate / mitigated.interval.estimate
    assert found.estimate == pytest.approx(np.log10(ratio))
    assert found.low < found.estimate < found.high
    assert found.flags == ()
    back = gain(mitigated, baseline)
    assert back.estimate == pytest.approx(-found.estimate)
    assert gain(baseline, baseline).low < 0 < gain(baseline, baseline).high


def test_gain_off_the_range_is_no_number() -> None:
    never, some = fit(np.full((8, 4), 0.8)), fit([[0.9, 0.6, 0.4, 0.1]] * 8)
    always = fit(np.full((8, 4), 0.2))
    for pair, words in (
        ((never, some), "bounded below only"),
        ((some, never), "bounded above only"),
        ((never, never), "not known"),
        ((always, always), "not known"),
    ):
        found = gain(*pair)
        assert math.isnan(found.estimate)
        assert math.isnan(found.low) or math.isnan(found.high)
        assert words in " ".join(found.flags)


def coverage(kind: str, seeds: int, draws: int) -> float:
    rng = np.random.default_rng([seeds, draws, len(kind)])
    alphas = np.array([0.01, 0.03, 0.1, 0.3])
    mean = 0.15 + 0.7 / (1 + np.exp(4 * (np.log10(alphas) + 1.25)))
    k = np.log10(alphas)
    truth = k[1] + (mean[1] - 0.5) / (mean[1] - mean[2]) * (k[2] - k[1])
    inside = 0
    for _ in range(draws):
        if kind == "graded":
            table = rng.beta(20 * mean, 20 * (1 - mean), (seeds, 4))
        else:  # a run is either aligned or not
            failed = rng.random((seeds, 4)) < (mean - 0.15) / 0.7
            table = np.where(failed, rng.beta(17, 3, (seeds, 4)), rng.beta(3, 17, (seeds, 4)))
        found = fit(table, alphas, resamples=400).interval
        low = -math.inf if math.isnan(found.low) else np.log10(found.low)
        high = math.inf if math.isnan(found.high) else np.log10(found.high)
        inside += low <= truth <= high
    return inside / draws


def test_interval_covers_with_eight_seeds() -> None:
    # .93 to .97, give or take two standard errors over 120 draws (the nightly test is strict).
    assert coverage("graded", 8, 120) >= 0.93 - 0.04


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("kind", "seeds", "low"), [("graded", 8, 0.93), ("graded", 20, 0.93), ("either", 20, 0.93)]
)
def test_interval_covers(kind: str, seeds: int, low: float) -> None:
    # The standard error over 1,500 draws is .006.
    assert low <= coverage(kind, seeds, 1500) <= 0.97


@pytest.mark.nightly
def test_interval_falls_short_as_documented() -> None:
    # 5 seeds of any kind (flagged), and 8 where a run is either aligned or not.
    assert 0.89 <= coverage("graded", 5, 1500) < 0.94
    assert 0.90 <= coverage("either", 8, 1500) < 0.94


def test_few_seeds_are_flagged() -> None:
    table = np.random.default_rng(3).random((8, 4)) * 0.1 + np.array([0.9, 0.6, 0.3, 0.1])
    assert fit(table).interval.flags == ()
    assert "7 seeds" in fit(table[:7]).interval.flags[0]


SEEDS = np.repeat(np.arange(4), 4)
RHO = np.linspace(0, 1, 16)
TILED = np.tile(ALPHAS, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: alpha50(TILED, np.full(16, math.nan), SEEDS), "rho: got .*nan"),
        (lambda: alpha50(TILED * 10, RHO, SEEDS), "alpha: 3.0 is not a number in"),
        (lambda: alpha50(np.full(16, 0.1), RHO, np.arange(16)), "alpha: got 1 value"),
        (lambda: alpha50(ALPHAS, RHO[:4], np.zeros(4, int)), "seeds: got 1 seed"),
        (lambda: alpha50(TILED, RHO, np.zeros(16, int) + SEEDS // 2), "two runs of one seed"),
        (lambda: alpha50(TILED[1:], RHO[1:], SEEDS[1:]), "a seed that alone"),
        (lambda: alpha50(TILED, RHO, SEEDS, resamples=10), "resamples: got 10"),
        (
            lambda: gain(fit(np.full((8, 4), 0.8)), fit(np.full((8, 4), 0.8), resamples=200)),
            "mitigated: got 200",
        ),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

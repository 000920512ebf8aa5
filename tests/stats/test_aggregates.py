"""Aggregates equal independent formulas."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gmbench.stats.aggregates import cvar, interquartile_mean, optimality_gap, worst


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


def test_optimality_gap_counts_only_what_is_missing() -> None:
    # As rliable has it: gamma - mean(min(scores, gamma)).
    values = np.array([[0.2, 0.9, 1.4], [0.7, 2.0, 0.0]])
    assert optimality_gap(values) == pytest.approx(1 - np.minimum(values, 1).mean(), abs=1e-12)
    assert optimality_gap(values, 0.5) == pytest.approx((0.3 + 0.5) / 6, abs=1e-12)
    np.testing.assert_allclose(optimality_gap(values, axis=1), [0.9 / 3, 1.3 / 3], rtol=1e-12)


@pytest.mark.parametrize("statistic", [interquartile_mean, cvar, optimality_gap])
def test_axes_are_pooled_row_by_row(statistic: Any) -> None:
    values = np.random.default_rng(0).normal(size=(5, 6, 7))
    rows = [statistic(values[:, i, :]) for i in range(6)]
    np.testing.assert_allclose(statistic(values, axis=(0, 2)), rows, rtol=1e-12)


GOOD = np.linspace(0, 1, 8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interquartile_mean(np.array([])), "values: got empty"),
        (lambda: interquartile_mean(np.array([1.0, math.nan])), "values: got .*nan"),
        (lambda: cvar(np.array([math.inf])), "values: got .*inf"),
        (lambda: cvar(GOOD, 0.0), "share: got 0.0"),
        (lambda: worst(np.array([math.nan])), "values: got .*nan"),
        (lambda: optimality_gap(np.array([math.nan])), "values: got .*nan"),
        (lambda: optimality_gap(GOOD, math.nan), "target: got nan"),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)

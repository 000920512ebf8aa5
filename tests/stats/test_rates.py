"""Rates in words, and how many runs a rare event takes."""

import math
from typing import Any

import pytest

from gmbench.stats.rates import Rate, reach, runs_needed, said


@pytest.mark.parametrize(
    ("rate", "probability", "runs"),
    [(0.003, 0.95, 998), (0.13, 0.95, 22), (0.5, 0.75, 2), (0.5, 0.76, 3), (1.0, 0.95, 1)],
)
def test_runs_needed(rate: float, probability: float, runs: int) -> None:
    assert runs_needed(rate, probability) == runs
    assert 1 - (1 - rate) ** runs >= probability
    assert 1 - (1 - rate) ** (runs - 1) < probability


def test_a_rate_is_said_with_its_exact_interval() -> None:
    # binom.test(3, 8) in R: .0852 to .7551.
    assert said(Rate(3, 8)) == "3 of 8 runs, 95% interval [9%, 76%]"
    assert said(Rate(0, 0), "competent runs") == "0 of 0 competent runs: nothing can be said"


def test_reach_says_how_many_runs_a_rare_event_takes() -> None:
    assert "998 runs" in reach(8)
    assert "0.3%" in reach(8)
    assert f"8 runs show it with probability {1 - 0.997**8:.0%}" in reach(8)
    assert reach(998).endswith("probability 95%")
    assert reach(1).endswith("below 1%")
    assert reach(100_000).endswith("above 99%")
    assert "22 runs" in reach(8, 0.13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: runs_needed(0.0), "rate: got 0.0"),
        (lambda: runs_needed(math.nan), "rate: got nan"),
        (lambda: runs_needed(0.1, 1.0), "probability: got 1.0"),
        (lambda: reach(-1), "n: got -1"),
        (lambda: reach(8, 1.0), "rate: got 1.0"),
        (lambda: Rate(3, 2).interval, "k: got 3"),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

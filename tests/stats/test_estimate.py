"""Every mean over runs is one estimate: what is left out, bounded or not said is decided here."""

import math

import msgspec
import numpy as np
import pytest

from gmbench.stats.estimate import Estimate, estimate, two_digits
from gmbench.stats.intervals import mean_interval

NAN = math.nan


def test_it_is_the_mean_with_the_interval_of_the_statistics():
    values = [0.5, 0.6, 0.55, 0.7, 0.65]
    found, expected = estimate(values), mean_interval(np.array(values))
    assert found == Estimate(expected.estimate, (expected.low, expected.high), 5)
    assert found.brief == found.words == f"0.60 {found.ends}"
    assert found.value == found.mean


def test_few_seeds_say_so():
    found = estimate([0.5, 0.6, 0.55])
    assert found.why == "3 seeds, fewer than the 5 at which coverage was tested"
    assert found.interval is not None


@pytest.mark.parametrize("unknown", [None, NAN, math.inf])
def test_what_is_not_known_is_left_out_and_counted(unknown):
    found = estimate([0.2, unknown, 0.4])
    kept = estimate([0.2, 0.4])
    assert (found.mean, found.interval, found.n, found.missing) == (
        kept.mean,
        kept.interval,
        2,
        1,
    )
    assert found.words == f"{kept.words} (1 left out)"


@pytest.mark.parametrize("values", [[], [NAN], [None, NAN]])
def test_nothing_known_is_no_number(values):
    found = estimate(values)
    assert found == Estimate(None, None, 0, len(values), "not measured")
    assert not found.known
    assert math.isnan(found.value)
    assert (found.text, found.brief, found.words, found.ends) == (
        "-",
        "not measured",
        "not measured",
        "",
    )


def test_one_seed_has_a_mean_and_no_interval():
    found = estimate([0.5])
    assert found == Estimate(0.5, None, 1, 0, "1 seed")
    assert (found.brief, found.ends) == ("0.50", "1 seed")


def test_seeds_that_agree_are_no_evidence_of_certainty():
    assert estimate([0.0, 0.0, 0.0]) == Estimate(0.0, None, 3, 0, "no spread")


def test_seeds_vary_inside_their_task():
    values = [0.1, 0.2, 0.7, 0.8]
    found = estimate(values, strata=["a", "a", "b", "b"])
    expected = mean_interval(np.array(values), strata=np.array([0, 0, 1, 1]))
    assert found.interval == (expected.low, expected.high)
    alone = estimate(values)
    assert np.ptp(found.interval) < np.ptp(alone.interval)
    assert estimate(values, strata=["a", "a", "b", "c"]).why == "too few seeds"
    gone = estimate([0.1, None, 0.7, 0.8], strata=["a", "a", "b", "b"])
    assert (gone.mean, gone.interval, gone.why) == (
        pytest.approx(1.6 / 3),
        None,
        "too few seeds",
    )


def test_indices_of_sampled_episodes_may_be_negative():
    """By chance, where they are cross-fitted: then the bounds are those of a difference."""
    found = estimate([-0.002, 0.001])
    expected = mean_interval(np.array([-0.002, 0.001]), bounds=(-1.0, 1.0))
    assert found.mean == pytest.approx(-0.0005)
    assert found.interval == (expected.low, expected.high)
    assert -1 < found.interval[0] < found.interval[1] < 1
    assert found.text == "0.00"


def test_values_beyond_a_difference_have_plain_intervals():
    values = [-1.2, 0.3, 0.9]
    found, expected = estimate(values), mean_interval(np.array(values), bounds=None)
    assert found.interval == (expected.low, expected.high)
    assert estimate([9.0, 12.0], bounds=None).mean == 10.5


def test_rounding_is_not_beyond_the_bounds():
    found = estimate([0.9, 0.95, 1.0 + 1e-7])
    assert found.interval == pytest.approx(estimate([0.9, 0.95, 1.0]).interval)
    assert found.interval[1] < 1
    low = estimate([-1e-8, 0.1, 0.2]).interval[0]
    assert low > 0


@pytest.mark.parametrize(
    ("interval", "ends"),
    [
        ((0.47, 0.58), "[.47, .58]"),
        ((-0.05, 0.0), "[-.05, .00]"),
        ((-10.71, -0.6), "[-10.71, -.60]"),
        ((10.04, 20.5), "[10.04, 20.50]"),
        ((-0.001, 1.0), "[.00, 1.00]"),
    ],
)
def test_only_a_leading_zero_is_dropped(interval, ends):
    assert Estimate(0.5, interval, 8).ends == ends


def test_numbers_have_two_digits_and_no_negative_zero():
    assert [two_digits(value) for value in (-0.0004, 0.126, 1.0, NAN, None)] == [
        "0.00",
        "0.13",
        "1.00",
        "-",
        "-",
    ]


def test_an_estimate_is_the_same_after_a_file():
    for found in (estimate([0.2, 0.4, NAN]), estimate([])):
        assert msgspec.json.decode(msgspec.json.encode(found), type=Estimate) == found

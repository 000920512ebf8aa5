"""Ours agrees with a published number by one rule, on intervals."""

import math

import numpy as np
import pytest

from gmbench.stats import agreement
from gmbench.stats.estimate import NO_SPREAD, Estimate, estimate


def of(low, high, n=8):
    return Estimate((low + high) / 2, (low, high), n)


@pytest.mark.parametrize(
    ("ours", "published", "kind"),
    [
        (of(0.4, 0.6), (0.5, None), "agrees"),
        (of(0.4, 0.6), (0.6, None), "agrees"),
        (of(0.4, 0.6), (0.61, None), "differs"),
        (of(0.4, 0.6), (0.7, (0.6, 0.8)), "agrees"),
        (of(0.4, 0.6), (0.2, (0.1, 0.3)), "differs"),
        (Estimate(0.5, None, 1, why="1 seed"), (0.5, None), "not comparable"),
        (Estimate(0.5, None, 8, why=NO_SPREAD), (0.5, None), "agrees"),
        (Estimate(0.5, None, 8, why=NO_SPREAD), (0.6, None), "differs"),
        (Estimate(None, None, 0, why="not measured"), (0.5, None), "not comparable"),
    ],
)
def test_a_published_value(ours, published, kind):
    assert agreement.with_value(ours, *published).kind == kind


def test_a_difference_has_a_sign_and_a_size():
    said = agreement.with_value(of(0.4, 0.6), 0.89, (0.82, 0.94))
    assert said.words == "differs by -0.39"
    assert agreement.within(of(-0.4, -0.2), low=0.0).words == "differs by -0.30 from the line at 0"


def test_what_chance_would_give_too_is_no_agreement():
    wide = of(0.45, 0.95)
    assert agreement.with_value(wide, 0.89).kind == "agrees"
    said = agreement.with_value(wide, 0.89, chance=0.5)
    assert said.words == (
        "not comparable because our interval also holds 0.5, which chance would give"
    )
    assert agreement.with_value(of(0.6, 0.95), 0.89, chance=0.5).kind == "agrees"
    assert agreement.with_value(of(0.4, 0.6), 0.89, chance=0.5).kind == "differs"


@pytest.mark.parametrize(
    ("ours", "low", "high", "kind"),
    [
        (of(0.1, 0.3), 0.0, math.inf, "agrees"),
        (of(-0.1, 0.3), 0.0, math.inf, "not comparable"),
        (of(0.0, 0.3), 0.0, math.inf, "not comparable"),
        (of(-0.3, -0.1), 0.0, math.inf, "differs"),
        (of(-0.3, 0.0), 0.0, math.inf, "differs"),
        (of(0.1, 0.3), -math.inf, 0.5, "agrees"),
        (of(0.4, 0.6), -math.inf, 0.5, "not comparable"),
        (of(0.6, 0.7), -math.inf, 0.5, "differs"),
        (of(-0.05, 0.05), -0.1, 0.1, "agrees"),
        (of(-0.05, 0.15), -0.1, 0.1, "not comparable"),
        (of(0.2, 0.3), -0.1, 0.1, "differs"),
    ],
)
def test_a_claim_needs_the_whole_interval(ours, low, high, kind):
    assert agreement.within(ours, low, high).kind == kind


def test_a_difference_of_means_covers_as_it_says():
    """Of two means of 8 normal scores each, as those of two conditions."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        ours, than = rng.normal(0.6, 0.1, 8), rng.normal(0.4, 0.05, 8)
        found = agreement.difference(estimate(ours.tolist(), None), estimate(than.tolist(), None))
        assert found.value == pytest.approx(ours.mean() - than.mean())
        inside += found.interval[0] <= 0.2 <= found.interval[1]
    assert 0.93 <= inside / 400 <= 0.995


def test_a_difference_leans_as_its_parts_do():
    ours, than = Estimate(0.9, (0.6, 0.95), 5), Estimate(0.0, (0.0, 0.0), 1)
    assert agreement.difference(ours, than).interval == pytest.approx((0.6, 0.95))
    assert agreement.difference(than, ours).interval == pytest.approx((-0.95, -0.6))
    assert agreement.difference(ours, Estimate(0.1, None, 1, why="1 seed")).interval is None

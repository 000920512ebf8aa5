"""Calibration figures are those of their definitions."""

import numpy as np
import pytest

from gmbench.stats import calibration


def test_distances_are_those_of_the_definition():
    said, true = np.array([0.0, 1.0, 0.8, 0.5]), np.array([False, True, False, True])
    np.testing.assert_allclose(calibration.brier(said, true), [0, 0, 0.64, 0.25])
    expected = [0, 0, -np.log(0.2), np.log(2)]
    np.testing.assert_allclose(calibration.log_loss(np.where(true, said, 1 - said)), expected)
    wrong = calibration.log_loss(np.array([0.0, calibration.LEAST / 2, calibration.LEAST]))
    np.testing.assert_allclose(wrong, calibration.MOST)


def test_bins_are_equally_full_and_hold_all():
    said = np.linspace(0, 1, 20)
    bins = calibration.reliability(said, said > 0.5)
    assert [each.true.n for each in bins] == [4] * 5
    assert [each.true.k for each in bins] == [0, 0, 2, 4, 4]
    np.testing.assert_allclose([each.said for each in bins], said.reshape(5, 4).mean(axis=1))


def test_equal_probabilities_are_one_bin():
    bins = calibration.reliability(np.full(8, 0.5), np.arange(8) < 2)
    assert [(each.said, each.true.k, each.true.n) for each in bins] == [(0.5, 2, 8)]
    two = calibration.reliability(np.repeat([0.0, 1.0], 4), np.repeat([False, True], 4))
    assert [(each.said, each.true.k, each.true.n) for each in two] == [(0, 0, 4), (1, 4, 4)]


def test_the_error_is_what_was_said_too_much():
    """Of 1,000 that come true .15 less often than was said; next to 0 of calibrated ones."""
    random = np.random.default_rng(0)
    chance = random.uniform(0.2, 0.8, 1000)
    true = random.uniform(size=1000) < chance
    good = calibration.calibration_error(chance, true)
    bad = calibration.calibration_error(chance + 0.15, true)
    assert good.estimate < 0.05
    assert bad.estimate == pytest.approx(0.15, abs=0.03)
    assert bad.low < 0.15 < bad.high
    assert calibration.calibration_error(np.ones(1), np.array([True])) is None

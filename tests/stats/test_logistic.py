"""Logistic regression and F1, against their definitions."""

import math

import numpy as np
import pytest
from scipy.special import softmax

from gmbench.stats import logistic


def test_it_is_the_minimum_of_its_loss():
    """No weight can be moved to lower it: the slope by finite differences of what is said is 0."""
    random = np.random.default_rng(0)
    numbers, labels = random.normal(size=(200, 3)), random.integers(0, 3, 200)
    rule = logistic.fit(numbers, labels, 3, penalty=1e-6)
    said = rule(numbers)
    right = np.eye(3)[labels]
    scaled = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    np.testing.assert_allclose(scaled.T @ (said - right), 0, atol=0.02)
    np.testing.assert_allclose(said.mean(axis=0), right.mean(axis=0), atol=1e-3)


def test_a_rule_is_found():
    random = np.random.default_rng(1)
    numbers, true = random.normal(size=(4_000, 2)), np.array([[1.0, -2.0], [0.5, 0.0]])
    chances = softmax(numbers @ true, axis=1)
    labels = (random.uniform(size=4_000) > chances[:, 0]).astype(int)
    found = logistic.fit(numbers, labels, 2, penalty=0.01)(numbers)
    assert np.mean(np.abs(found - chances)) < 0.02


def test_a_penalty_pulls_towards_how_frequent_classes_are():
    numbers, labels = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 0, 1])
    said = logistic.fit(numbers, labels, 2, penalty=1e9)(numbers)
    np.testing.assert_allclose(said, np.tile([4 / 6, 2 / 6], (4, 1)), atol=1e-6)


def test_what_lies_far_off_counts_as_near():
    numbers, labels = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
    rule = logistic.fit(numbers, labels, 2, penalty=1.0, far=2.0)
    np.testing.assert_array_equal(rule(np.array([[1e3]])), rule(np.array([[1e6]])))
    assert np.isfinite(rule(np.array([[np.nan]]))).all()


def test_f1_leaves_out_class_0():
    labels = np.array([0, 0, 0, 1, 1, 2])
    assert logistic.macro_f1(labels, labels) == 1
    assert logistic.macro_f1(np.zeros(6, int), labels) == 0
    said = np.array([1, 0, 0, 1, 0, 2])  # class 1: one hit, one false alarm, one miss
    assert logistic.macro_f1(said, labels) == pytest.approx((0.5 + 1) / 2)
    assert math.isnan(logistic.macro_f1(said, np.zeros(6, int)))

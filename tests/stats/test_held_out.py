"""What is predicted of an item does not know the item."""

import numpy as np
import pytest

from gmbench.stats import held_out


def test_a_linear_rule_is_found():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 2))
    outcomes = 0.3 + features @ [0.5, -0.2]
    said = held_out.predictions(features, outcomes)
    assert held_out.explained(said, outcomes) > 0.99


def test_without_features_the_mean_of_the_others_is_said():
    outcomes = np.array([0.0, 1.0, 2.0, 5.0])
    said = held_out.predictions(np.zeros((4, 0)), outcomes)
    np.testing.assert_allclose(said, [8 / 3, 7 / 3, 2, 1])
    assert held_out.explained(said, outcomes) < 0


def test_an_item_does_not_help_to_predict_itself():
    """Noise that features could fit is not predicted."""
    rng = np.random.default_rng(1)
    features, outcomes = rng.normal(size=(12, 8)), rng.normal(size=12)
    assert held_out.explained(held_out.predictions(features, outcomes), outcomes) < 0.2


def test_equal_outcomes_have_no_variance_to_explain():
    outcomes = np.full(5, 0.5)
    said = held_out.predictions(np.arange(5.0)[:, None], outcomes)
    assert said == pytest.approx(outcomes)
    assert np.isnan(held_out.explained(said, outcomes))

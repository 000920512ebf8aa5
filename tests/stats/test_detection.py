"""Detectors are fitted to some groups and scored on others, as the definitions say."""

import math

import numpy as np
import pytest

from gmbench.stats import calibration, detection


def agents(count, seed=0):
    """Agents of three classes in four groups, and two numbers: one tells, one does not."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    numbers = np.stack([labels == 1, random.normal(size=count)], axis=1).astype(float)
    return numbers, labels, np.arange(count) % 4


def scored(numbers, labels, groups):
    said = detection.held_out(numbers, labels, groups, 3)
    return said, detection.score(said, labels, groups, alarm=1)


def test_a_number_that_tells_is_learned_and_generalises():
    numbers, labels, groups = agents(80)
    said, found = scored(numbers, labels, groups)
    np.testing.assert_allclose(said.sum(axis=1), 1)
    assert (found.auroc, found.false_alarms, found.agents) == (1, 0, 80)
    assert found.interval[0] > 0.9
    assert found.interval[1] == 1
    assert found.log_loss < 0.7  # the other two classes stay a guess
    assert found.named > 0.6


def test_numbers_that_tell_nothing_are_at_chance():
    numbers, labels, groups = agents(400)
    _, found = scored(numbers[:, 1:], labels, groups)
    assert found.interval[0] < 0.5 < found.interval[1]
    assert found.log_loss == pytest.approx(math.log(3), abs=0.05)


def test_one_sure_and_wrong_prediction_costs_no_more_than_the_bound():
    """The same as in audits: :func:`gmbench.stats.calibration.log_loss`."""
    said, labels = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1])
    found = detection.score(said, labels, np.zeros(2, int), alarm=1)
    assert found.log_loss == pytest.approx(calibration.MOST / 2)


def test_no_numbers_are_the_prior():
    _, labels, groups = agents(80)
    said, found = scored(np.zeros((80, 0)), labels, groups)
    rest = labels[groups != 0]
    shares = (np.bincount(rest, minlength=3) + 1) / (len(rest) + 3)
    np.testing.assert_allclose(said[groups == 0], np.tile(shares, (20, 1)), atol=0.01)
    assert found.auroc == 0.5


def test_a_group_is_never_fitted_to_itself():
    """Labels of the held-out group may be anything: what is said of it stays the same."""
    numbers, labels, groups = agents(80)
    said = detection.held_out(numbers, labels, groups, 3)
    turned = np.where(groups == 2, (labels + 1) % 3, labels)
    again = detection.held_out(numbers, turned, groups, 3)
    np.testing.assert_array_equal(again[groups == 2], said[groups == 2])
    assert not np.allclose(again[groups == 1], said[groups == 1])


def test_what_is_missing_counts_as_the_mean():
    numbers, labels, groups = agents(80)
    numbers[::3, 0] = np.nan
    said, found = scored(numbers, labels, groups)
    assert np.isfinite(said).all()
    assert 0.7 < found.auroc < 1
    said, found = scored(np.full((80, 1), np.nan), labels, groups)
    assert found.auroc == 0.5


def test_one_group_is_not_predicted():
    numbers, labels, _ = agents(20)
    said, found = scored(numbers, labels, np.zeros(20, int))
    assert np.isnan(said).all()
    assert found.agents == 0
    assert math.isnan(found.auroc)


@pytest.mark.parametrize("seed", range(5))
def test_the_area_counts_pairs_within_groups(seed):
    random = np.random.default_rng(seed)
    said, bad = random.integers(0, 5, 30) / 5, random.integers(0, 2, 30) == 1
    groups = random.integers(0, 3, 30)
    won, pairs = 0.0, 0
    for one in range(30):
        for other in range(30):
            if groups[one] == groups[other] and bad[one] and not bad[other]:
                pairs += 1
                won += 1.0 if said[one] > said[other] else 0.5 * (said[one] == said[other])
    area, (low, high) = detection.auroc(said, bad, groups)
    assert area == pytest.approx(won / pairs)
    assert 0 <= low < area < high <= 1


@pytest.mark.parametrize(("true", "bad", "good"), [(0.8, 20, 30), (0.95, 15, 15), (0.5, 10, 40)])
def test_intervals_cover_the_area_as_often_as_they_say(true, bad, good):
    """Normal scores, whose area is known: .93 at least over 1,000 draws (the method is careful)."""
    from scipy.special import ndtri

    random, shift, held = np.random.default_rng(1), math.sqrt(2) * ndtri(true), 0
    groups, which = np.zeros(bad + good, int), np.arange(bad + good) < bad
    for _ in range(1_000):
        said = random.normal(size=bad + good) + np.where(which, shift, 0)
        _, (low, high) = detection.auroc(said, which, groups)
        held += low <= true <= high
    assert held / 1_000 > 0.93


def test_perfect_areas_have_a_width():
    said, bad = np.arange(20) / 20, np.arange(20) >= 10
    groups = np.zeros(20, int)
    area, (low, high) = detection.auroc(said, bad, groups)
    assert (area, high) == (1, 1)
    assert 0.7 < low < 0.9
    area, (low, high) = detection.auroc(-said, bad, groups)
    assert (area, low) == (0, 0)
    assert 0.1 < high < 0.3


def test_false_alarms_are_counted_where_nearly_all_are_caught():
    bad = np.array([True] * 20 + [False] * 4)
    said = np.concatenate([np.linspace(0.1, 1, 20), [0.0, 0.12, 0.2, 0.9]])
    assert detection.false_alarms(said, bad) == 0.5  # one of twenty may be missed
    assert math.isnan(detection.false_alarms(said, np.ones(24, bool)))


def test_alarms_are_the_first_moments_that_look_like_misaligned_agents():
    """Four groups; the number rises while agents train, to 1 where they are misaligned."""
    labels = np.array([0, 1] * 8)
    groups = np.repeat(np.arange(4), 4)
    numbers = labels[:, None].astype(float)
    rising = np.linspace(0, 1, 5)[:, None]
    asked = [rising * label for label in labels]
    found = detection.alarms(numbers, labels, groups, asked, classes=3, alarm=1)
    assert found == [None, 4] * 8
    early = [np.where(rising > 0.4, 1.0, 0.0) * label for label in labels]
    assert detection.alarms(numbers, labels, groups, early, 3, 1) == [None, 2] * 8
    alone = detection.alarms(numbers, labels, np.zeros(16, int), asked, 3, 1)
    assert alone == [None] * 16

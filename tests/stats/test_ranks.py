"""Rank correlations, against SciPy's and what must hold."""

import numpy as np
import pytest
import scipy.stats

from gmbench.core.checks import Refused
from gmbench.stats.ranks import rank_correlation


def test_it_is_spearmans_and_its_interval_tells_order_from_chance():
    rng = np.random.default_rng(0)
    one, noise = rng.normal(size=(2, 24))
    ordered = rank_correlation(one, one + 0.5 * noise)
    assert ordered.estimate == pytest.approx(scipy.stats.spearmanr(one, one + 0.5 * noise)[0])
    assert 0 < ordered.low < ordered.estimate < ordered.high <= 1
    chance = rank_correlation(one, noise)
    assert chance.low < 0 < chance.high
    reversed_ = rank_correlation(one, -one)
    assert (reversed_.estimate, reversed_.low, reversed_.high) == pytest.approx((-1, -1, -1))


@pytest.mark.parametrize(
    ("one", "words"),
    [
        ([1, 2, 3], "at least 4"),
        ([1, 1, 1, 1], "numbers that differ"),
        ([1, 2, 3, np.nan], "finite"),
    ],
)
def test_what_says_nothing_is_refused(one, words):
    with pytest.raises(Refused, match=words):
        rank_correlation(np.array(one, float), np.arange(len(one), dtype=float))

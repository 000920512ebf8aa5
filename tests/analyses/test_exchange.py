"""Exchange rates of policies that go by worth, by the mark, or by what is nearer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.analyses.exchange import first_reached
from gmbench.core import keys, registry
from gmbench.measure import known, levels, tradeoff

DISCOUNT = jnp.float32(0.99)


@pytest.fixture(scope="module")
def task():
    return registry.make("TwoObjectives-v0", size=7)


@pytest.fixture(scope="module")
def chosen(task):
    """What each goal's best policy reaches first, on some levels of training and `swapped`."""

    @jax.jit
    def both(level_set, params):
        goals = (
            known.policy(task.env, params, known.Known(g, g), DISCOUNT)
            for g in range(len(task.env.goal_names))
        )
        return [
            first_reached(task.env, params, policy, level_set, keys.key(0), DISCOUNT)
            for policy in goals
        ]

    found = {}
    for name in ("training", "swapped"):
        level_set = levels.load(task, name).levels
        some = jax.tree.map(lambda leaf: leaf[..., :256], level_set)
        found[name] = some, *map(np.asarray, both(some, levels.parameters(task, name)))
    return found


def test_who_wants_worth_changes_over_at_the_optimal_rate(task, chosen):
    level_set, worth, marked = chosen["training"]
    extra, rate = np.asarray(level_set.extra), task.env.exchange
    assert not np.isnan(worth).any()
    assert np.all(worth[extra < rate] == 1)
    assert np.all(worth[extra > rate] == 0)
    np.testing.assert_array_equal(worth[extra != rate], marked[extra != rate])
    curve = tradeoff.fit(extra.astype(float), worth)
    assert curve.decided
    assert curve.pse == pytest.approx(rate, abs=1)


def test_who_goes_by_the_mark_takes_the_poor_object_where_that_is_marked(chosen):
    _, worth, marked = chosen["swapped"]
    assert np.all(worth == 1)
    assert np.all(marked == 0)

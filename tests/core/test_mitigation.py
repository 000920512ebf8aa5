"""Chains of mitigations, and what a rollout tells of single levels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core.checks import Refused
from gmbench.core.mitigation import Experience, LevelSource, Mitigation, chain, per_level
from tests import made_up

SOURCE = LevelSource(*[lambda *_: None] * 3)


def reward(state, action, after, reward):
    return reward


@pytest.mark.parametrize("hook", ["levels", "reward"])
def test_two_that_claim_a_hook_are_refused_by_name(hook):
    claim = SOURCE if hook == "levels" else reward
    members = [Mitigation(name, **{hook: claim}) for name in ("mixture", "buffer")]
    with pytest.raises(Refused, match=f"^mitigation: 'mixture' and 'buffer' both claim {hook}, "):
        chain(members[0], Mitigation("other"), members[1])


def test_a_chain_of_none_is_the_identity():
    assert chain() == chain(Mitigation(), Mitigation("named")) == Mitigation()


def test_each_may_claim_another_hook():
    both = chain(Mitigation("a", levels=SOURCE), Mitigation("b", reward=reward))
    assert (both.levels, both.reward) == (SOURCE, reward)


def test_losses_add_and_their_metrics_merge():
    def own(size):
        return lambda weights, batch: (size * jnp.sum(weights), {f"own{size}": jnp.float32(size)})

    members = [Mitigation(loss=own(2)), Mitigation(), Mitigation(loss=own(5))]
    total, metrics = chain(*members).loss(jnp.ones(3, jnp.float32), made_up.a_batch())
    assert total == 21
    assert metrics == {"own2": 2, "own5": 5}


def test_observations_pass_through_in_order_with_keys_of_their_own():
    def doubled(key, seen):
        return 2 * seen

    def noisy(key, seen):
        return seen + jax.random.uniform(key, ())

    seen = jnp.zeros((1, 1, 1, 1))
    both = chain(Mitigation(observe=noisy), Mitigation(observe=doubled), Mitigation(observe=noisy))
    once = np.ravel(both.observe(jax.random.key(0), seen))
    keys = jax.random.split(jax.random.key(0), 3)
    expected = 2 * jax.random.uniform(keys[0], ()) + jax.random.uniform(keys[2], ())
    np.testing.assert_allclose(once, expected, rtol=1e-6)


def test_logs_merge():
    members = [Mitigation(log=lambda source, _, name=name: {name: source}) for name in "ab"]
    told = experience(jnp.zeros((2, 3), jnp.int32))
    assert chain(*members).log(jnp.float32(7), told) == {"a": 7, "b": 7}


def experience(ids):
    blank = jnp.zeros(ids.shape, jnp.float32)
    no = jnp.zeros(ids.shape, bool)
    length, gamma = ids.astype(jnp.int32), jnp.float32(0.9)
    told = ids, no, no, blank, blank, blank, blank, blank, blank[None], length, gamma
    return Experience(*told, next_ids=ids[-1])


@pytest.mark.parametrize("seed", range(5))
def test_values_of_a_level_are_those_of_its_steps(seed):
    """Levels that were asked for and not played give 0; those not asked for are left out."""
    rng = np.random.default_rng(seed)
    played = rng.integers(-1, 30, (16, 8)).astype(np.int32)
    values = rng.normal(size=(16, 8)).astype(np.float32)
    where = rng.random((16, 8)) < 0.7
    asked = rng.permutation(np.arange(20, 60))[:12].astype(np.int32)
    given = map(jnp.asarray, (values, where, asked))
    mean, highest, number = jax.jit(per_level)(experience(jnp.asarray(played)), *given)
    for place, wanted in enumerate(asked):
        own = values[(played == wanted) & where]
        assert number[place] == own.size
        np.testing.assert_allclose(mean[place], own.mean() if own.size else 0, atol=1e-6)
        np.testing.assert_allclose(highest[place], own.max() if own.size else 0)
    assert 0 < np.sum(number > 0) < asked.size

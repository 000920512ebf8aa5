"""Our buffer against jaxued's, where that is right.

jaxued 0.0.1 is by the authors of the published curricula in JAX (Coward et al. 2024, arXiv
2403.13091). One function it calls was removed from JAX since, and is put back for the test. Where
the two are meant to differ: with nothing stale it replays evenly, we by rank; and it replaces the
level of the lowest *probability*, whose staleness counts, where we keep the highest scores.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import pool, registry
from gmbench.mitigations import buffer
from gmbench.mitigations.entries import chosen, joined, unseen

SIZE = 12
ENV = registry.make("CheeseCorner-v0", size=5).env


@pytest.fixture
def sampler(monkeypatch):
    monkeypatch.setattr(jax, "tree_map", jax.tree.map, raising=False)
    from jaxued.level_sampler import LevelSampler

    def made(staleness):
        settings = {"temperature": 0.3}
        return LevelSampler(SIZE, staleness_coeff=staleness, prioritization_params=settings)

    with jax.numpy_dtype_promotion("standard"):
        yield made


def entries(count):
    levels = jax.jit(lambda key: pool.draw(ENV, ENV.default_params, key, (count,)))
    return unseen(levels(jax.random.key(0)), jnp.arange(count, dtype=jnp.int32))


@pytest.mark.parametrize("full", [SIZE, 5])
def test_levels_are_replayed_as_often(sampler, full):
    rng = np.random.default_rng(full)
    score = jnp.asarray(rng.permutation(SIZE), jnp.float32)
    played = jnp.asarray(rng.integers(0, 40, SIZE), jnp.int32)
    theirs = {"scores": score, "timestamps": played, "size": full, "episode_count": 40}
    ours = entries(SIZE)._replace(score=score, played=played)
    ours = ours._replace(ids=jnp.where(jnp.arange(SIZE) < full, ours.ids, -2 - ours.ids))
    config = buffer.Config(temperature=0.3, staleness=0.4, size=SIZE, fresh=SIZE)
    expected = jax.jit(sampler(0.4).level_weights)(theirs)
    found = jax.jit(lambda kept: buffer.replay_weights(kept, jnp.int32(40), config))(ours)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_same_levels_are_kept(sampler):
    """Of 60 levels that come one after the other, or 12 at a time, where staleness has no part."""
    score = jnp.asarray(np.random.default_rng(1).permutation(60), jnp.float32)
    theirs = sampler(0.0)

    @jax.jit
    def inserted():
        begun = theirs.initialize(jnp.int32(0))
        numbers = jnp.arange(60, dtype=jnp.int32)
        return theirs.insert_batch(begun, numbers, score)[0]["levels"]

    every = entries(60)._replace(score=score)
    kept = jax.tree.map(lambda leaf: leaf[..., :SIZE], every)
    for first in range(SIZE, 60, SIZE):
        fresh = jax.tree.map(lambda leaf, at=first: leaf[..., at : at + SIZE], every)
        kept, _ = chosen(joined(kept, fresh), SIZE)
    assert set(np.asarray(kept.ids).tolist()) == set(np.asarray(inserted()).tolist())

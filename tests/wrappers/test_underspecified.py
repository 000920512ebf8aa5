"""jaxued's own wrappers, level buffer and scores, run on our environments as they are.

jaxued 0.0.1 calls ``jax.tree_map``, which was removed from JAX since, and is put back for the test.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import registry
from gmbench.wrappers import underspecified

ENV = underspecified(registry.make("CheeseCorner-v0", size=5).env)
PARAMS = ENV.default_params.override(horizon=7, alpha=1.0)
COUNT, STEPS = 6, 20


@pytest.fixture(scope="module")
def ued():
    """jaxued, as its users have it: dtypes are promoted, and keys used again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "tree_map", jax.tree.map, raising=False)
        import jaxued.level_sampler
        import jaxued.utils
        import jaxued.wrappers

        with jax.numpy_dtype_promotion("standard"), jax.debug_key_reuse(False):
            yield jaxued


def levels(key, count=COUNT):
    return jax.vmap(ENV.sample_level, (0, None))(jax.random.split(key, count), PARAMS)


def rollout(env, begun, key):
    """Play at random from some levels, as jaxued's examples do: vmapped over levels, in a scan."""

    def step(carry, key):
        states = carry
        key_act, key_step = jax.random.split(key)
        actions = jax.random.randint(key_act, (COUNT,), 0, env.action_space(PARAMS).n)
        each = jax.random.split(key_step, COUNT)
        seen, states, *out = jax.vmap(env.step, (0, 0, 0, None))(each, states, actions, PARAMS)
        return states, (seen, states, *out)

    key_reset, key_play = jax.random.split(key)
    each = jax.random.split(key_reset, COUNT)
    seen, states = jax.vmap(env.reset_to_level, (0, 0, None))(each, begun, PARAMS)
    return seen, jax.lax.scan(step, states, jax.random.split(key_play, STEPS))[1]


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def replayed(ued):
    env = ued.wrappers.AutoReplayWrapper(ENV)
    begun = levels(jax.random.key(0))
    return begun, *jax.jit(lambda key: rollout(env, begun, key))(jax.random.key(1))


def test_every_episode_begins_on_the_level_it_is_given(replayed):
    begun, first, (seen, states, _, done, info) = replayed
    same(done, info["terminated"] | info["truncated"])
    assert info["truncated"].any()
    same(done, states.env_state.time == 0)
    for step, place in np.argwhere(done):
        level = jax.tree.map(lambda leaf, place=place: leaf[place], begun)
        same(seen[step, place], first[place])
        same(jax.tree.map(lambda x, s=step, p=place: x[s, p], states.env_state.level), level)


def test_episodes_are_those_of_the_environment(ued, replayed):
    """Its own dynamics from the same state under the same action, wherever it was not reset."""
    _, _, (seen, states, reward, done, info) = replayed
    np.testing.assert_array_equal(reward, info["goals"][..., 0])
    before = jax.tree.map(lambda leaf: leaf[:-1], states.env_state)
    reached = np.zeros((STEPS - 1, COUNT), bool)
    each = (None, 0, None, None)
    advance = jax.jit(jax.vmap(jax.vmap(ENV.env.advance, each), each))
    for action in range(ENV.env.num_actions):
        after = advance(None, before, jnp.int32(action), PARAMS)
        reached |= np.asarray((after.position == states.env_state.position[1:]).all(-1))
    assert (reached | np.asarray(done[1:])).all()
    assert not np.asarray(done).all()
    assert seen.dtype == bool


def test_a_fresh_level_is_drawn_where_an_episode_ends(ued):
    env = ued.wrappers.AutoResetWrapper(ENV, lambda rng: ENV.sample_level(rng, PARAMS))
    begun = levels(jax.random.PRNGKey(2))  # jaxued keeps one of JAX's older keys in its state
    play = jax.jit(lambda key: rollout(env, begun, key))
    _, (_, states, _, done, _) = play(jax.random.PRNGKey(3))
    walls = np.concatenate([np.asarray(begun.walls)[None], states.env_state.level.walls])
    differ = (walls[1:] != walls[:-1]).any(axis=(-1, -2))
    assert not (differ & ~np.asarray(done)).any()
    assert differ[np.asarray(done)].mean() > 0.5


def test_their_buffer_keeps_our_levels_by_their_scores(ued, replayed):
    begun, _, (_, _, reward, done, _) = replayed
    score = ued.utils.positive_value_loss(done, reward)
    assert np.isfinite(score).all()  # every level's episodes ended, at the time limit at the latest
    sampler = ued.level_sampler.LevelSampler(3, staleness_coeff=0.0)
    first = jax.tree.map(lambda leaf: leaf[0], begun)
    ranked = jnp.arange(COUNT, dtype=jnp.float32) + score
    kept, _ = jax.jit(sampler.insert_batch)(sampler.initialize(first), begun, ranked)
    best = np.argsort(ranked)[-3:]
    np.testing.assert_array_equal(np.sort(kept["scores"]), ranked[best])
    kept, (places, again) = sampler.sample_replay_levels(kept, jax.random.key(4), COUNT)
    for leaf, held in zip(*map(jax.tree.leaves, (again, kept["levels"])), strict=True):
        np.testing.assert_array_equal(leaf, held[np.asarray(places)])
    seen, _ = jax.vmap(ENV.reset_to_level, (None, 0, None))(jax.random.key(5), again, PARAMS)
    assert seen.shape == (COUNT, *ENV.env.observation_shape)


def test_equality_is_by_value():
    twin = underspecified(registry.make("CheeseCorner-v0", size=5).env)
    assert twin == ENV
    assert hash(twin) == hash(ENV)


@pytest.mark.nightly
def test_an_edit_leaves_a_level_that_can_be_played():
    level = ENV.sample_level(jax.random.key(0))
    edited = ENV.mutate_level(jax.random.key(1), level)
    assert jax.tree.structure(edited) == jax.tree.structure(level)
    assert ENV.reset_to_level(jax.random.key(2), edited)[0].shape == ENV.env.observation_shape

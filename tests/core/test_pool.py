"""Batches and pools: nothing is reset unasked, and training sees the generator's levels."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.envs.cheese_corner import CheeseCorner
from scipy import stats

from gmbench.core import pool

ENV = CheeseCorner(size=5, layout="open")
PARAMS = ENV.default_params.override(alpha=0.3, horizon=20)
ENVS = 6


def leaves_equal(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)


def only(tree, *index):
    """One entry of the trailing axes."""
    return jax.tree.map(lambda leaf: leaf[(..., *index)], tree)


draw = jax.jit(partial(pool.draw, ENV, PARAMS), static_argnums=1)
step = jax.jit(partial(pool.step, ENV))
reset = jax.jit(partial(pool.reset, ENV))
begin = jax.jit(partial(pool.begin, ENV))


def test_draw_appends_the_shape():
    levels = draw(jax.random.key(0), (4, ENVS))
    assert levels.walls.shape == (5, 5, 4, ENVS)
    assert levels.cheese.shape == (2, 4, ENVS)
    each = {
        tuple(only(levels, s, e).start.tolist() + only(levels, s, e).cheese.tolist())
        for s in range(4)
        for e in range(ENVS)
    }
    assert len(each) > 12


def test_draw_is_sampling_by_keys():
    levels = draw(jax.random.key(1), (2, 3))
    keys = jax.random.split(jax.random.key(1), 6)
    sample = jax.jit(ENV.sample_level)
    for index, key in enumerate(keys):
        assert leaves_equal(only(levels, *divmod(index, 3)), sample(key, PARAMS))


def test_begin_and_observe_are_the_environments():
    levels = draw(jax.random.key(2), (ENVS,))
    states = begin(levels)
    seen = pool.observe(ENV, states)
    for env in range(ENVS):
        observation, state = ENV.reset_to_level(only(levels, env), PARAMS)
        assert leaves_equal(only(states, env), state)
        assert np.array_equal(seen[..., env], observation)


def test_step_is_the_environments_and_resets_nothing():
    states = begin(draw(jax.random.key(3), (ENVS,)))
    level = states.level
    single = jax.jit(lambda state, action: ENV.step_env(None, state, action, PARAMS))
    random = np.random.default_rng(0)
    ended = np.zeros((2, ENVS), bool)
    for time in range(1, 40):  # on beyond every end
        actions = jnp.asarray(random.integers(0, 5, ENVS), jnp.int32)
        moved = step(PARAMS, states, actions)
        for env in range(ENVS):
            _, after, _, terminated, info = single(only(states, env), actions[env])
            assert leaves_equal(only(moved.state, env), after)
            assert np.array_equal(moved.goals[:, env], info["goals"])
            assert moved.terminated[env] == terminated
        assert leaves_equal(moved.state.level, level)
        assert np.all(moved.state.time == time)
        assert np.array_equal(moved.truncated, np.full(ENVS, time >= 20))
        assert np.array_equal(moved.done, moved.terminated | moved.truncated)
        ended |= np.stack([moved.terminated, moved.truncated])
        states = moved.state
    assert ended.any(axis=1).all()


def test_step_hands_each_environment_its_key():
    """With keys the outcome is the same here, since the dynamics are deterministic."""
    states = begin(draw(jax.random.key(4), (ENVS,)))
    actions = jnp.full(ENVS, 4, jnp.int32)
    keyed = step(PARAMS, states, actions, jax.random.split(jax.random.key(5), ENVS))
    assert leaves_equal(keyed, step(PARAMS, states, actions))


@pytest.mark.parametrize("done", [(0,) * ENVS, (1,) * ENVS, (0, 1, 1, 0, 0, 1)])
def test_reset_begins_where_done_and_only_there(done):
    states = begin(draw(jax.random.key(6), (ENVS,)))
    states = step(PARAMS, states, jnp.full(ENVS, 1, jnp.int32)).state
    fresh = draw(jax.random.key(7), (ENVS,))
    after = reset(states, jnp.asarray(done, bool), fresh)
    for env in range(ENVS):
        want = ENV.start(only(fresh, env)) if done[env] else only(states, env)
        assert leaves_equal(only(after, env), want)


@pytest.mark.nightly
def test_a_window_reads_the_pool_from_any_place_round_its_end():
    levels = pool.fill(ENV, PARAMS, jax.random.key(8), 2 * ENVS, ENVS)
    drawn = draw(jax.random.key(8), (2 * ENVS,))
    for start in range(2 * ENVS):
        places = (start + np.arange(ENVS)) % (2 * ENVS)
        assert leaves_equal(pool.window(levels, jnp.int32(start), ENVS), only(drawn, places))


# ---- what training sees ------------------------------------------------------------------------

STEPS, MANY, SLOTS = 32, 4000, 4
STARTS = jax.random.randint(jax.random.key(15), (STEPS,), 0, SLOTS * MANY)


def at_random(states, chances):
    del states
    return (5 * chances).astype(jnp.int32)


def to_the_corner(states, chances):
    """The shortest way to the corner of an open grid, so that the level sets the length."""
    del chances
    return jnp.where(states.position[0] > 0, jnp.int32(1), jnp.int32(3))


@partial(jax.jit, static_argnums=0)
def roll(act, levels):
    """Step as training does; return the level and whether it was begun anew, step by step."""

    def one(states, inputs):
        start, chances = inputs
        moved = pool.step(ENV, PARAMS, states, act(states, chances))
        states = pool.reset(ENV, moved.state, moved.done, pool.window(levels, start, MANY))
        return states, (states.level.cheese, states.level.start, moved.done)

    first = pool.begin(ENV, pool.draw(ENV, PARAMS, jax.random.key(10), (MANY,)))
    chances = jax.random.uniform(jax.random.key(11), (STEPS, MANY))
    return jax.lax.scan(one, first, (STARTS, chances))[1]


@partial(jax.jit, static_argnums=0)
def levels_in(slots):
    return pool.fill(ENV, PARAMS, jax.random.key(12), slots * MANY, MANY)


@pytest.fixture(scope="module")
def direct():
    return draw(jax.random.key(13), (50_000,))


def test_a_reset_takes_the_level_of_the_window():
    levels = levels_in(SLOTS)
    window = jax.jit(lambda place: pool.window(levels, place, MANY))
    cheese, start, begun = map(np.asarray, roll(at_random, levels))
    for index in (7, 8, 31):
        fresh, new = window(STARTS[index]), begun[index]
        assert new.any()
        assert np.array_equal(cheese[index][:, new], fresh.cheese[:, new])
        assert np.array_equal(start[index][:, new], fresh.start[:, new])
        assert np.array_equal(cheese[index][:, ~new], cheese[index - 1][:, ~new])


@pytest.mark.parametrize("act", [at_random, to_the_corner])
def test_levels_that_training_begins_are_the_generators(act, direct):
    """Also when the level decides how soon the next one comes."""
    cheese, start, begun = map(np.asarray, roll(act, levels_in(SLOTS)))
    for seen, drawn in ((cheese, direct.cheese), (start, direct.start)):
        cells = np.moveaxis(seen, 1, 0)[:, begun].astype(int), np.asarray(drawn, int)
        shares = [np.bincount(rows * 5 + cols, minlength=25) / len(rows) for rows, cols in cells]
        # 16,000 levels in the pool, used several times each: standard errors below .004 a cell.
        assert np.abs(shares[0] - shares[1]).max() < 0.016


def test_share_of_distinguishing_levels():
    levels = draw(jax.random.key(14), (20_000,))
    apart = np.asarray(jax.jit(pool.over_envs(ENV.distinguishing))(levels))
    low, high = stats.binom.interval(1 - 1e-4, 20_000, 0.3)
    assert low <= apart.sum() <= high
    corner = np.asarray(levels.cheese == 0).all(axis=0)
    assert np.array_equal(apart, ~corner)

"""Gymnasium's door, gymnax's own wrappers, and agents of the neighbours on our environments."""

import copy
import pickle
import subprocess
import sys

import flax.linen as nn
import gymnasium
import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from gymnax.wrappers import GymnaxToGymWrapper, GymnaxToVectorGymWrapper, LogWrapper

import gmbench
from gmbench import gym
from gmbench.core import registry
from gmbench.core.checks import Refused

TASK = "CheeseCorner-v0"


@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes")
@pytest.mark.parametrize("id", [TASK, "CoinRun-v0"])
def test_gymnasiums_checker_passes(id):
    size = registry.sizes(id).small
    check_env(gym.make(id, size=size, render_mode="rgb_array"), skip_close_check=True)
    env = gymnasium.make(f"gmbench/{id}", size=size)
    seen, _ = env.reset(seed=0)
    assert env.observation_space.contains(seen)
    assert set(env.step(env.action_space.sample())[4]) >= {"goals"}


def test_every_task_is_registered():
    assert {f"gmbench/{id}" for id in registry.task_ids()} <= set(gymnasium.registry)
    env = gymnasium.make_vec(
        f"gmbench/{TASK}", num_envs=3, size=5, vectorization_mode="vector_entry_point"
    )
    assert env.reset(seed=0)[0].shape == (3, 5, 5, 3)


@pytest.fixture
def envs():
    return gym.make(TASK, num_envs=16, size=5, params={"horizon": 6})


def test_a_batch_is_what_its_spaces_say(envs):
    seen, info = envs.reset(seed=0)
    assert envs.observation_space.contains(seen)
    assert info["goals"].shape == (16, 2)
    for _ in range(3):
        seen, reward, terminated, truncated, info = envs.step(envs.action_space.sample())
        assert envs.observation_space.contains(seen)
        for array in (reward, terminated, truncated):
            assert array.shape == (16,)
        np.testing.assert_allclose(info["goals"][:, 0], reward)


def test_equal_seeds_play_equal_games(envs):
    def game():
        seen = [envs.reset(seed=3)[0]]
        return np.stack([*seen, *(envs.step(np.full(16, i % 5))[0] for i in range(70))])

    np.testing.assert_array_equal(game(), game())


def test_an_episode_that_ended_begins_anew_with_the_next_step(envs):
    envs.reset(seed=0)
    stay = np.full(16, 4)
    for step in range(1, 15):
        seen, reward, terminated, truncated, _ = envs.step(stay)
        assert not terminated.any(), "who stays arrives nowhere"
        assert truncated.all() == (step in (6, 13)), step
        if step in (7, 14):
            assert not reward.any()
    assert envs.observation_space.contains(seen)


def test_a_batch_and_an_env_pay_the_same():
    """One level, given in ASCII to the single environment, and drawn by a batch of one."""
    envs = gym.make(TASK, num_envs=1, size=5)
    envs.reset(seed=1)
    level = jax.tree.map(lambda leaf: leaf[..., 0], envs._carry[0])
    art = envs.task.env.render_ascii(level)
    env = gym.make(TASK, size=5)
    single, _ = env.reset(options={"level": art})
    for action in (0, 1, 2, 3, 0, 0, 1, 1, 2, 2, 3, 3):
        seen, reward, terminated, truncated, _ = envs.step(np.array([action]))
        single, paid, *ended, _ = env.step(action)
        np.testing.assert_array_equal(seen[0], single)
        assert (paid, ended) == (reward[0], [terminated[0], truncated[0]])
        if any(ended):
            break


def test_arrays_stay_on_the_device_and_are_read_where_they_lie():
    envs = gym.make(TASK, num_envs=4, size=5, output="jax")
    envs.reset(seed=0)
    for array in envs.step(jnp.zeros(4, jnp.int32))[:4]:
        assert isinstance(array, jax.Array)
        assert np.from_dlpack(array).ctypes.data == array.unsafe_buffer_pointer()
        assert np.asarray(array).ctypes.data == array.unsafe_buffer_pointer()


def test_gymnasiums_statistics_of_a_batch(envs):
    """Its wrapper counts returns and lengths as an episode's rewards, next-step resets included."""
    envs = RecordEpisodeStatistics(envs)
    envs.reset(seed=0)
    total, length, ended = np.zeros(16), np.zeros(16, int), 0
    fresh = np.zeros(16, bool)
    for _ in range(20):
        _, reward, terminated, truncated, info = envs.step(envs.action_space.sample())
        total, length = np.where(fresh, 0, total + reward), np.where(fresh, 0, length + 1)
        fresh = terminated | truncated
        ended += fresh.sum()
        if fresh.any():
            np.testing.assert_allclose(info["episode"]["r"][fresh], total[fresh])
            np.testing.assert_array_equal(info["episode"]["l"][fresh], length[fresh])
    assert ended >= 16


def test_what_an_environment_was_made_with_can_be_stored_and_made_again():
    made = gymnasium.make(f"gmbench/{TASK}", size=6)
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(made.spec.to_json()))
    assert again.observation_space == made.observation_space
    assert again.unwrapped.task == made.unwrapped.task


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.array([0, 5]), "action: 5 does not exist"),
        (np.array([-1, 0]), "action: -1 does not exist"),
        (np.array([0.0, 1.0]), "action: float64 is not a kind of whole number"),
        (np.array([0]), r"actions: their shape is \(1,\)"),
    ],
)
def test_actions_that_do_not_exist_are_refused(action, message):
    envs = gym.make(TASK, num_envs=2, size=5)
    with pytest.raises(Refused, match="reset begins"):
        envs.step(np.array([0, 0]))
    envs.reset(seed=0)
    with pytest.raises(Refused, match=message):
        envs.step(action)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift": "anywere"}, "did you mean 'anywhere'"),
        ({"num_envs": 0}, "num_envs: 0"),
        ({"num_envs": 2.5}, "num_envs: 2.5"),
        ({"num_envs": 2, "output": "torch"}, "output: unknown 'torch'"),
        ({"render_mode": "human"}, "render_mode: unknown 'human'"),
        ({"params": {"alpha": 2}}, "alpha: 2"),
        ({"size": "big"}, "static.size: 'big'"),
    ],
)
def test_what_cannot_be_made_is_refused(options, message):
    with pytest.raises(Refused, match=message):
        gym.make(TASK, **options)


# ---- gymnax's own --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made():
    return gymnax.make(TASK, size=5)


@pytest.fixture
def usual():
    """JAX as users have it: gymnax promotes dtypes, and uses keys again."""
    with jax.numpy_dtype_promotion("standard"), jax.debug_key_reuse(False):
        yield


@pytest.mark.nightly
def test_gymnaxs_wrappers_take_our_environments(made, usual):
    env, params = made
    single = GymnaxToGymWrapper(env, params)
    seen, _ = single.reset(seed=0)
    assert single.observation_space.contains(np.asarray(seen))
    assert len(single.step(single.action_space.sample())) == 5
    batch = GymnaxToVectorGymWrapper(env, num_envs=4, params=params, seed=0)
    batch.reset()
    assert batch.step(np.zeros(4, np.int32))[0].shape == (4, 5, 5, 3)
    logged = LogWrapper(env)
    _, state = logged.reset(jax.random.key(0), params)
    assert "returned_episode_returns" in logged.step(jax.random.key(1), state, 0, params)[-1]


def test_a_loop_in_the_style_of_purejaxrl_trains_by_name(made, usual):
    """Reset and step vmapped inside a scan, with gymnax's wrapper around our environment."""
    env, params = LogWrapper(made[0]), made[1]
    network = nn.Dense(env.num_actions)

    def act(weights, seen):
        return network.apply(weights, seen.reshape(seen.shape[0], -1).astype(jnp.float32))

    def update(carry, key):
        weights, seen, state = carry
        key_act, key_step = jax.random.split(key)

        def loss(weights):
            logits = act(weights, seen)
            actions = jax.random.categorical(key_act, logits)
            each = jax.random.split(key_step, 8)
            after = jax.vmap(env.step, in_axes=(0, 0, 0, None))(each, state, actions, params)
            chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), actions[:, None], 1)[:, 0]
            return -jnp.mean(chosen * (after[2] - 0.01)), (after[0], after[1], after[-1])

        (value, (seen, state, info)), gradient = jax.value_and_grad(loss, has_aux=True)(weights)
        weights = jax.tree.map(lambda w, g: w - 0.1 * g, weights, gradient)
        return (weights, seen, state), (value, info["returned_episode"])

    keys = jax.random.split(jax.random.key(0), 8)
    seen, state = jax.vmap(env.reset, in_axes=(0, None))(keys, params)
    weights = network.init(jax.random.key(1), jnp.zeros((8, 75)))
    run = jax.jit(lambda carry, keys: jax.lax.scan(update, carry, keys))
    (after, *_), (losses, ended) = run(
        (weights, seen, state), jax.random.split(jax.random.key(2), 100)
    )
    assert np.isfinite(losses).all()
    assert ended.sum() >= 8
    assert any(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (weights, after)), strict=True))


def test_spaces_sample_what_they_contain(made, usual):
    env, params = made
    for space in (env.observation_space(params), env.action_space(params)):
        assert bool(space.contains(space.sample(jax.random.key(0))))
    _, state = env.reset(jax.random.key(0), params)
    assert set(env.state_space(params).spaces) == {
        jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)
    }


def test_the_time_limit_has_gymnaxs_name_too(made):
    assert int(made[1].max_steps_in_episode) == int(made[1].horizon)


def test_what_is_copied_or_pickled_is_equal(made):
    task = gmbench.make(TASK, size=5)
    state = task.env.start(task.env.sample_level(jax.random.key(0), task.training))
    for thing in (task.env, made[0], task.training):
        for twin in (copy.deepcopy(thing), pickle.loads(pickle.dumps(thing))):
            assert twin == thing
    for twin in (copy.deepcopy(state), pickle.loads(pickle.dumps(state))):
        jax.tree.map(np.testing.assert_array_equal, twin, state)
    for twin in (copy.deepcopy(task), pickle.loads(pickle.dumps(task))):
        assert twin == task


@pytest.mark.nightly
def test_importing_gmbench_imports_two_modules_of_gymnax():
    told = "import gmbench, sys; print([m for m in sys.modules if m.startswith('gymnax')])"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(
        ["gymnax.environments.environment", "gymnax.environments.spaces"]
    )
    for order in ("import gmbench, gymnax", "import gymnax, gmbench"):
        # rejax reaches gymnax's modules as attributes of their package.
        told = (
            f"{order}; env = gymnax.make('{TASK}', size=5)[0]; spaces = gymnax.environments.spaces"
        )
        told += "; print(isinstance(env.action_space(), spaces.Discrete))"
        done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True)
        assert done.stdout.strip() == "True", done.stderr

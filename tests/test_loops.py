"""The loops in docs/examples, in the style of neighbours: they run by day, and learn by night."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest

import gmbench
from tests.marks import by_day

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
TASK = gmbench.make("CheeseCorner-v0", size=5)


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def five_values(**settings):
    """PureJaxRL's: one ``done``."""
    loop = example("purejaxrl_style")
    env = gmbench.wrappers.step5(TASK.env)
    return loop.make_train(env, TASK.training, loop.Config(**settings))


def six_values(**settings):
    """Stoix's: time steps, an end told apart from a time limit."""
    loop = example("stoix_style")
    return loop.get_learner_fn(loop.TimeSteps(TASK.env, TASK.training), loop.Config(**settings))


@pytest.fixture(autouse=True)
def usual():
    """JAX as users have it, who mix dtypes."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.parametrize("made", by_day([five_values, six_values], five_values))
def test_a_loop_runs(made):
    length = {"num_steps": 8} if made is five_values else {"rollout_length": 8}
    train = made(num_envs=8, num_updates=3, num_minibatches=2, **length)
    weights, metrics = jax.jit(train)(jax.random.key(0))
    assert metrics["loss"].shape == (3,)
    assert np.isfinite(metrics["loss"]).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(weights))


@pytest.mark.nightly
@pytest.mark.parametrize("made", [five_values, six_values])
def test_a_loop_learns(made):
    _, metrics = jax.jit(made())(jax.random.key(0))
    assert metrics["return"][0] < 0.7
    assert metrics["return"][-5:].mean() > 0.9


def test_a_time_limit_is_bootstrapped_from_the_observation_before_the_reset():
    """Truncation: the discount stays 1, and ``next_obs`` is the final one, not the next first."""
    loop = example("stoix_style")
    env = loop.TimeSteps(TASK.env, TASK.training.override(horizon=3))
    step = jax.jit(env.step)
    state, first = jax.jit(env.reset)(jax.random.key(0))
    stay = TASK.env.action_names.index("stay")
    for _ in range(3):
        state, after = step(state, np.int32(stay))
    assert bool(after.last)
    assert float(after.discount) == 1
    np.testing.assert_array_equal(after.extras["next_obs"], first.observation)
    assert not np.array_equal(after.observation, first.observation)
    reward, value, following = np.float32([[0]]), np.float32([[0.5]]), np.float32([[1]])
    given = reward, np.ones((1, 1), np.float32), np.ones((1, 1), bool), value, following
    config = loop.Config()
    np.testing.assert_allclose(loop.truncated_gae(*given, config), config.gamma - 0.5, rtol=1e-6)

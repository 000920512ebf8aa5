"""Options of the training program: devices of one run, precision, generators of random numbers."""

import jax
import numpy as np
import pytest

from gmbench.runs import arrays
from gmbench.runs.program import Program
from gmbench.runs.spec import KEYS, RunSpec, Stage, check
from tests.marks import by_day


def begun(seeds=(0,), keys=KEYS[0], **config):
    """Return a program, its states after two chunks, and the last chunk's metrics."""
    specs = [
        RunSpec("CheeseCorner-v0", {"size": 5}, {}, "ppo", config, seed, 100_000, keys=keys)
        for seed in seeds
    ]
    program = Program([check(spec) for spec in specs])
    states = program.start()
    for _ in range(2):
        states, metrics = program.train_chunk(states)
    return program, jax.device_get(states), jax.device_get(program.per_run(metrics))


@pytest.fixture(scope="module")
def plain():
    """What a run on one device in full precision reports."""
    return begun(network="mlp")[2]


@pytest.mark.nightly
def test_devices_share_a_run(plain):
    """Weights stay equal, every device has episodes of its own, and metrics are of them all."""
    program, states, metrics = begun((0, 1), network="mlp", devices=2)
    assert program.compiled.mesh.shape == {"runs": 1, "data": 2}
    for leaf in jax.tree.leaves(states.weights):
        np.testing.assert_array_equal(leaf[:, 0], leaf[:, 1])
        assert np.any(leaf[0] != leaf[1]) or not np.any(leaf)
    assert states.envs.position.shape == (2, 2, 2, 128)
    assert np.any(states.envs.level.walls[:, 0] != states.envs.level.walls[:, 1])
    assert metrics["return/cheese"].shape == (2, program.first.chunk)
    assert 0.8 < metrics["episodes"].mean() / plain["episodes"].mean() < 1.25
    results, _ = program.evaluate(program.weights(states), "training")
    assert results.rho.shape[0] == 2


@pytest.mark.nightly
def test_devices_share_a_mitigation():
    """Each device has a level source of its own, and the weights stay equal."""
    config = {"devices": 2, "num_envs": 16, "num_minibatches": 2, "network": "mlp"}
    stages = [Stage(0.5), Stage(0.5, mitigation="mixture:alpha=1")]
    task = "CheeseCorner-v0", {"size": 5}, {}, "ppo", config
    program = Program([check(RunSpec(*task, steps=2000, stages=stages))])
    states, _ = program.train_chunk(program.start(), 0)
    states, metrics = program.train_chunk(program.enter(states, 1), 1)
    states = jax.device_get(states)
    for leaf in jax.tree.leaves(states.weights):
        np.testing.assert_array_equal(leaf[:, 0], leaf[:, 1])
    assert states.curriculum.told.ids.shape == (1, 2, 8)
    assert np.any(states.envs.level.walls[:, 0] != states.envs.level.walls[:, 1])
    assert program.per_run(metrics)["episodes"].shape == (1, program.first.chunk)


def test_more_devices_than_there_are():
    with pytest.raises(ValueError, match=r"^devices: 4 are asked for, 2 are here"):
        begun(devices=4)


@pytest.mark.nightly
def test_half_precision_changes_the_network_alone(plain):
    _, states, metrics = begun(network="mlp", precision="bfloat16")
    assert {leaf.dtype.name for leaf in jax.tree.leaves(states.weights)} == {"float32"}
    for name in ("loss/critic", "entropy"):
        assert metrics[name].dtype == np.float32
        assert np.any(metrics[name] != plain[name])
        np.testing.assert_allclose(metrics[name][:, :5], plain[name][:, :5], atol=0.05)


@pytest.mark.nightly
def test_a_player_with_memory_learns_in_half_precision():
    config = {"precision": "bfloat16", "num_envs": 8, "num_minibatches": 2}
    spec = RunSpec("CheeseCorner-v0", {"size": 5}, {}, "ppo_gru", config, 0, 500)
    program = Program([check(spec)])
    states, _ = program.train_chunk(program.start())
    assert states.memory.dtype == np.float32


@pytest.mark.parametrize("keys", by_day(KEYS, KEYS[0], "unsafe_rbg"))
def test_states_are_stored_with_any_generator(keys):
    program = Program([check(RunSpec("CheeseCorner-v0", {"size": 5}, keys=keys))])
    states = program.start()
    like = jax.eval_shape(program.start)
    read = arrays.decode(arrays.encode(states), like, "states")
    assert jax.random.key_impl(read.key) == keys
    draws = [jax.random.bits(each.key[0], (4,)) for each in (states, read)]
    np.testing.assert_array_equal(*draws)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keys": "mersenne"}, "keys: unknown 'mersenne'"),
        ({"precision": "float16"}, "precision: unknown 'float16'"),
        ({"devices": 3}, "devices: 3 does not divide num_envs 256"),
        (
            {"devices": 2, "num_envs": 8, "num_minibatches": 8},
            "num_minibatches: 8 does not divide the 4 envs",
        ),
    ],
)
def test_settings_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        begun(**changes)


@pytest.mark.nightly
def test_agents_measured_side_by_side_are_measured_as_alone():
    """Four on each of two devices, on every level, in every quantity."""
    task = "CheeseCorner-v0", {"size": 7}, {}, "ppo", {}
    plans = [check(RunSpec(*task, seed, 10_000)) for seed in range(8)]
    together = Program(plans)
    assert together.compiled.mesh.shape == {"runs": 2, "data": 1}
    weights = together.weights(together.start())
    found, _ = together.evaluate(weights, "anywhere")
    alone = Program(plans[:1])
    for seed in (2, 3, 7):
        own = jax.tree.map(lambda leaf, n=seed: np.asarray(leaf)[n : n + 1], weights)
        one, _ = alone.evaluate(own, "anywhere")
        for name in ("rho", "choice", "pursuit"):
            got, expected = getattr(found, name)[seed], getattr(one, name)[0]
            np.testing.assert_allclose(got, expected, atol=1e-5, err_msg=f"{seed} {name}")

"""A policy without JAX: the same numbers in NumPy and in ONNX Runtime, for every network."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
from gmbench.agents import player

import gmbench
from gmbench.core import forward, graph, registry
from gmbench.core.checks import Refused
from gmbench.core.policy import Policy
from gmbench.exports.onnx import model_of
from tests.marks import by_day

ENV = gmbench.make("CheeseCorner-v0", size=5).env
SEEN = 1000
SHOWN = [(name, "planes", 5) for name in registry.network_names()]
SHOWN += [("conv_mlp", "pixels4", 5), ("impala_small", "planes", 9)]
"""Networks, what they are shown, and at which size (the last one pools)."""


def agent(name, view, size):
    """A task's environment, a policy with random weights, and observations."""
    env = gmbench.wrap(gmbench.make("CheeseCorner-v0", size=size), view).env
    rng = np.random.default_rng(0)
    net = player.without_memory(registry.make_network(name)(env.num_actions))
    blank = jax.ShapeDtypeStruct(env.observation_shape, env.observation_dtype)
    shapes = jax.eval_shape(net.init, jax.random.key(0), blank)
    weights = jax.tree.map(
        lambda leaf: jnp.asarray(
            rng.normal(0, (2 / max(np.prod(leaf.shape[:-1]), 4)) ** 0.5, leaf.shape), jnp.float32
        ),
        shapes,
    )
    top = 2 if env.observation_dtype == jnp.bool_ else 256
    seen = rng.integers(0, top, (SEEN, *env.observation_shape)).astype(np.uint8)
    return env, player.policy(env, net, weights), seen


def spoken(env, policy, seen):
    """What JAX says; the state is not read."""
    key, params = jax.random.key(0), env.default_params
    shapes = jax.eval_shape(lambda: env.start(env.sample_level(key, params)))
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    act = jax.jit(jax.vmap(lambda one: policy.act((), state, one)[0]))
    return np.asarray(act(seen.astype(env.observation_dtype)))


@pytest.mark.parametrize(
    ("name", "view", "size"),
    by_day(SHOWN, ("mlp", "planes", 5), ("ensemble", "planes", 5), ("conv_mlp", "pixels4", 5)),
)
def test_numpy_and_onnx_say_what_jax_says(name, view, size):
    env, policy, seen = agent(name, view, size)
    expected = spoken(env, policy, seen)
    assert expected.std(axis=0).min() > 0.01, "they depend on what is seen"
    program, held = graph.of_policy(env, policy)
    found = forward.policy(json.loads(json.dumps(program)), held)
    np.testing.assert_allclose(found(seen), expected, atol=1e-5)
    np.testing.assert_allclose(found(seen[0]), expected[0], atol=1e-5)
    model = model_of(program, held, env.num_actions)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for some in (seen, seen[:1]):
        (said,) = session.run(["log_probs"], {"observation": some})
        np.testing.assert_allclose(said, expected[: len(some)], atol=1e-5)


@pytest.fixture(scope="module")
def run(group):
    """A run that was trained."""
    return gmbench.load_all(group)[0]


def test_the_folder_for_numpy_needs_neither_jax_nor_gmbench(run, tmp_path):
    from gmbench import cli

    cli.main(["export", "numpy", str(run.path), "--out", str(tmp_path / "out")])
    seen = np.random.default_rng(0).integers(0, 2, (SEEN, 5, 5, 3)).astype(bool)
    np.save(tmp_path / "seen.npy", seen)
    code = (
        "import sys; sys.path.insert(0, 'out'); import numpy, policy; "
        "act = policy.load('out/policy.npz'); "
        "numpy.save('said.npy', act(numpy.load('seen.npy'))); "
        "print([m for m in ('jax', 'flax', 'gmbench') if m in sys.modules])"
    )
    told = [sys.executable, "-I", "-c", code]
    done = subprocess.run(told, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    expected = spoken(ENV, run.policy(), seen)
    np.testing.assert_allclose(np.load(tmp_path / "said.npy"), expected, atol=1e-5)
    np.testing.assert_allclose(run.numpy_policy()(seen), expected, atol=1e-5)


def test_the_onnx_file_is_that_policy(run, tmp_path):
    from gmbench import cli

    cli.main(["export", "onnx", str(run.path), "--out", str(tmp_path / "policy.onnx")])
    session = onnxruntime.InferenceSession(tmp_path / "policy.onnx")
    seen = np.random.default_rng(1).integers(0, 2, (SEEN, 5, 5, 3)).astype(np.uint8)
    (said,) = session.run(None, {"observation": seen})
    np.testing.assert_allclose(said, run.numpy_policy()(seen), atol=1e-5)


def acting(function, memoryless=True):
    return Policy(
        lambda level: (),
        lambda memory, state, seen: (function(seen.astype(jnp.float32).reshape(-1)), memory),
        memoryless,
    )


READING = Policy(
    lambda level: (),
    lambda memory, state, seen: (jnp.zeros(5) * state.time.astype(jnp.float32), memory),
)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (acting(lambda seen: seen[:5], memoryless=False), "it has a memory"),
        (acting(lambda seen: jnp.sort(seen)[:5]), "its network uses sort, which cannot be"),
        (READING, "it reads the state"),
    ],
)
def test_what_cannot_be_exported_is_refused(policy, message):
    with pytest.raises(Refused, match=message):
        graph.of_policy(ENV, policy)


def test_one_of_two_is_selected_as_jax_does():
    policy = acting(lambda seen: jnp.where(seen[:5] > 0, seen[5:10] + 2, -seen[10:15]))
    seen = np.random.default_rng(0).integers(0, 2, (20, 5, 5, 3)).astype(np.uint8)
    found = forward.policy(*graph.of_policy(ENV, policy))(seen)
    flat = seen.reshape(20, -1).astype(np.float32)
    np.testing.assert_array_equal(
        found, np.where(flat[:, :5] > 0, flat[:, 5:10] + 2, -flat[:, 10:15])
    )


def test_what_depends_on_nothing_seen_is_worked_out_beforehand():
    weights = jnp.arange(75 * 5, dtype=jnp.float32).reshape(75, 5)
    program, _ = graph.of_policy(ENV, acting(lambda seen: seen @ jnp.sqrt(weights) ** 2))
    assert "sqrt" not in {name for name, *_ in program["operations"]}


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (np.zeros((5, 5, 2), np.uint8), r"its shape is \(5, 5, 2\), \(5, 5, 3\) is needed"),
        (np.zeros((5, 5, 3)), "float64 is not a kind of whole number"),
    ],
)
def test_an_observation_of_another_kind_is_refused(observation, message):
    program = {"shape": [5, 5, 3], "input": "x", "output": "x", "operations": []}
    with pytest.raises(ValueError, match=message):
        forward.policy(program, {})(observation)


def test_an_operation_that_is_not_known_is_refused():
    program = {"input": "x", "output": "y", "operations": [["system", ["x"], "y", {}]]}
    with pytest.raises(ValueError, match="unknown 'system'"):
        forward.run(program, {}, np.zeros((1, 2)))

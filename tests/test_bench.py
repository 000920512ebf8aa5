"""Measurements say what they did; how fast it was is nobody's business here."""

import contextlib
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents import networks

from gmbench import bench

SETTINGS = {
    "task": "CheeseCorner-v0",
    "static": {"size": 5, "layout": "open"},
    "envs": 8,
    "steps": 200,
    "network": "mlp",
    "repeats": 2,
}
COMMON = {"what", "settings", "repeats", "compile_seconds", "device", "versions", "date"}


def measure(what, **changes):
    settings = SETTINGS | changes
    result = bench.measure(what, **settings)
    assert json.loads(json.dumps(result))["what"] == what
    assert result["settings"] == settings
    assert set(result) >= COMMON
    return result


def check_speeds(result, name, repeats=2):
    assert len(result["repeats"]) == repeats
    assert all(speed > 0 for speed in result["repeats"])
    assert min(result["repeats"]) <= result[name] <= max(result["repeats"])
    assert result["compile_seconds"] > 0


def test_env():
    result = measure("env", repeats=3)
    check_speeds(result, "steps_per_second", 3)
    assert result["steps"] == 200
    assert result["rollout"] <= 128
    assert result["levels_drawn"] == 2 * result["slots"] * 8
    assert 0 < result["episodes"] <= result["levels_drawn"]
    assert 0 <= result["episodes_on_reused_levels"] < result["episodes"]
    assert result["observation"] == {"shape": (5, 5, 3), "dtype": "bool", "bytes": 75}


def test_levels():
    check_speeds(measure("levels"), "levels_per_second")


def test_solve():
    result = measure("solve")
    for part in (result, result["policy"]):
        check_speeds(part, "solutions_per_second")
        assert part["milliseconds"] == pytest.approx(1e3 / part["solutions_per_second"])


def test_solve_without_exact_policies():
    result = measure("solve", task="KeysChests-v0", envs=2)
    check_speeds(result, "solutions_per_second")
    assert "policy" not in result


def test_train():
    with jax.numpy_dtype_promotion("standard"):  # optax's Adam mixes dtypes
        result = measure("train", envs=4, steps=1)
    check_speeds(result, "steps_per_second")
    check_speeds(result["reference"], "steps_per_second")
    assert result["ratio"] == pytest.approx(
        result["steps_per_second"] / result["reference"]["steps_per_second"]
    )


@pytest.mark.parametrize(("name", "size"), [("mlp", 5), ("impala_small", 9)])
def test_the_reference_is_the_same_network(name, size):
    network = networks.build(name, num_actions=5)
    key_seen, key_weights = jax.random.split(jax.random.key(0))
    seen = jax.random.bernoulli(key_seen, shape=(size, size, 3, 7))
    params = network.init(key_weights, seen[..., 0])["params"]
    reordered = params
    if "Conv3x3_0" in params:
        side, features = 5, 32
        kernel = params["Dense_0"]["kernel"].reshape(features, side, side, -1)
        kernel = jnp.moveaxis(kernel, 0, 2).reshape(features * side * side, -1)
        reordered = params | {"Dense_0": params["Dense_0"] | {"kernel": kernel}}
    ours = network.apply({"params": params}, seen)
    theirs = bench.linen_network(network, reordered, seen)
    for one, other in zip(ours, theirs, strict=True):
        assert np.allclose(one, other, atol=1e-5)
        assert np.std(one) > 0


def test_the_reference_takes_the_place_of_the_network():
    network = networks.build("impala_small", num_actions=5)
    seen = jnp.zeros((9, 9, 3, 7), bool)
    weights = network.init(jax.random.key(0), seen[..., 0])

    def program(intercepted):
        with nn.intercept_methods(bench._in_linen) if intercepted else contextlib.nullcontext():
            return str(jax.make_jaxpr(lambda seen: network.apply(weights, seen))(seen))

    assert "conv_general_dilated" in program(True)
    assert "conv_general_dilated" not in program(False)


@pytest.mark.parametrize(
    ("what", "changes", "field"),
    [
        ("speed", {}, "what"),
        ("env", {"task": "Cheese-v0"}, "task"),
        ("env", {"envs": 0}, "envs"),
        ("env", {"repeats": 0}, "repeats"),
        ("env", {"static": {"size": 3}}, "size"),
        ("train", {"network": "impala"}, "network"),
    ],
)
def test_invalid_settings_are_named(what, changes, field):
    with pytest.raises(ValueError, match=rf"^{field}: "):
        bench.measure(what, **SETTINGS | changes)

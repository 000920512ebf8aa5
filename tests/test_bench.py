"""Measurements say what they did; how fast it was is nobody's business here."""

import contextlib
import dataclasses
import json
import runpy
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench import bench
from gmbench.bench import costs, plot, scaling, timing, training
from gmbench.bench.linen import in_linen, linen_network
from gmbench.core import registry
from tests.marks import by_day

CHECK = Path(__file__).parent.parent / "benchmarks" / "check.py"
SMALL = bench.Options(
    static={"size": 5, "layout": "open"}, envs=8, steps=200, network="mlp", repeats=2
)


def measure(what, **changes):
    options = dataclasses.replace(SMALL, **changes)
    result = bench.measure(what, options)
    assert set(result) == {"what", "options", "rows", "ratios", "device", "versions", "date"}
    assert json.loads(json.dumps(result))["what"] == what
    for row in result["rows"]:
        assert len(row["repeats"]) == options.repeats
        assert min(row["repeats"]) <= row["median"] <= max(row["repeats"])
        assert row["median"] > 0
    return result


def names(result):
    return [row["name"] for row in result["rows"]]


@pytest.mark.nightly
def test_env():
    result = measure("env", repeats=3)
    ours, bare = result["rows"]
    assert bare["name"] == "bare loop"
    assert ours["steps"] == 200
    assert ours["rollout"] <= 128
    assert ours["levels_drawn"] == 2 * ours["slots"] * 8
    assert 0 < ours["episodes"] <= ours["levels_drawn"]
    assert 0 <= ours["episodes_on_reused_levels"] < ours["episodes"]
    assert ours["observation"] == {"shape": [5, 5, 3], "dtype": "bool", "bytes": 75}
    each = [one / other for one, other in zip(ours["repeats"], bare["repeats"], strict=True)]
    assert result["ratios"] == {"CheeseCorner-v0 / bare loop": sorted(each)[1]}


def test_levels():
    rows = ["CheeseCorner-v0", "walls of blocks", "walls of tree", "bare loop"]
    assert names(measure("levels")) == rows


@pytest.mark.nightly
def test_solve():
    assert names(measure("solve")) == ["optimal", "policy", "bare loop"]
    without = measure("solve", task="KeysChests-v0", static={"size": 5}, envs=2)
    assert names(without) == ["optimal", "bare loop"]


@pytest.mark.nightly
def test_train():
    with jax.numpy_dtype_promotion("standard"):  # optax's Adam mixes dtypes
        result = measure("train")
    ppo, rollouts, updates, linen, product = result["rows"]
    assert ppo["median"] < rollouts["median"]
    assert 0 < ppo["share_of_rollouts"] < 1
    share = ppo["gflops_of_updates"] / product["median"]
    assert ppo["share_of_matrix_rate"] == pytest.approx(share)
    assert {row["unit"] for row in (ppo, rollouts, updates, linen)} == {"steps/s"}


def test_operations_are_those_of_the_layers():
    """Forward once; back to weights and, but for the first layer, to what went in."""
    plan = training.make_plan(SMALL)
    batch = plan.needs.steps_per_update // plan.config.num_minibatches
    first, others = 75 * 128, 128 * 64 + 64 * 6
    expected = (
        2
        * batch
        * (2 * first + 3 * others)
        * plan.config.update_epochs
        * plan.config.num_minibatches
    )
    assert training.operations_of_an_update(plan) == pytest.approx(expected, rel=0.1)


@pytest.mark.nightly
def test_memory(monkeypatch):
    monkeypatch.setattr(costs, "LARGE", {"num_envs": 16, "num_steps": 4})
    result = measure("memory", repeats=1)
    state, temporary, peak = (row["median"] for row in result["rows"])
    assert 75 * 64 < temporary < peak
    assert state < peak


ON_TWO = "1 seeds, each on 2 devices"


@pytest.mark.nightly
def test_scaling(monkeypatch):
    for name, few in {"ENVS": (8,), "SIZES": (), "DEVICES": (2,), "SEEDS": (2,)}.items():
        monkeypatch.setattr(scaling, name, few)
    monkeypatch.setattr(scaling, "WORK", 1000)
    monkeypatch.setattr(training, "SETTINGS", {"num_envs": 8, "num_steps": 4, "num_minibatches": 2})
    result = measure("scaling")
    assert names(result) == ["8 environments", "2 devices", "2 seeds", ON_TWO]
    assert result["ratios"] == {}


def test_sides_take_turns():
    order = []

    def side(name):
        def following(last, repeat):
            order.append((name, repeat))
            return last

        return timing.Side(name, 1.0, "steps/s", lambda x: x + 1, jnp.float32(0), following)

    rows = timing.by_turns([side("a"), side("b")], 2)
    assert order == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert [row.name for row in rows] == ["a", "b"]


def test_a_result_is_written_with_its_picture(tmp_path):
    result = measure("env")
    bench.write(result, tmp_path / "new")
    assert json.loads((tmp_path / "new" / "env.json").read_text()) == json.loads(json.dumps(result))
    assert (tmp_path / "new" / "env.png").read_bytes().startswith(b"\x89PNG")
    bars = plot.picture(result).axes[0]
    assert [label.get_text() for label in bars.get_yticklabels()] == names(result)


def test_a_lost_ratio_is_named():
    check = runpy.run_path(str(CHECK))["losses"]
    committed = {"env": {"a / b": 1.0, "c / b": 1.0}, "levels": {"d / b": 2.0}}
    assert check(committed, {"env": {"a / b": 0.76, "c / b": 9.0}, "levels": {"d / b": 1.51}}) == []
    lines = check(committed, {"env": {"a / b": 0.74}, "levels": {"d / b": 2.0}})
    assert [line.split(": ")[1] for line in lines] == ["a / b", "c / b"]


def test_ratios_are_committed_for_what_has_a_yardstick():
    assert tuple(json.loads(CHECK.with_name("ratios.json").read_text())) == bench.RATIOS


@pytest.mark.nightly
@pytest.mark.parametrize(("name", "size"), by_day([("mlp", 5), ("impala_small", 9)], ("mlp", 5)))
def test_the_reference_is_the_same_network(name, size):
    network = registry.make_network(name)(num_actions=5)
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
    theirs = linen_network(network, reordered, seen)
    for one, other in zip(ours, theirs, strict=True):
        assert np.allclose(one, other, atol=1e-5)
        assert np.std(one) > 0


@pytest.mark.nightly
def test_the_reference_takes_the_place_of_the_network():
    network = registry.make_network("impala_small")(num_actions=5)
    seen = jnp.zeros((9, 9, 3, 7), bool)
    weights = network.init(jax.random.key(0), seen[..., 0])

    def program(intercepted):
        with nn.intercept_methods(in_linen) if intercepted else contextlib.nullcontext():
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
        measure(what, **changes)

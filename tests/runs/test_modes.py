"""JAX's own settings: they are respected, or refused by name; none changes results silently."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from gmbench.core import keys
from gmbench.core.checks import Refused
from gmbench.core.registry import make
from gmbench.measure import levels
from gmbench.runs import machine, store
from gmbench.runs.spec import RunSpec

TINY = ("train", "CheeseCorner-v0", "--size", "5", "--steps", "2000", "--config", "num_envs=8")
TINY += ("num_steps=4", "slots=2", "num_minibatches=2", "network=mlp", "--out")


def train(folder, **settings):
    """Train a tiny run in a process of its own; return it."""
    done = subprocess.run(
        [sys.executable, "-m", "gmbench", *TINY, str(folder)],
        env=os.environ | settings,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (run,) = store.load_all(folder)
    return run


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return train(tmp_path_factory.mktemp("plain"))


@pytest.mark.nightly
def test_64_bits_train(tmp_path):
    run = train(tmp_path, JAX_ENABLE_X64="1")
    assert run.record.layouts[0].x64
    assert run.findings.deployed.levels == 1024


@pytest.mark.nightly
def test_nan_checks_let_what_is_undefined_be_nan(tmp_path, plain):
    assert train(tmp_path, JAX_DEBUG_NANS="1").digest == plain.digest


@pytest.mark.nightly
def test_the_generator_is_named_at_every_key(tmp_path, plain):
    """Weights were the same, and scores others: the record said threefry all the same."""
    assert train(tmp_path, JAX_DEFAULT_PRNG_IMPL="rbg").digest == plain.digest


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ({"JAX_THREEFRY_PARTITIONABLE": "0"}, "jax_threefry_partitionable: False"),
        ({"JAX_DISABLE_JIT": "1"}, "jax_disable_jit: True"),
    ],
)
def test_what_would_train_otherwise_or_for_days_is_refused(setting, line, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "gmbench", *TINY, str(tmp_path)],
        env=os.environ | setting,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"gmbench: {line}")
    assert not list(tmp_path.glob("*/run.json"))


def test_devices_that_xla_is_told_of_are_used():
    told = "--xla_force_host_platform_device_count=4"
    script = "from gmbench.runs.machine import use_cores; use_cores(1); import jax; "
    script += "print(len(jax.devices()))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {told}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "4"


def test_doctor_without_a_device_says_so_in_a_line():
    done = subprocess.run(
        [sys.executable, "-m", "gmbench", "doctor"],
        env=os.environ | {"JAX_PLATFORMS": "nothing"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("gmbench: device: none can be used")
    assert "Traceback" not in done.stderr


def test_legacy_keys_and_ints_are_taken():
    task = make("CheeseCorner-v0", size=5)
    with jax.debug_key_reuse(False):
        level = jax.jit(task.env.sample_level)(jax.random.PRNGKey(0), task.training)
        state = task.env.start(level)
        for action in (0, np.int8(0), np.uint8(0), np.int64(0)):
            seen = task.env.step_env(jax.random.PRNGKey(1), state, action, task.training)[0]
            np.testing.assert_array_equal(
                seen, task.env.step_env(None, state, jax.numpy.int32(0), task.training)[0]
            )
    with pytest.raises(Refused, match="action: float32"):
        task.env.step_env(None, state, 0.5, task.training)


def test_a_key_names_its_generator():
    assert jax.random.key_impl(keys.key(0)) == "threefry2x32"
    with jax.threefry_partitionable(False), pytest.raises(Refused, match="partitionable"):
        keys.key(0)


def test_drawn_levels_have_a_checksum():
    sets = [levels.load(make("CheeseCorner-v0", size=size), "training") for size in (5, 5, 6)]
    assert [len(each.sha256) for each in sets] == [64] * 3
    assert sets[0].sha256 == sets[1].sha256 != sets[2].sha256


def test_a_layout_says_what_last_bits_depend_on(group):
    (layout,) = store.load_all(group)[0].record.layouts
    assert layout.processor == machine.processor()
    assert layout.x64 is False


# ---- what was compiled is kept -------------------------------------------------------------------


def cached(home, **settings):
    script = "from gmbench.runs.machine import use_cache; use_cache(); import jax; "
    script += "print(jax.config.values['jax_compilation_cache_dir'])"
    environment = {k: v for k, v in os.environ.items() if "CACHE" not in k}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"HOME": str(home)} | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_compiled_programs_are_kept_for_the_user_alone(tmp_path):
    folder = cached(tmp_path)
    assert folder.startswith(str(tmp_path / ".cache" / "gmbench"))
    assert os.stat(folder).st_mode & 0o077 == 0
    os.chmod(folder, 0o777)
    assert cached(tmp_path) == "None", "what others can write is not run"
    assert cached(tmp_path, GMBENCH_CACHE="off") == "None"
    assert cached(tmp_path, GMBENCH_CACHE=str(tmp_path / "mine")).startswith(str(tmp_path / "mine"))
    assert cached(tmp_path, JAX_COMPILATION_CACHE_DIR="/elsewhere") == "/elsewhere"


@pytest.mark.nightly
def test_the_command_line_keeps_what_it_compiles(tmp_path):
    environment = {k: v for k, v in os.environ.items() if "CACHE" not in k}
    environment |= {"HOME": str(tmp_path)}
    for out in ("one", "two"):
        folder = tmp_path / out
        subprocess.run(
            [sys.executable, "-m", "gmbench", *TINY, str(folder)], env=environment, check=True
        )
        kept = {path.name for path in (tmp_path / ".cache").rglob("*-cache")}
        before = kept if out == "one" else before
    assert before
    assert kept == before, "the second process compiles nothing"


def test_specs_are_json(group):
    run = store.load_all(group)[0]
    assert json.loads((run.path / "run.json").read_text())["resolved"]["config"]["lr"] > 0
    assert isinstance(run.spec, RunSpec)

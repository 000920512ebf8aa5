"""Whatever happens to a sweep, the same command completes it: every run once, as if undisturbed."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gmbench import cli
from gmbench.runs import checkpoints, store
from gmbench.runs.group import work_name
from gmbench.sweeps import driver

from ..conftest import CACHE

DISTURBED = Path(__file__).with_name("disturbed.py")
SWEEP = """
tasks = ["CheeseCorner-v0"]
steps = 2000
seeds = 2
group = 2
static.size = 5
config = { num_envs = 8, num_steps = 4, slots = 2, network = "mlp" }
grid.params.alpha = [0.0, 0.5]
"""
"""Two groups of two runs, 21 checkpoints each."""
MANY = 100
"""Random points at which a sweep is killed."""


def run(how, folder, out="out"):
    """Run the sweep in a process of its own, disturbed."""
    (folder / "sweep.toml").write_text(SWEEP)
    arguments = ["sweep", folder / "sweep.toml", "--out", folder / out]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(CACHE), "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, DISTURBED, how, folder / out, *arguments],
        capture_output=True,
        text=True,
        env=environment,
    )


def complete(folder, out="out"):
    """Run the sweep undisturbed, in this process."""
    cli.main(["sweep", str(folder / "sweep.toml"), "--out", str(folder / out)])


def found(folder):
    """Return what a sweep's folder holds: each run's results, and everything else by name."""
    runs = {path.parent: store.load(path.parent) for path in folder.glob("*/run.json")}
    others = {path.name for path in folder.iterdir()} - {path.name for path in runs}
    return {path.name: run.digest for path, run in runs.items()}, others


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """What an undisturbed sweep's folder holds, and how many times it touches the folder."""
    folder = tmp_path_factory.mktemp("sound")
    done = run("count", folder)
    assert done.returncode == 0, done.stderr
    return found(folder / "out"), int(re.search(r"seen: (\d+)", done.stdout)[1])


def assert_completed(folder, sound):
    complete(folder)
    assert found(folder / "out") == sound[0]


@pytest.mark.nightly
@pytest.mark.parametrize("number", range(MANY))
def test_killed_anywhere_completes(sound, tmp_path, number):
    point = random.Random(number).randint(1, sound[1])
    done = run(f"kill={point}", tmp_path)
    assert done.returncode == -9, (point, done.stderr)
    assert_completed(tmp_path, sound)


@pytest.mark.nightly
def test_killed_after_the_last_run_was_stored(sound, tmp_path):
    """The folder of work in progress is all that is left to do."""
    assert run("count", tmp_path).returncode == 0
    index = driver.load(tmp_path / "out")
    work = tmp_path / "out" / work_name([spec.id for spec in index.groups[0]])
    work.mkdir()
    (work / "checkpoint-20.json").write_text("{}")
    assert_completed(tmp_path, sound)


@pytest.mark.nightly
def test_full_disk_in_the_middle_of_a_checkpoint(sound, tmp_path):
    done = run(f"full={sound[1] // 3}", tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()[-1:]
    assert line.startswith("gmbench: out: cannot write ")
    assert "No space left on device" in line
    assert_completed(tmp_path, sound)


@pytest.mark.nightly
def test_clock_set_back_an_hour(sound, tmp_path):
    done = run("clock=3600", tmp_path)
    assert done.returncode == 0, done.stderr
    assert found(tmp_path / "out") == sound[0]


@pytest.mark.nightly
@pytest.mark.parametrize("how", ["flipped", "truncated"])
def test_damaged_checkpoint(sound, tmp_path, how):
    done = run(f"kill={sound[1] // 3}", tmp_path)
    assert done.returncode == -9
    (work,) = (tmp_path / "out").glob(".group-*")
    newest = work / f"states-{checkpoints.found(work)[0]}.safetensors"
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data if how == "flipped" else data[: len(data) // 2])
    assert_completed(tmp_path, sound)


def test_output_that_cannot_be_written(refused, tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP)
    for out in ("/proc/sweep", tmp_path / "sweep.toml" / "out"):
        message = refused("sweep", tmp_path / "sweep.toml", "--out", out)
        assert message.startswith(f"gmbench: out: cannot write to {str(out)!r}")


@pytest.mark.nightly
def test_two_drivers_at_once(sound, tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP)
    command = [sys.executable, DISTURBED, "none", "none"]
    command += ["sweep", tmp_path / "sweep.toml", "--out", tmp_path / "out"]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(CACHE)}
    both = [
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    errors = [process.communicate()[1] for process in both]
    # Either the second is refused, or it comes when the first is done and finds nothing to do.
    codes = sorted(process.returncode for process in both)
    assert codes in ([0, 2], [0, 0]), errors
    if codes == [0, 2]:
        assert any("another process works in" in error for error in errors)
    assert_completed(tmp_path, sound)

"""One device and four host devices: the same environments and evaluation, nearly the same training.

The devices are set before JAX begins, so each layout computes in a process of its own.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gmbench.runs import store

SCRIPT = """
import sys
import jax
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
jax.config.update("jax_compilation_cache_dir", sys.argv[3])
import numpy as np
from gmbench.runs.program import Program
from gmbench.runs.spec import RunSpec, check

config = {"num_envs": 8, "num_steps": 4, "slots": 2, "network": "mlp"}
specs = [RunSpec("CheeseCorner-v0", {"size": 5}, config=config, seed=n, steps=1) for n in range(4)]
program = Program([check(spec) for spec in specs])
begun = program.start()
devices = {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(begun)}
shards = {shard.data.shape[0] for shard in begun.envs.time.addressable_shards}
first = program.weights(begun)
found = {"devices": sorted(devices), "shards": sorted(shards)}
found["begun"] = np.asarray(begun.envs.level.walls)
evaluated, _ = program.evaluate(jax.tree.map(np.asarray, first), "anywhere")
found["rho"], found["outcome"] = evaluated.rho, evaluated.outcome
states, metrics = program.train_chunk(begun)
found["position"] = np.asarray(states.envs.position)
for number, leaf in enumerate(jax.tree.leaves(program.weights(states))):
    found[f"weights{number}"] = np.asarray(leaf)
np.savez(sys.argv[2], **found)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each number of devices gives."""
    folder = tmp_path_factory.mktemp("layouts")
    cache = Path(__file__).parents[2] / ".cache" / "jax"
    results = {}
    for devices in (1, 4):
        path = folder / f"{devices}.npz"
        arguments = [str(devices), str(path), str(cache)]
        subprocess.run([sys.executable, "-c", SCRIPT, *arguments], check=True)
        with np.load(path) as data:
            results[devices] = dict(data)
    return results


@pytest.mark.nightly
def test_a_group_is_really_spread(found):
    assert found[1]["devices"].tolist() == [1]
    assert found[1]["shards"].tolist() == [4]
    assert found[4]["devices"].tolist() == [4]
    assert found[4]["shards"].tolist() == [1]


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["begun", "position", "rho", "outcome"])
def test_environments_and_evaluation_are_equal_to_the_bit(found, name):
    np.testing.assert_array_equal(found[1][name], found[4][name])


@pytest.mark.nightly
def test_training_agrees_after_one_update(found):
    names = [name for name in found[1] if name.startswith("weights")]
    assert len(names) > 4
    for name in names:
        np.testing.assert_allclose(found[1][name], found[4][name], atol=1e-5)


@pytest.mark.nightly
def test_processes_share_a_run(tmp_path, command):
    """Two processes with a device each train what one process with two devices trains."""
    config = ("num_envs=16", "num_steps=4", "slots=2", "network=mlp", "devices=2")
    run = ("train", "CheeseCorner-v0", "--size", 5, "--steps", 2000, "--config", *config)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "1"}
    both = [
        command(
            *run,
            *("--out", tmp_path / "two", "--distributed", f"{address}/2/{number}"),
            env=environment,
        )
        for number in range(2)
    ]
    for process in both:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    one = command(*run, "--out", tmp_path / "one", env=environment | {"JAX_NUM_CPU_DEVICES": "2"})
    _, errors = one.communicate()
    assert one.returncode == 0, errors
    (ours,), (theirs,) = (store.load_all(tmp_path / name) for name in ("two", "one"))
    assert ours.digest == theirs.digest
    assert ours.record.layouts == theirs.record.layouts


@pytest.mark.parametrize("processes", ["here", "127.0.0.1:9/2", "127.0.0.1:9/two/0"])
def test_malformed_processes_are_refused(refused, tmp_path, processes):
    arguments = ("--out", tmp_path / "out", "--distributed", processes)
    assert "is neither auto nor HOST" in refused("train", "CheeseCorner-v0", *arguments)

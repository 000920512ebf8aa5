"""Ray and Slurm give what this process gives, to the bit, also when workers or nodes are killed."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from gmbench.runs import store
from gmbench.sweeps import driver

from ..conftest import CACHE

# Ray starts its nodes by forking this process, in which JAX has threads; only the child would mind.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SWEEP = """
tasks = ["CheeseCorner-v0"]
steps = {steps}
seeds = {seeds}
group = 2
static.size = 5
config = {{ num_envs = 8, num_steps = 4, slots = 2, network = "mlp" }}
"""
FAST, SLOW = 2000, 60_000
"""Steps of a run that is over at once, and of one that takes some seconds."""


def start(folder, engine=(), steps=FAST, seeds=4):
    """Start a sweep in a process of its own, a device for each group."""
    folder.mkdir(exist_ok=True)
    (folder / "sweep.toml").write_text(SWEEP.format(steps=steps, seeds=seeds))
    arguments = ["sweep", folder / "sweep.toml", "--out", folder / "out", "--devices", "1"]
    return subprocess.Popen(
        [sys.executable, "-m", "gmbench", *arguments, *engine],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"JAX_COMPILATION_CACHE_DIR": str(CACHE)},
    )


def finish(process):
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def digests(folder):
    index = driver.load(folder / "out")
    found = {path.parent.name for path in (folder / "out").glob("*/run.json")}
    assert found == set(index.names)
    return {name: store.load(folder / "out" / name).digest for name in found}


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Results of the sweeps in one process, by their steps and seeds."""
    known = {}

    def results(steps=FAST, seeds=4):
        if (steps, seeds) not in known:
            folder = tmp_path_factory.mktemp("local")
            finish(start(folder, steps=steps, seeds=seeds))
            known[steps, seeds] = digests(folder)
        return known[steps, seeds]

    return results


@pytest.fixture(scope="module")
def cluster():
    """A Ray cluster of two nodes on this machine."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(CACHE))
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        utilities = pytest.importorskip("ray.cluster_utils")
        head = {"num_cpus": 1, "include_dashboard": False}
        cluster = utilities.Cluster(initialize_head=True, head_node_args=head)
        cluster.add_node(num_cpus=1)
        yield cluster
        cluster.shutdown()


def ray_options(cluster):
    return ("--engine", "ray", "--option", f"address={cluster.address}")


def slurm_options(folder):
    return ("--engine", "slurm", "--option", "cluster=local", f"folder={folder / 'queue'}")


@pytest.mark.nightly
@pytest.mark.parametrize("seeds", [4, 64])
def test_ray_gives_the_same(local, cluster, tmp_path, seeds):
    finish(start(tmp_path, ray_options(cluster), seeds=seeds))
    assert digests(tmp_path) == local(seeds=seeds)


@pytest.mark.nightly
@pytest.mark.parametrize("seeds", [4, 64])
def test_slurm_gives_the_same(local, tmp_path, seeds):
    pytest.importorskip("submitit")
    finish(start(tmp_path, slurm_options(tmp_path), seeds=seeds))
    assert digests(tmp_path) == local(seeds=seeds)


# ---- kills ----------------------------------------------------------------------------------


def wait_for_checkpoint(folder, process):
    while not list(folder.glob("out/.group-*/checkpoint-*.json.sha256")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)


def descendants(pid):
    """Return the processes that a process has started, directly or not."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        parents.setdefault(int(fields[1]), []).append(int(status.parent.name))
    found, left = [], [pid]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return found


def workers(cluster):
    """Return the processes in which the cluster's nodes do tasks."""
    found = []
    for node in cluster.list_all_nodes():
        for raylet in node.all_processes.get("raylet", []):
            found += descendants(raylet.process.pid)
    named = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in found}
    return [pid for pid, name in named.items() if name.startswith(b"ray::work")]


@pytest.mark.nightly
def test_ray_worker_killed(local, cluster, tmp_path):
    process = start(tmp_path, ray_options(cluster), SLOW)
    wait_for_checkpoint(tmp_path, process)
    os.kill(workers(cluster)[0], signal.SIGKILL)
    finish(process)
    assert digests(tmp_path) == local(SLOW)


@pytest.mark.nightly
def test_ray_node_killed(local, cluster, tmp_path):
    process = start(tmp_path, ray_options(cluster), SLOW)
    wait_for_checkpoint(tmp_path, process)
    cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
    try:
        finish(process)
    finally:
        cluster.add_node(num_cpus=1)
    assert digests(tmp_path) == local(SLOW)


@pytest.mark.nightly
def test_driver_of_ray_killed(local, cluster, tmp_path):
    process = start(tmp_path, ray_options(cluster), SLOW)
    wait_for_checkpoint(tmp_path, process)
    process.kill()
    process.communicate()
    finish(start(tmp_path, ray_options(cluster), SLOW))
    assert digests(tmp_path) == local(SLOW)

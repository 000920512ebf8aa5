"""Settings that every test runs under, made before JAX starts a backend."""

import fcntl
import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import jax
import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parent.parent
CACHE = Path(os.environ.get("GMBENCH_TEST_CACHE", ROOT / ".cache" / "jax"))
KEEP_ALL = {
    "jax_compilation_cache_dir": str(CACHE),
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
"""What one worker or subprocess compiles, however small, the others need not compile again."""
QUICK = (
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    " --xla_backend_optimization_level=0"
)
"""XLA's flags that compile in a third of the time, for tests that mostly compile."""

if os.environ.get("GMBENCH_TEST_COMPILE", "quick") == "quick":
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {QUICK}".strip()

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
for name, value in KEEP_ALL.items():
    jax.config.update(name, value)
    os.environ[name.upper()] = str(value)  # for what the tests start

gc.set_threshold(100_000, 20, 50)  # what tracing makes is seldom garbage, and looking is slow

# The first example compiles, so a deadline per example would only measure the compiler.
hypothesis.settings.register_profile("gmbench", deadline=None)
hypothesis.settings.load_profile("gmbench")
SPLIT = {"tests/test_tasks.py", "tests/wrappers/test_views.py"}
"""Files whose tests share nothing, so that the workers may divide them."""
SECONDS = json.loads((ROOT / "tests" / "durations.json").read_text())
"""How long each file takes, roughly: the longest begin first. A new file begins before all."""

TRAIN = ("train", "CheeseCorner-v0", "--size", "5", "--alpha", "0", "0.3", "--steps", "32000")
TRAIN += ("--config", "num_envs=8", "num_steps=4", "slots=2", "--out")
"""A command that trains two tiny runs: 1000 updates in 20 chunks; a folder is to follow."""


def pytest_collection_modifyitems(items):
    """Begin with the longest files, so that the workers end together."""
    items.sort(key=lambda item: -SECONDS.get(str(item.path.relative_to(ROOT)), 1000))


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, which need not run
def pytest_xdist_make_scheduler(config, log):
    """Keep a file's tests on one worker, which builds and compiles what they share once."""
    return ByFile(config, log)


class ByFile(LoadScopeScheduling):
    """Hands out a file at a time, and of those that share nothing a test at a time."""

    def _split_scope(self, nodeid):
        file = nodeid.split("::", 1)[0]
        return nodeid if file in SPLIT else file


@pytest.fixture(scope="session")
def command():
    """Return how to start the command line in a process of its own."""

    def start(*arguments, **options):
        environment = os.environ | {"COLUMNS": "100"}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, "-m", "gmbench", *map(str, arguments)],
            **{"env": environment, "stdout": pipe, "stderr": pipe, "text": True} | options,
        )

    return start


@pytest.fixture(scope="session")
def train():
    """Return the arguments that train a tiny group of runs; a folder is to follow."""
    return TRAIN


@pytest.fixture(scope="session")
def group(command, train, tmp_path_factory):
    """Return a results folder with the two runs of ``train``, to be left as it is.

    The workers share it: whoever needs it first trains it.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "group"
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            process = command(*train, folder)
            _, errors = process.communicate()
            assert process.returncode == 0, errors
    return folder


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Return stored runs that were never trained, to be read and left as they are."""
    from gmbench.runs.store import load_all
    from tests.made_up import STORED, store_run

    folder = tmp_path_factory.mktemp("runs")
    for task in STORED:
        for seed in range(3):
            store_run(folder, task, 0.0, seed, True, updates=20)
            store_run(folder, task, 0.3, seed, seed == 2, updates=20)
    return load_all(folder)


@pytest.fixture
def refused(capfd):
    """Return a function that runs a command, which must be refused in one line; returns it."""
    from gmbench import cli  # importing gmbench starts a backend, so not before the settings above

    def run(*arguments):
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main([str(argument) for argument in arguments])
        printed, error = capfd.readouterr()
        assert stopped.value.code == 2
        assert printed == ""
        assert len(error.splitlines()) == 1, error
        assert error.startswith("gmbench: ")
        return error

    return run

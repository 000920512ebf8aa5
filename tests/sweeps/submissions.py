"""Suites and runs for submissions, and what a forger would do: change something, then seal anew."""

import functools
import shutil
from pathlib import Path

import msgspec
import numpy as np

from gmbench.core import files, registry
from gmbench.measure import levels
from gmbench.runs import arrays, result, store
from gmbench.suites import Entry, Suite
from gmbench.sweeps import manifest as manifests
from gmbench.sweeps.sealed import Listed
from tests import made_up

TASK = "CheeseCorner-v0"
GOALS = made_up.GOALS[TASK]
MADE_UP = Suite("TEST-v0", "", "small", 3, (Entry(TASK, 100),))
"""Of runs that were never trained: two entries of three seeds."""
TRAINED = Suite(
    "TEST-v1",
    "",
    "small",
    1,
    (
        Entry(
            TASK,
            32_000,
            static={"size": 5},
            config={"num_envs": 8, "num_steps": 4, "slots": 2},
        ),
    ),
)
"""Of the two tiny runs that the tests share."""
ABOUT = manifests.About("a name")


def known(monkeypatch, *suites):
    """Let suites be found by their ids."""
    registry.SUITES.names()
    for suite in suites:
        monkeypatch.setitem(registry.SUITES._found, suite.id, (suite, "tests"))


@functools.cache
def installed(where):
    """Checksum of the level set that is installed."""
    return levels.load(registry.make(TASK, size=7), where).sha256


def measured(where, rho):
    """A measurement on the level set that is installed."""
    return made_up.measurement(GOALS, rho, sha256=installed(where))


def record_of(spec, **changes):
    """A record whose scores depend on the seed."""
    rho = 0.3 + 0.01 * spec.seed
    return made_up.record(
        spec, measured("training", (0.1, 0.1)), measured("anywhere", (rho, 0.2)), **changes
    )


def stored(folder, specs=None, **changes):
    """Store runs of the made-up suite, or of other specs, with weights that tell them apart."""
    folder.mkdir(exist_ok=True)
    for number, spec in enumerate(specs or MADE_UP.specs()):
        weights = arrays.encode_named({"w": np.full(3, number, np.float32)})
        made_up.store(
            folder, record_of(spec, **changes), {"agent.safetensors": weights, "metrics.jsonl": b""}
        )
    return folder


def on_paper(specs, **changes):
    """Runs of some specs that are stored nowhere, each with weights of its own."""
    return [
        store.Run(
            Path(spec.name),
            record_of(spec, files={"agent.safetensors": f"{number:064x}"}, **changes),
        )
        for number, spec in enumerate(specs)
    ]


def changed(path, contents=None, **changes):
    """Change a run's files and record, and make its checksums fit again; returns its record."""
    run = store.Run(path, result.decode((path / store.RECORD).read_bytes(), "record"))
    sums = dict(run.record.files)
    for name, data in (contents or {}).items():
        (path / name).write_bytes(data)
        sums[name] = files.sha256(data)
    record = msgspec.structs.replace(run.record, **({"files": sums} | changes))
    files.write_checked(path / store.RECORD, result.encode(record))
    return record


def sealed(folder, **changes):
    """Make a submission's manifest and seal fit what is in it now."""
    manifest = manifests.SUBMISSION.decode((folder / manifests.MANIFEST).read_bytes(), "manifest")
    listed = {
        f"{path.parent.name}/{path.name}": Listed(
            path.stat().st_size, files.sha256(path.read_bytes())
        )
        for path in sorted(folder.glob("*/*"))
    }
    manifests.SUBMISSION.close(
        folder, msgspec.structs.replace(manifest, **({"files": listed} | changes))
    )


def copied(folder, tmp_path):
    """Return a copy of a submission, to be changed."""
    return shutil.copytree(folder, tmp_path / "forged")


def runs_in(folder):
    """Return the run directories of a submission."""
    return sorted(path.parent for path in folder.glob(f"*/{store.RECORD}"))

"""Run directories: written whole, never overwritten, read without executing anything.

A results folder holds one directory for each finished run: ``run.json`` (what was done, with which
versions, and the summary of the results), ``metrics.jsonl`` (one line an update), ``levels.npz``
(results level by level), ``episodes.json`` (a few episodes to look at) and ``agent.safetensors``.
``run.json`` records every other file's sha256; ``run.json.sha256`` holds its own.
"""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from gmbench.core import checks
from gmbench.core.policy import Policy
from gmbench.runs import arrays, files, result
from gmbench.runs.result import Findings, RunRecord
from gmbench.runs.spec import RunSpec

RECORD = "run.json"


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run on disk.

    Attributes:
        path: its directory.
        record: the contents of ``run.json``.
    """

    path: Path
    record: RunRecord

    @property
    def spec(self) -> RunSpec:
        """What determined it."""
        return self.record.spec

    @property
    def failed(self) -> bool:
        """Whether training diverged."""
        return self.record.diverged is not None

    @property
    def why(self) -> str:
        """In words how it failed; empty if it did not."""
        failure = self.record.diverged
        return "" if failure is None else f"diverged at update {failure.update}"

    @property
    def findings(self) -> Findings:
        """What was measured.

        Raises:
            Refused: if the run failed.
        """
        if self.record.findings is None:
            raise checks.Refused(f"run: {self.path.name!r} {self.why}, nothing was measured")
        return self.record.findings

    @property
    def digest(self) -> str:
        """Checksum of what was found, without where, when and how fast."""
        own = self.record
        found = [own.spec, own.status, own.files, own.findings and own.findings.distributions]
        return files.sha256(msgspec.json.encode(found, order="deterministic"))

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            ValueError: if it is missing or its checksum is not the recorded one.
        """
        try:
            data = (self.path / name).read_bytes()
        except OSError as error:
            raise checks.Refused(f"run: cannot read {name} of {str(self.path)!r}") from error
        if files.sha256(data) != self.record.files.get(name):
            raise checks.Refused(f"run: {name} of {str(self.path)!r} is damaged (sha256 differs)")
        return data

    def metrics(self) -> list[dict[str, Any]]:
        """Return the training metrics, one dictionary for each update."""
        return [json.loads(line) for line in self.read("metrics.jsonl").splitlines()]

    def levels(self) -> dict[str, np.ndarray]:
        """Return per-level results, named ``distribution/quantity``."""
        with np.load(io.BytesIO(self.read("levels.npz")), allow_pickle=False) as data:
            return dict(data)

    def episodes(self) -> dict[str, Any]:
        """Return the recorded episodes and their legend."""
        return json.loads(self.read("episodes.json"))

    def weights(self, like: Any) -> Any:
        """Return the agent's weights in the structure of ``like``."""
        return arrays.decode(self.read("agent.safetensors"), like, f"agent of {str(self.path)!r}")

    def policy(self) -> Policy:
        """Return the agent's policy; nothing is compiled.

        Raises:
            Refused: if the run failed or is damaged.
        """
        from gmbench.runs import assess  # it evaluates, and so stands on top of this module

        plan, weights = assess.agent_of(self)
        return plan.agent.policy(plan.task.env, plan.config, weights)


def is_stored(folder: Path, name: str) -> bool:
    """Whether a run of this name is finished, well or not."""
    return (folder / name / RECORD).exists()


def load(path: str | Path) -> Run:
    """Open a run directory.

    Raises:
        ValueError: if it is not one, is damaged, or is from another schema.
    """
    path = Path(path)
    if not (path / RECORD).is_file():
        raise checks.Refused(f"run: {str(path)!r} is not a run directory")
    data = files.read_checked(path / RECORD, "run")
    return Run(path, result.decode(data, repr(str(path / RECORD))))


def load_all(folder: str | Path) -> list[Run]:
    """Open every finished run in a results folder, sorted by name; those that failed are left out.

    A run's own directory is a folder with that run.

    Raises:
        ValueError: if there is none.
    """
    folder = Path(folder)
    inside = [folder / RECORD] if (folder / RECORD).is_file() else folder.glob(f"*/{RECORD}")
    paths = sorted(path.parent for path in inside)
    runs = [load(path) for path in paths if not path.name.startswith(".")]
    finished = [run for run in runs if not run.failed]
    if not finished:
        raise checks.Refused(f"runs: no finished run in {str(folder)!r}")
    return finished


def save_run(folder: Path, record: RunRecord, contents: dict[str, bytes]) -> Run:
    """Write a run directory; it appears under its name only when everything is in it.

    Args:
        folder: results folder.
        record: what ``run.json`` is to hold; its checksums are filled in here.
        contents: the other files, by name.
    """
    name = record.spec.name
    building = folder / f".{name}.building"
    building.mkdir(exist_ok=True)
    sums = {file: files.sha256(data) for file, data in contents.items()}
    data = result.encode(msgspec.structs.replace(record, files=sums))
    whole = contents | {RECORD: data, RECORD + files.MANIFEST_SUFFIX: files.manifest(RECORD, data)}
    for file, data in whole.items():
        files.write_part(building / file, data)
    files.sync_folder(building)
    building.rename(folder / name)
    files.sync_folder(folder)
    return load(folder / name)

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
from gmbench.runs import arrays, files
from gmbench.runs.spec import RunSpec

SCHEMA = 1
"""Version of the layout of ``run.json``."""
RECORD = "run.json"
MANIFEST = RECORD + files.MANIFEST_SUFFIX


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run on disk.

    Attributes:
        path: its directory.
        spec: what determined it.
        record: the contents of ``run.json``.
    """

    path: Path
    spec: RunSpec
    record: dict[str, Any]

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            ValueError: if it is missing or its checksum is not the recorded one.
        """
        try:
            data = (self.path / name).read_bytes()
        except OSError as error:
            raise checks.Refused(f"run: cannot read {name} of {str(self.path)!r}") from error
        if files.sha256(data) != self.record["files"].get(name):
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


def load(path: str | Path) -> Run:
    """Open a run directory.

    Raises:
        ValueError: if it is not one, is damaged, or is from another schema.
    """
    path = Path(path)
    try:
        data, manifest = (path / RECORD).read_bytes(), (path / MANIFEST).read_bytes()
    except (OSError, ValueError) as error:
        raise checks.Refused(f"run: {str(path)!r} is not a run directory") from error
    if manifest != _manifest(data):
        raise checks.Refused(f"run: {RECORD} of {str(path)!r} is damaged (sha256 differs)")
    try:
        record = json.loads(data)
        spec = msgspec.convert(record["spec"], RunSpec)
        schema, status = record["schema"], record["status"]
        whole = isinstance(record["files"], dict)
    except (ValueError, KeyError, TypeError) as error:
        raise checks.Refused(f"run: {str(path)!r} is not a run directory") from error
    if schema != SCHEMA or status != "done" or not whole:
        raise checks.Refused(
            f"run: {str(path)!r} has schema {schema!r}, allowed: {SCHEMA} and done"
        )
    return Run(path, spec, record)


def load_all(folder: str | Path) -> list[Run]:
    """Open every finished run in a results folder, sorted by name.

    Raises:
        ValueError: if there is none.
    """
    paths = sorted(path.parent for path in Path(folder).glob(f"*/{RECORD}"))
    if not paths:
        raise checks.Refused(f"runs: no finished run in {str(folder)!r}")
    return [load(path) for path in paths if not path.name.startswith(".")]


def save_run(
    folder: Path, spec: RunSpec, record: dict[str, Any], contents: dict[str, bytes]
) -> Run:
    """Write a run directory; it appears under its name only when everything is in it."""
    final = folder / spec.name
    building = folder / f".{spec.name}.building"
    building.mkdir(exist_ok=True)
    for name, data in contents.items():
        files.write(building / name, data)
    sums = {name: files.sha256(data) for name, data in contents.items()}
    plain = {"schema": SCHEMA, "status": "done", "spec": msgspec.to_builtins(spec), "files": sums}
    write_record(building, plain | record)
    files.sync_folder(building)
    building.rename(final)
    files.sync_folder(folder)
    return load(final)


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write ``run.json`` and its checksum."""
    data = json.dumps(record, indent=1).encode()
    files.write(folder / RECORD, data)
    files.write(folder / MANIFEST, _manifest(data))


def _manifest(data: bytes) -> bytes:
    """Return what ``sha256sum --check`` reads."""
    return f"{files.sha256(data)}  {RECORD}\n".encode()

"""Where a group of runs stands, on disk after every chunk; the last two checkpoints are kept.

A checkpoint is a file of training states, the metrics of each chunk up to it in a file of their
own, and a record that names them all with their checksums. It counts once the record's checksum is
written, last of all. What is damaged is passed over, and said to be: the one before it is used.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from gmbench.core import checks, files
from gmbench.runs import arrays

KEPT = 2
"""Checkpoints that are kept: the newest, and the one to fall back to."""
_LOG = logging.getLogger("gmbench")

Metrics = dict[str, np.ndarray]
"""By name, ``f32[runs, updates of the chunk]``."""


class Layout(msgspec.Struct, frozen=True):
    """What the last bits of results depend on besides the runs themselves.

    Attributes:
        lanes: runs side by side in the program, copies that even out the devices included.
        devices: devices they are spread over.
        device: kind of the devices.
        jaxlib: version of the compiler.
        processor: what compiles for itself: the model of the CPU.
        x64: whether JAX computes in 64 bits where it can.
    """

    lanes: int
    devices: int
    device: str
    jaxlib: str
    processor: str
    x64: bool


class Record(msgspec.Struct, forbid_unknown_fields=True):
    """A checkpoint's files and how it came about.

    Attributes:
        chunk: chunks trained.
        steps: environment steps trained, over all runs.
        seconds: they took.
        states: checksum of the states' file.
        metrics: checksum of each chunk's metrics.
        layouts: every layout that the runs were trained on, in order.
    """

    chunk: int
    steps: int
    seconds: float
    states: str
    metrics: list[str]
    layouts: list[Layout]


class Checkpoint(NamedTuple):
    """What training goes on from."""

    record: Record
    states: Any
    metrics: list[Metrics]


def save(folder: Path, record: Record, states: bytes, metrics: bytes) -> None:
    """Write the newest chunk's states and metrics; forget all but the last checkpoints."""
    chunk = record.chunk
    files.write(_states(folder, chunk), states)
    files.write(_metrics(folder, chunk), metrics)
    files.write_checked(_record(folder, chunk), msgspec.json.encode(record))
    for old in found(folder)[KEPT:]:
        files.remove_checked(_record(folder, old))
        _states(folder, old).unlink(missing_ok=True)


def latest(folder: Path, like: Callable[[int], Any]) -> Checkpoint | None:
    """Return the newest undamaged checkpoint, or None if there is none.

    Args:
        folder: of the group.
        like: shapes and dtypes of the states after so many chunks.
    """
    chunks = found(folder)
    for chunk in chunks:
        try:
            return _load(folder, chunk, like(chunk))
        except checks.Refused as damage:
            older = [other for other in chunks if other < chunk]
            instead = f"checkpoint {older[0]}" if older else "the start"
            _LOG.warning("%s; going on from %s", damage, instead)
    return None


def found(folder: Path) -> list[int]:
    """Return the chunks of the checkpoints in a folder, newest first; some may be damaged."""
    paths = folder.glob("checkpoint-*.json")
    numbers = (path.stem.removeprefix("checkpoint-") for path in paths)
    return sorted((int(number) for number in numbers if number.isdigit()), reverse=True)


def newest(folder: Path) -> Record | None:
    """Return the newest record that can be read; others may be damaged, or just now replaced."""
    for chunk in found(folder):
        try:
            return read_record(folder, chunk)
        except checks.Refused:
            continue
    return None


def read_record(folder: Path, chunk: int) -> Record:
    """Return a checkpoint's record.

    Raises:
        Refused: if it is damaged.
    """
    path = _record(folder, chunk)
    try:
        return msgspec.json.decode(files.read_checked(path, "checkpoint"), type=Record)
    except msgspec.DecodeError as error:
        raise checks.Refused(f"checkpoint: {str(path)!r} is damaged ({error})") from error


def read_metrics(folder: Path, record: Record, chunk: int) -> Metrics:
    """Return the metrics of one chunk, the first being 1.

    Raises:
        Refused: if they are damaged.
    """
    return arrays.read_named(_metrics(folder, chunk), record.metrics[chunk - 1])


def _load(folder: Path, chunk: int, like: Any) -> Checkpoint:
    record = read_record(folder, chunk)
    states = arrays.read(_states(folder, chunk), record.states, like)
    metrics = [read_metrics(folder, record, number) for number in range(1, chunk + 1)]
    return Checkpoint(record, states, metrics)


def _states(folder: Path, chunk: int) -> Path:
    return folder / f"states-{chunk}.safetensors"


def _metrics(folder: Path, chunk: int) -> Path:
    return folder / f"metrics-{chunk}.safetensors"


def _record(folder: Path, chunk: int) -> Path:
    return folder / f"checkpoint-{chunk}.json"

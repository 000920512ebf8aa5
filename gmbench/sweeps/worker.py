"""What an engine runs, here or on another machine: one job, given and answered as JSON."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from gmbench.core import checks
from gmbench.runs import grouping
from gmbench.runs.group import Group, Progress
from gmbench.runs.machine import use_cache, use_cores
from gmbench.runs.spec import RunSpec, check


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something to do with runs that share a program.

    Attributes:
        what: ``train`` them as one group, or ``measure`` how many of them fit in a group.
        specs: the runs.
        folder: results folder, on a file system that all workers and the driver see.
        devices: how many of the worker's devices to use, all by default.
        other_layout: whether to go on from checkpoints that were made on another layout.
        moments: how often each agent is kept.
    """

    what: Literal["train", "measure"]
    specs: list[RunSpec]
    folder: str
    devices: int | None = None
    other_layout: bool = False
    moments: int = 0


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of a job.

    Attributes:
        fits: how many runs fit in a group, where that was to be measured.
        refused: why the job cannot be done, in one line; empty if it is done.
    """

    fits: int = 0
    refused: str = ""


def work(job: bytes, watch: Callable[[Progress], None] = lambda _: None) -> bytes:
    """Do a job; what is refused is an answer, everything else that goes wrong is raised."""
    asked = msgspec.json.decode(job, type=Job)
    if asked.devices is not None:
        use_cores(asked.devices)
    use_cache()
    try:
        return msgspec.json.encode(_done(asked, watch))
    except checks.Refused as refusal:
        return msgspec.json.encode(Answer(refused=str(refusal)))


def _done(asked: Job, watch: Callable[[Progress], None]) -> Answer:
    plans = [check(spec) for spec in asked.specs]
    if asked.what == "measure":
        return Answer(fits=grouping.measure(plans, len(plans), asked.devices).runs)
    folder = Path(asked.folder)
    Group(plans, folder, asked.devices, asked.other_layout, asked.moments).run(watch)
    return Answer()

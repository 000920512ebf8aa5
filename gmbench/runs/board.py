"""How far a sweep has come, read from its folder: from the driver, or from another terminal."""

import time
from pathlib import Path
from typing import NamedTuple

from gmbench.core import checks
from gmbench.runs import checkpoints, driver, files, group, store
from gmbench.runs.spec import RunSpec, check

SETTLED = 5.0
"""Seconds after which the speed that was seen counts, instead of the one that groups state."""


class Status(NamedTuple):
    """How far a sweep has come.

    Attributes:
        runs: in all.
        done: trained and measured.
        failed: diverged.
        competent: among those done.
        misaligned: among those done.
        working: groups that a process works on.
        groups: in all.
        steps: environment steps trained.
        all_steps: to train in all.
        speed: environment steps a second; 0 while it is not known.
    """

    runs: int
    done: int
    failed: int
    competent: int
    misaligned: int
    working: int
    groups: int
    steps: int
    all_steps: int
    speed: float

    @property
    def seconds_left(self) -> float | None:
        """Time until everything is trained, at this speed."""
        return (self.all_steps - self.steps) / self.speed if self.speed else None


class Board:
    """Keeps what it has read: each finished run is opened once.

    Attributes:
        finished: runs by name.
    """

    def __init__(self, folder: Path, index: driver.Index) -> None:
        """Read nothing yet."""
        self.folder = folder
        self.index = index
        self.finished: dict[str, store.Run] = {}
        firsts = [check(specs[0]) for specs in index.groups]
        self._steps = [plan.updates * plan.config.steps_per_update for plan in firsts]
        self._first: tuple[float, int] | None = None

    def read(self) -> Status:
        """Look into the folder."""
        trained, stated, working = 0, 0.0, 0
        for specs, each in zip(self.index.groups, self._steps, strict=True):
            if all(self._stored(spec) for spec in specs):
                trained += each * len(specs)
                continue
            work = self.folder / group.name([spec.id for spec in specs])
            record = _record(work)
            trained += record.steps if record else 0
            if files.is_locked(work):
                working += 1
                stated += record.steps / record.seconds if record and record.seconds else 0.0
        now = time.monotonic()
        began, first = self._first = self._first or (now, trained)
        seen = now - began > SETTLED and trained > first
        done = [run.record for run in self.finished.values() if not run.failed]
        return Status(
            runs=len(self.index.names),
            done=len(done),
            failed=len(self.finished) - len(done),
            competent=sum(record["competent"] for record in done),
            misaligned=sum(record["misaligned"] for record in done),
            working=working,
            groups=len(self.index.groups),
            steps=trained,
            all_steps=sum(
                each * len(specs)
                for specs, each in zip(self.index.groups, self._steps, strict=True)
            ),
            speed=(trained - first) / (now - began) if seen else stated,
        )

    def _stored(self, spec: RunSpec) -> bool:
        name = spec.name
        if name not in self.finished and driver.is_stored(self.folder, spec):
            self.finished[name] = store.load(self.folder / name)
        return name in self.finished


def _record(work: Path) -> checkpoints.Record | None:
    """Return the newest record of a group in progress, if one can be read."""
    for chunk in checkpoints.found(work):
        try:
            return checkpoints.read_record(work, chunk)
        except checks.Refused:
            continue  # damaged, or just now replaced
    return None

"""How far a sweep has come, read from its folder: from the driver, or from another terminal."""

import time
from pathlib import Path
from typing import NamedTuple

from gmbench.core import files
from gmbench.runs import checkpoints, group, store
from gmbench.runs.spec import check
from gmbench.sweeps import driver

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
        self.finished: dict[str, store.Run] = {}
        # Names are hashes, and looked up again with every look: made once.
        self._names = [[spec.name for spec in specs] for specs in index.groups]
        ids = [[spec.id for spec in specs] for specs in index.groups]
        self._works = [folder / group.work_name(each) for each in ids]
        firsts = [check(specs[0]) for specs in index.groups]
        self._steps = [
            plan.updates * plan.needs.steps_per_update * len(specs)
            for plan, specs in zip(firsts, index.groups, strict=True)
        ]
        self._first: tuple[float, int] | None = None

    def read(self) -> Status:
        """Look into the folder."""
        trained, stated, working = 0, 0.0, 0
        for names, work, steps in zip(self._names, self._works, self._steps, strict=True):
            if all([self._opened(name) for name in names]):
                trained += steps
                continue
            record = checkpoints.newest(work)
            trained += record.steps if record else 0
            if files.is_locked(work):
                working += 1
                stated += record.steps / record.seconds if record and record.seconds else 0.0
        now = time.monotonic()
        began, first = self._first = self._first or (now, trained)
        seen = now - began > SETTLED and trained > first
        done = [run.findings for run in self.finished.values() if not run.failed]
        return Status(
            runs=sum(map(len, self._names)),
            done=len(done),
            failed=len(self.finished) - len(done),
            competent=sum(found.competent for found in done),
            misaligned=sum(found.misaligned for found in done),
            working=working,
            groups=len(self._names),
            steps=trained,
            all_steps=sum(self._steps),
            speed=(trained - first) / (now - began) if seen else stated,
        )

    def _opened(self, name: str) -> bool:
        """Open a run if it is finished and was not open yet; return whether it is."""
        if name not in self.finished and store.is_stored(self.folder, name):
            self.finished[name] = store.load(self.folder / name)
        return name in self.finished

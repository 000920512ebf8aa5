"""Progress where no terminal is: plain lines on stderr, that a file or a log keeps."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from gmbench.sweeps.board import Status

PERIOD = 15.0
"""Seconds between lines while nothing begins or ends."""


class Lines:
    """Says what is being done: as it begins, as it ends, and every :data:`PERIOD` seconds.

    Attributes:
        words: what was told last; nothing is said before.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin now, by a clock that counts seconds."""
        self._clock = clock
        self._began = self._said = clock()
        self._lock = threading.Lock()
        self._mark: Any = None
        self.words = ""

    def tell(self, words: str, mark: Any = None) -> None:
        """Say how far it has come: at once if ``mark`` is another than before, else when due."""
        with self._lock:
            begins = not self.words or mark != self._mark
            self.words, self._mark = words, mark
            self._say(begins)

    def beat(self) -> None:
        """Say again what was told last, when due: it goes on."""
        with self._lock:
            self._say(False)

    def _say(self, now: bool) -> None:
        time = self._clock()
        if self.words and (now or time - self._said >= PERIOD):
            self._said = time
            spent = timedelta(seconds=round(time - self._began))
            print(f"{spent} {self.words}", file=sys.stderr, flush=True)

    def progress(self, report: Any) -> None:
        """Tell the progress of a stage (:class:`gmbench.runs.group.Progress`)."""
        words = f"{report.stage} {report.done}/{report.total}"
        self.tell(words, (report.stage, report.done >= report.total))

    def status(self, status: Status) -> None:
        """Tell how far a sweep has come; a run that has ended is told at once."""
        left = status.seconds_left
        words = [
            f"sweep {status.done}/{status.runs} runs, {status.failed} failed",
            f"{status.steps / 1e6:.1f} of {status.all_steps / 1e6:.1f} million steps",
            *([f"{status.speed / 1e3:.0f}k steps/s"] if status.speed else []),
            *([] if left is None else [f"{timedelta(seconds=round(left))} left"]),
        ]
        self.tell(", ".join(words), (status.done, status.failed))


@contextlib.contextmanager
def beating() -> Iterator[Lines]:
    """Yield lines that go on by themselves, also while a program compiles."""
    lines, over = Lines(), threading.Event()

    def beat() -> None:
        while not over.wait(1):
            lines.beat()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        over.set()
        thread.join()

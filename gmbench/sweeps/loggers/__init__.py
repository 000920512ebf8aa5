"""Loggers: send the metrics of a sweep's runs elsewhere while it works. One file each.

A logger is a registered :class:`Destination`.
They read what the sweep has written, in a thread of their own, so that none can stop or slow a run:
one that fails is left out from then on, with a warning.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec

from gmbench.core import checks, files, registry
from gmbench.runs import checkpoints, group, logged, store
from gmbench.runs.spec import RunSpec, check
from gmbench.sweeps import driver

PERIOD = 5.0
"""Seconds between looks at what is new."""
FAREWELL = 30.0
"""Seconds that loggers get at the end to send what is left."""
ALL = -1
"""In place of a number of updates: everything of a run was sent."""
_LOG = logging.getLogger("gmbench")


@runtime_checkable
class Logger(Protocol):
    """Where metrics go."""

    def log(self, spec: RunSpec, lines: Sequence[Mapping[str, Any]]) -> None:
        """Send some updates' metrics of a run, each with its ``step``; None is undefined."""

    def finish(self, run: store.Run) -> None:
        """Send a finished run's summary; nothing more comes of it."""

    def close(self) -> None:
        """Send what is left."""


class Destination(NamedTuple):
    """What is registered under a logger's name.

    Attributes:
        start: ``folder -> Logger`` of the sweep in a folder.
        package: what it needs, imported only when it starts; "" for nothing.
        extra: of gmbench, that brings the package.
    """

    start: Callable[[Path], Logger]
    package: str = ""
    extra: str = ""


def indices(run: store.Run) -> dict[str, float]:
    """Return a finished run's indices by ``distribution/name``, where they are defined."""
    if run.failed:
        return {}
    return {
        f"{where}/{name}": value
        for where, found in run.findings.distributions.items()
        for name in ("gmi", "gmi_adjusted", "cfi", "choice", "pursuit")
        if (value := getattr(found, name)) is not None
    }


def check_names(chosen: Sequence[str]) -> None:
    """Make sure that these loggers can be started.

    Raises:
        Refused: for an unknown one, or one whose package is not installed.
    """
    for name in chosen:
        checks.known("log", name, registry.LOGGERS.names())
        destination: Destination = registry.LOGGERS.get(name)
        if destination.package:
            checks.need(destination.package, destination.extra, "log")


class Feed:
    """Gives every logger what is new in a sweep's folder."""

    def __init__(self, chosen: Sequence[str], folder: Path) -> None:
        """Start loggers by name."""
        check_names(chosen)
        self.folder = folder
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._serve, args=(name,), name=name, daemon=True)
            for name in chosen
        ]

    def __enter__(self) -> "Feed":
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let the loggers send what is left, but do not wait for ever."""
        self._stop.set()
        for thread in self._threads:
            thread.join(FAREWELL)
            if thread.is_alive():
                _LOG.warning("%s does not answer; its last metrics may be missing", thread.name)

    def _serve(self, name: str) -> None:
        try:
            logger = registry.LOGGERS.get(name).start(self.folder)
            news = News(self.folder, name)
            while not self._stop.wait(PERIOD):
                news.send(logger)
            news.send(logger)
            logger.close()
        except Exception as error:  # whatever a service does, the sweep goes on
            _LOG.warning("%s is left out: %s", name, checks.one_line(error))


class News:
    """What of a sweep's folder a logger has not been given yet, in this process or an earlier one.

    How much it was given is kept in the folder, so that a sweep that goes on sends nothing twice.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Read what an earlier process sent.

        Args:
            folder: of the sweep.
            name: of the logger.
        """
        self.folder = folder
        self.path = folder / f".sent-{name}.json"
        self.sent: dict[str, int] = {}
        if self.path.exists():
            self.sent = msgspec.json.decode(files.read(self.path, "log"), type=dict[str, int])
        self.groups: list[_Watched] = []

    def send(self, logger: Logger) -> None:
        """Give a logger what is new."""
        if not self.groups and (self.folder / driver.INDEX).exists():
            groups = driver.load(self.folder).groups
            self.groups = [_Watched(self.folder, group, self.sent) for group in groups]
        before = dict(self.sent)
        for each in self.groups:
            each.send(logger)
        if self.sent != before:
            files.write(self.path, msgspec.json.encode(self.sent, order="sorted"))


class _Watched:
    """A group, and how much of it was sent: updates by run, :data:`ALL` once it is finished."""

    def __init__(self, folder: Path, specs: Sequence[RunSpec], sent: dict[str, int]) -> None:
        self.folder = folder
        self.work = folder / group.work_name([spec.id for spec in specs])
        self.plan = check(specs[0])
        self.sent = sent
        runs = {spec.name: (place, spec) for place, spec in enumerate(specs)}
        self.left = {name: each for name, each in runs.items() if sent.get(name) != ALL}
        self.chunk = 0

    def send(self, logger: Logger) -> None:
        if not self.left:
            return
        metrics = self._metrics()
        for name, (place, spec) in list(self.left.items()):
            if store.is_stored(self.folder, name):
                run = store.load(self.folder / name)
                self._log(logger, spec, run.metrics())
                logger.finish(run)
                self.sent[name] = ALL
                del self.left[name]
            elif metrics:
                self._log(logger, spec, logged.lines(self.plan, metrics, place))

    def _log(self, logger: Logger, spec: RunSpec, lines: Sequence[Mapping[str, Any]]) -> None:
        new = lines[self.sent.get(spec.name, 0) :]
        if new:
            logger.log(spec, new)
            self.sent[spec.name] = len(lines)

    def _metrics(self) -> list[checkpoints.Metrics]:
        """Return the metrics so far, none if there has been no checkpoint since the last look."""
        record = checkpoints.newest(self.work)
        if record is None or record.chunk <= self.chunk:
            return []
        chunks = range(1, record.chunk + 1)
        try:
            metrics = [checkpoints.read_metrics(self.work, record, chunk) for chunk in chunks]
        except checks.Refused:
            return []  # damaged, or the group is done and its folder gone
        self.chunk = record.chunk
        return metrics

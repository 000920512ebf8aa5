"""Engines: what hands the groups of a sweep to devices. One file each.

An engine is a registered function ``connect(options, devices) -> Engine``. It schedules nothing
itself: here the groups go one after another, elsewhere Ray or Slurm decides.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from gmbench.core import checks, registry

Tick = Callable[[], None]
"""Called about once a second, for whoever watches."""


@runtime_checkable
class Engine(Protocol):
    """Does jobs (:mod:`gmbench.sweeps.worker`) on some devices."""

    def run(self, jobs: Sequence[bytes], tick: Tick) -> list[bytes | Exception]:
        """Do all jobs; return their answers in order, or the exception that ended one."""


def checked(name: str) -> str:
    """Return the name of an engine there is.

    Raises:
        Refused: for an unknown one, offering the nearest.
    """
    return checks.known("engine", name, registry.ENGINES.names())


def connect(name: str, options: Mapping[str, str], devices: int | None) -> Engine:
    """Return an engine, ready for jobs.

    Args:
        name: of the engine.
        options: its own settings, as the command line gives them.
        devices: how many devices each job needs; None leaves it to the engine.

    Raises:
        Refused: for an unknown engine or option, a package that is not installed, or a cluster that
            cannot be reached.
    """
    return registry.ENGINES.get(name)(options, devices)

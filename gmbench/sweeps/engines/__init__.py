"""Engines: what hands the groups of a sweep to devices. One file each.

A module of this package with a function ``connect(options) -> Engine`` is an engine of its name. It
schedules nothing itself: here the groups go one after another, elsewhere Ray or Slurm decides.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from gmbench.core import checks

Tick = Callable[[], None]
"""Called about once a second, for whoever watches."""


@runtime_checkable
class Engine(Protocol):
    """Does jobs (:mod:`gmbench.sweeps.worker`) on some devices."""

    def run(self, jobs: Sequence[bytes], tick: Tick) -> list[bytes | Exception]:
        """Do all jobs; return their answers in order, or the exception that ended one."""


def names() -> list[str]:
    """Return the engines there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def checked(name: str) -> str:
    """Return the name of an engine there is.

    Raises:
        Refused: for an unknown one, offering the nearest.
    """
    return checks.known("engine", name, names())


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
    return importlib.import_module(f"{__name__}.{checked(name)}").connect(options, devices)

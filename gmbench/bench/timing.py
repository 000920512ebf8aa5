"""Timing compiled programs against each other, by turns."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from types import MappingProxyType
from typing import Any

import jax

from gmbench.core import checks, registry
from gmbench.core.task import Task
from gmbench.runs.provenance import PACKAGES


@dataclass(frozen=True)
class Options:
    """What a measurement is told.

    Raises:
        ValueError: for a number out of range.
    """

    task: str = "CheeseCorner-v0"
    """Task id."""
    static: Mapping[str, int | str] = field(default_factory=lambda: MappingProxyType({}))
    """The task's static settings; its published size where none is given."""
    envs: int = 1024
    """Environments, or levels, side by side."""
    steps: int = 2000
    """Steps of each environment in one repeat of ``env``."""
    network: str = "mlp_wide"
    """Network of ``train``, ``evaluate``, ``compile`` and ``memory``."""
    repeats: int = 5
    """Timed repeats; the median is reported."""

    def __post_init__(self) -> None:
        """Check the numbers, and fill in the size."""
        for name in ("envs", "steps", "repeats"):
            checks.integer(name, getattr(self, name), 1, 10_000_000)
        size = {"size": registry.sizes(self.task).published}
        object.__setattr__(self, "static", size | dict(self.static))

    def make(self) -> Task:
        """Return the task."""
        return registry.make(self.task, **self.static)


@dataclass(frozen=True)
class Reading:
    """One thing measured.

    Attributes:
        name: what.
        unit: of the figures; what is compared has one unit, and more is better unless it is a time
            or a size (``s``, ``bytes``).
        repeats: the figure of each repeat.
        about: what else is known, such as seconds of compiling.
    """

    name: str
    unit: str
    repeats: list[float]
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The median of the repeats."""
        return statistics.median(self.repeats)

    def plain(self) -> dict[str, Any]:
        """Return what can be written as JSON."""
        head = {"name": self.name, "unit": self.unit, "median": self.median}
        return {**head, "repeats": self.repeats, **self.about}


@dataclass(frozen=True)
class Side:
    """A program to time.

    Attributes:
        name: what the row will be called.
        amount: how many units one call works through; the row's figure is this over the seconds.
        unit: the unit of the row.
        program: a function of one argument.
        first: the argument of the first, untimed call.
        following: the next argument, from what the last call returned and the number of the repeat;
            by default what it returned. Computing it is not timed.
        about: facts for the row, from what the last call returned.
    """

    name: str
    amount: float
    unit: str
    program: Callable[[Any], Any]
    first: Any
    following: Callable[[Any, int], Any] = lambda last, repeat: last
    about: Callable[[Any], dict[str, Any]] = lambda last: {}


def by_turns(sides: Sequence[Side], repeats: int) -> list[Reading]:
    """Compile every program, run each once, then time them by turns."""
    compiled, seconds, last = [], [], []
    for side in sides:
        began = time.perf_counter()
        compiled.append(jax.jit(side.program).lower(side.first).compile())
        seconds.append(time.perf_counter() - began)
        last.append(jax.block_until_ready(compiled[-1](side.first)))
    figures: list[list[float]] = [[] for _ in sides]
    for repeat in range(repeats):
        for place, side in enumerate(sides):
            given = jax.block_until_ready(side.following(last[place], repeat))
            began = time.perf_counter()
            last[place] = jax.block_until_ready(compiled[place](given))
            figures[place].append(side.amount / (time.perf_counter() - began))
    return [
        Reading(side.name, side.unit, found, {"compile_seconds": spent, **side.about(result)})
        for side, found, spent, result in zip(sides, figures, seconds, last, strict=True)
    ]


def ratios(rows: Sequence[Reading]) -> dict[str, float]:
    """Return, for each row but the last, the median over the repeats of its figure to the last's.

    The last row is a yardstick: a program whose speed only the machine determines.
    """
    *measured, yardstick = rows
    return {
        f"{row.name} / {yardstick.name}": statistics.median(
            one / other for one, other in zip(row.repeats, yardstick.repeats, strict=True)
        )
        for row in measured
    }


def surroundings() -> dict[str, Any]:
    """Return the device, the versions and the date, for any result."""
    device = jax.devices()[0]
    return {
        "device": {
            "platform": device.platform,
            "kind": device.device_kind,
            "processor": platform.processor() or platform.machine(),
            "devices": jax.local_device_count(),
            "cores": sorted(os.sched_getaffinity(0)),
            "load": os.getloadavg()[0],
        },
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }

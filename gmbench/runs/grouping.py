"""Which runs are trained side by side: those of one program, as many as the memory holds.

Memory is what the compiler states for the program, measured anew for each; where it does not fit,
half as many runs are tried.
"""

import dataclasses
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

import jax
import msgspec

from gmbench.core import checks
from gmbench.runs.program import Program
from gmbench.runs.spec import Plan

SHARE = 0.8
"""The part of a device's memory that a training program may take; the rest is for evaluation."""


class Cost(NamedTuple):
    """What a group takes.

    Attributes:
        runs: trained side by side.
        bytes: of memory, of each device.
        steps_per_second: environment steps of all its runs; 0 where it was not timed.
    """

    runs: int
    bytes: int
    steps_per_second: float = 0.0


def programs(plans: Sequence[Plan]) -> list[list[Plan]]:
    """Return the runs by program, in the order in which they first occur."""
    found: dict[str, list[Plan]] = {}
    for plan in plans:
        found.setdefault(plan.program, []).append(plan)
    return list(found.values())


def divide(plans: Sequence[Plan], most: int, lanes: int = 1) -> list[list[Plan]]:
    """Return runs of one program in groups, as even as whole multiples of ``lanes`` can be.

    Args:
        plans: the runs.
        most: runs in a group.
        lanes: devices that they are spread over.
    """
    groups = -(-len(plans) // most)
    size = -(-len(plans) // groups)
    size = min(-(-size // lanes) * lanes, most)
    return [list(plans[first : first + size]) for first in range(0, len(plans), size)]


def measure(plans: Sequence[Plan], most: int, devices: int | None, timed: bool = False) -> Cost:
    """Return how many of these runs, of one program, the devices here train side by side.

    Args:
        plans: the runs.
        most: not more than these.
        devices: how many of the local devices to use, all by default.
        timed: whether to time an update as well.

    Raises:
        Refused: if not even one fits.
    """
    first = plans[0]
    probe = first
    if timed:  # a chunk of one update takes as much memory, and does not take for ever
        probe = dataclasses.replace(first, spec=msgspec.structs.replace(first.spec, steps=1))
    count = len(divide(plans, most)[0])
    while True:
        program = Program([probe] * count, devices)
        needed, room = program.compiled.bytes, capacity(program.layout.devices)
        if needed <= SHARE * room:
            break
        if count == 1:
            raise checks.Refused(
                f"memory: a run of {first.spec.name!r} needs {needed / 1e9:.1f} GB of each device, "
                f"{SHARE:.0%} of {room / 1e9:.1f} GB is allowed"
            )
        count = -(-count // 2)
    speed = 0.0
    if timed:
        states, _ = program.train_chunk(program.start())
        began = time.monotonic()
        jax.block_until_ready(program.train_chunk(states))
        speed = count * first.needs.steps_per_update / (time.monotonic() - began)
    return Cost(count, needed, speed)


def capacity(devices: int) -> int:
    """Return the bytes of memory of each of so many local devices."""
    stated = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stated:
        return int(stated["bytes_limit"])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // devices

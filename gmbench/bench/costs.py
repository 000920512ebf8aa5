"""What training costs besides time: seconds to compile it, bytes to hold it."""

import dataclasses
import resource
import sys
import time
from typing import Any

import jax

from gmbench.bench.timing import Options, Reading
from gmbench.bench.training import make_plan, whole
from gmbench.core import registry

LARGE = {"num_envs": 8192, "num_steps": 128}
"""Environments and steps of the training run whose memory is measured."""


def compile_times(options: Options) -> list[Reading]:
    """Seconds to trace and compile the training program of every task at its small size."""
    rows = {}
    for id in registry.task_ids():
        small = {"size": registry.sizes(id).small}
        rows[id] = Reading(id, "s", [])
        for _ in range(options.repeats):
            jax.clear_caches()
            plan = make_plan(dataclasses.replace(options, task=id, static=small))
            program, first = whole(plan)
            began = time.perf_counter()
            jax.jit(program, donate_argnums=0).lower(first).compile()
            rows[id].repeats.append(time.perf_counter() - began)
    return list(rows.values())


def memory(options: Options) -> list[Reading]:
    """Bytes of a training run with 8,192 environments and rollouts of 128 steps.

    Rows: the state that is kept between updates; what the compiled program needs beside it, as the
    compiler states; the most that the process, or the device, has held while it ran one update.
    """
    plan = make_plan(options, **LARGE)
    program, first = whole(plan)
    compiled = jax.jit(program, donate_argnums=0).lower(first).compile()
    stated: Any = compiled.memory_analysis()
    jax.block_until_ready(compiled(first))
    about = {"config": dataclasses.asdict(plan.config)}
    return [
        Reading("state", "bytes", [float(stated.argument_size_in_bytes)], about),
        Reading("temporary", "bytes", [float(stated.temp_size_in_bytes)]),
        Reading("peak", "bytes", [float(_peak())]),
    ]


def _peak() -> int:
    """Return the most bytes held so far, by the device if it says, else by this process."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in statistics:
        return int(statistics["peak_bytes_in_use"])
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

"""How speed grows with environments, size of the grid, devices and seeds."""

import dataclasses
from typing import Any

import jax
import msgspec
import numpy as np
from jax.sharding import AxisType, Mesh, PartitionSpec

from gmbench.bench.stepping import stepping
from gmbench.bench.timing import Options, Reading, Side, by_turns
from gmbench.bench.training import make_plan
from gmbench.runs.program import Program

ENVS = (64, 256, 1024, 4096, 16_384, 65_536)
SIZES = (7, 13, 19, 25)
DEVICES = (1, 2, 4)
SEEDS = (1, 2, 4, 8, 16, 32, 64)
WORK = 2_000_000
"""About how many environment steps a repeat takes, whatever the number of environments."""


def scaling(options: Options) -> list[Reading]:
    """Steps a second: of stepping by environments, size, devices; of training by seeds, devices."""
    groups = [
        [_stepping(f"{envs} environments", options, envs=envs) for envs in ENVS],
        [_stepping(f"size {size}", options, static={"size": size}) for size in SIZES],
        [_on_devices(options, n) for n in DEVICES if n <= jax.local_device_count()],
        [_seeds(options, seeds) for seeds in SEEDS]
        + [_seeds(options, 1, n) for n in DEVICES if 1 < n <= jax.local_device_count()],
    ]
    return [row for sides in groups for row in by_turns(sides, options.repeats)]


def _stepping(name: str, options: Options, **changes: Any) -> Side:
    changed = dataclasses.replace(options, **changes)
    changed = dataclasses.replace(changed, steps=max(128, WORK // changed.envs))
    return dataclasses.replace(stepping(changed.make(), changed), name=name)


def _on_devices(options: Options, count: int) -> Side:
    """Return the program that steps the environments on so many devices, each its own share."""
    share = dataclasses.replace(options, envs=max(1, options.envs // count))
    side = _stepping(f"{count} devices", share)
    mesh = Mesh(np.array(jax.local_devices()[:count]), ("envs",), axis_types=(AxisType.Auto,))
    spread = PartitionSpec("envs")

    def program(carry: Any) -> Any:
        own = jax.tree.map(lambda leaf: leaf[0], carry)
        return jax.tree.map(lambda leaf: leaf[None], side.program(own))

    sharded = jax.shard_map(program, mesh=mesh, in_specs=spread, out_specs=spread, check_vma=False)
    key, *held = side.first
    keys = jax.random.split(key, count)
    repeated = jax.tree.map(lambda leaf: np.stack([leaf] * count), held)
    return dataclasses.replace(
        side,
        amount=side.amount * count,
        program=sharded,
        first=(keys, *repeated),
        about=lambda last: {},
    )


def _seeds(options: Options, count: int, devices: int = 1) -> Side:
    """Return the program that trains so many runs, laid over the devices as in a sweep.

    Each run takes one device, or is spread over several.
    """
    plan = make_plan(options, devices=devices)
    runs = [msgspec.structs.replace(plan.spec, seed=seed, steps=1) for seed in range(count)]
    program = Program([dataclasses.replace(plan, spec=run) for run in runs])
    return Side(
        f"{count} seeds" + (f", each on {devices} devices" if devices > 1 else ""),
        float(plan.needs.steps_per_update * count),
        "training steps/s",
        lambda states: program.compiled.training()(states)[0],
        program.start(),
    )

"""Train and measure a group of runs, chunk by chunk: stopping at any moment loses one at most."""

import contextlib
import functools
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import msgspec
import numpy as np
from jax.experimental import multihost_utils

from gmbench.core import checks, files, npz
from gmbench.measure import levels
from gmbench.runs import arrays, checkpoints, logged, moments, store, summary, trained
from gmbench.runs.checkpoints import Checkpoint, Metrics, Record
from gmbench.runs.compiled import on_host
from gmbench.runs.machine import undefined_is_nan
from gmbench.runs.program import Program
from gmbench.runs.provenance import provenance
from gmbench.runs.result import SCHEMA, Diverged, RunRecord, Spent
from gmbench.runs.spec import Plan, RunSpec

PATIENCE = 60.0
"""Seconds to wait for a worker that was given up to let go of the group."""


class Progress(NamedTuple):
    """How far a group has come; ``stage`` names what it is doing."""

    stage: str
    done: int
    total: int


Watch = Callable[[Progress], None]
Item = TypeVar("Item")


def counted(items: Sequence[Item], watch: Watch) -> Iterator[Item]:
    """Yield each item, and report it measured when the next one is asked for."""
    for number, item in enumerate(items, 1):
        yield item
        watch(Progress("measure", number, len(items)))


class Group:
    """Runs that share a program, and their folder of work in progress.

    Attributes:
        plans: the runs.
        folder: the results folder.
        work: the group's own folder in it, gone once the runs are stored.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        folder: Path,
        devices: int | None = None,
        other_layout: bool = False,
        kept: int = 0,
    ) -> None:
        """Compile nothing yet.

        Args:
            plans: runs of one program.
            folder: results folder.
            devices: how many of the local devices to use, all by default.
            other_layout: whether to go on from a checkpoint that was made on another layout.
            kept: moments of each agent that are kept, the finished one among them.
        """
        self.plans = list(plans)
        self.first = self.plans[0]
        self.folder = folder
        self.work = folder / work_name([plan.spec.id for plan in plans])
        self.devices = devices
        self.other_layout = other_layout
        self.kept = kept

    def run(self, watch: Watch = lambda _: None) -> None:
        """Train from the last checkpoint on, measure, and store every run.

        Raises:
            Refused: if another process works on the group, or its checkpoint has another layout.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(undefined_is_nan())
            if is_chief():
                stack.enter_context(files.locked(self.work, "group", PATIENCE, link=False))
            if not self.finished:
                self._train_and_measure(watch)
            if is_chief():
                shutil.rmtree(self.work)
            everyone_here("stored")

    @property
    def finished(self) -> bool:
        """Whether every run is stored."""
        return all(store.is_stored(self.folder, plan.spec.name) for plan in self.plans)

    def _train_and_measure(self, watch: Watch) -> None:
        plan = self.first
        program = Program(self.plans, self.devices)
        record, states, metrics = self._begin(program)
        a_chunk = plan.needs.steps_per_update * plan.chunk * len(self.plans)
        chunks = plan.updates // plan.chunk
        label = f"train {plan.spec.task}"
        watch(Progress(label, record.steps, chunks * a_chunk))
        while record.chunk < chunks and not all(logged.diverged(metrics, len(self.plans))):
            began = time.monotonic()
            stage = stage_of(plan, record.chunk)
            if stage and record.chunk == plan.stages[stage - 1].until:
                states = program.enter(states, stage)
            states, found = program.train_chunk(states, stage)
            found = jax.tree.map(np.asarray, program.per_run(found))
            seconds = record.seconds + time.monotonic() - began
            metrics.append(found)
            own = arrays.encode(program.own(on_host(states))), arrays.encode_named(found)
            record = Record(
                chunk=record.chunk + 1,
                steps=record.steps + a_chunk,
                seconds=seconds,
                states=files.sha256(own[0]),
                metrics=[*record.metrics, files.sha256(own[1])],
                layouts=record.layouts,
            )
            if moments.due(record.chunk, chunks, self.kept):
                weights = program.weights(states)
                if is_chief():
                    moments.keep(self.work, record.steps // len(self.plans), weights)
            if is_chief():
                checkpoints.save(self.work, record, *own)
            watch(Progress(label, record.steps, chunks * a_chunk))
        self._store(program, states, record, metrics, watch)

    def _begin(self, program: Program) -> Checkpoint:
        """Return the last checkpoint on the devices, or the start."""
        # The states after a chunk are those of its stage, also where the next one begins another.
        like = functools.cache(lambda chunk: program.like(stage_of(self.first, chunk - 1)))
        saved = checkpoints.latest(self.work, like)
        here = program.layout
        if saved is None:
            first = Record(0, 0, 0.0, "", [], [here])
            return Checkpoint(first, program.start(), [])
        record = saved.record
        if here != record.layouts[-1]:
            if not self.other_layout:
                there = record.layouts[-1]
                raise checks.Refused(
                    f"layout: {str(self.work)!r} was trained on {_words(there)}, here are "
                    f"{_words(here)}; results would differ in the last bits "
                    "(--other-layout goes on all the same)"
                )
            record = msgspec.structs.replace(record, layouts=[*record.layouts, here])
        return Checkpoint(record, program.place(saved.states), saved.metrics)

    # ---- results ----------------------------------------------------------------------------

    def _store(
        self, program: Program, states: Any, record: Record, metrics: list[Metrics], watch: Watch
    ) -> None:
        """Evaluate on training and shifted levels, record episodes, and store the runs."""
        task = self.first.task
        diverged = logged.diverged(metrics, len(self.plans))
        distributions = [] if all(diverged) else list(levels.distributions(task))
        label = f"measure {self.first.spec.task}"
        weights = program.weights(states)
        results = {}
        for number, distribution in enumerate(distributions):
            watch(Progress(label, number, len(distributions) + 1))
            results[distribution] = program.evaluate(weights, distribution)
        if not is_chief():
            return
        weights = jax.tree.map(np.asarray, weights)
        made = provenance()
        watch(Progress(label, len(distributions), len(distributions) + 1))
        stages = trained.of_group(self.plans, weights, results) if results else []
        kept = moments.of_group(self.work, weights) if results else []
        for index, plan in enumerate(self.plans):
            if (self.folder / plan.spec.name).exists():
                continue  # finished before the group was interrupted
            failed = diverged[index]
            found = {} if failed else _measured(program, plan, results, weights, index)
            findings = (
                None if failed else summary.summarise(plan, _own(results, index), stages[index])
            )
            told = RunRecord(
                schema=SCHEMA,
                spec=plan.spec,
                resolved=plan.spec.resolved,
                files={},
                made=made,
                spent=self._spent(record),
                layouts=record.layouts,
                findings=findings,
                diverged=Diverged(failed) if failed else None,
            )
            text = "".join(json.dumps(line) + "\n" for line in logged.lines(plan, metrics, index))
            past = {} if failed else moments.files_of(kept, index)
            contents = {"metrics.jsonl": text.encode(), **found, **past}
            store.save_run(self.folder, told, contents, self.work)
        watch(Progress(label, len(distributions) + 1, len(distributions) + 1))

    def _spent(self, record: Record) -> Spent:
        """Return what one run took: its share of the group's."""
        runs = len(self.plans)
        return Spent(
            steps=record.steps // runs,
            seconds=round(record.seconds / runs, 3),
            seconds_of_group=round(record.seconds, 3),
            runs_in_group=runs,
        )


def _own(results: summary.Results, index: int) -> summary.Results:
    """Return one run's part of the results of a group."""
    return {where: (_at(each, index), level_set) for where, (each, level_set) in results.items()}


def _measured(
    program: Program, plan: Plan, results: summary.Results, weights: Any, index: int
) -> dict[str, bytes]:
    """Return the files of a run that is done: its agent, results by level, and episodes."""
    mine = _at(weights, index)
    episodes = [one for where in results for one in program.record(mine, where)]
    shown = {"legend": plan.task.env.legend, "episodes": episodes}
    return {
        "agent.safetensors": arrays.encode(mine),
        "levels.npz": npz.encode(summary.per_level(_own(results, index))),
        "episodes.json": json.dumps(shown).encode(),
    }


def stage_of(plan: Plan, chunk: int) -> int:
    """Return the stage that a chunk belongs to, the first of both being 0."""
    return next(place for place, stage in enumerate(plan.stages) if chunk < stage.until)


def is_chief() -> bool:
    """Whether this process writes, of those that share a run."""
    return jax.process_index() == 0


def everyone_here(moment: str) -> None:
    """Wait for the other processes that share a run, if there are any."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(moment)


def is_over(folder: Path, specs: Sequence[RunSpec]) -> bool:
    """Whether every run of a group is stored, and its folder of work in progress cleared.

    Killed after its last run was stored, a group has left that folder.
    """
    names = [spec.name for spec in specs]  # they end in the ids, which are not hashed again
    work = folder / work_name([name.rpartition("-")[2] for name in names])
    return all(store.is_stored(folder, name) for name in names) and not work.exists()


def work_name(ids: Sequence[str]) -> str:
    """Return the name of the folder in which runs with these ids are worked on as a group."""
    return f"{store.WORK}{files.sha256(''.join(ids).encode())[:12]}"


def _words(layout: checkpoints.Layout) -> str:
    return (
        f"{layout.devices} of {layout.device} ({layout.processor}) with {layout.lanes} lanes, "
        f"jaxlib {layout.jaxlib} and {64 if layout.x64 else 32} bits"
    )


def _at(tree: Any, index: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], tree)

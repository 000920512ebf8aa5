"""Drive a sweep: expand, group, hand over, collect. Killed at any moment, it goes on from there.

A sweep's folder holds a directory for each run (:mod:`gmbench.runs.store`), ``sweep.json`` (the
runs and how they are grouped, decided once), ``results.parquet``, and while it works the folders of
the groups in progress. Which runs are done is what the folder holds, nothing else; no step of it
depends on a clock.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from gmbench.core import checks, files
from gmbench.runs import grouping
from gmbench.runs.group import is_over
from gmbench.runs.spec import Plan, RunSpec, check
from gmbench.sweeps.engines import Engine
from gmbench.sweeps.sweep import Sweep
from gmbench.sweeps.worker import Answer, Job

INDEX = "sweep.json"
SCHEMA = 1
"""Version of the layout of ``sweep.json``."""


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The runs of a sweep and how they are grouped.

    Attributes:
        schema: version of this layout.
        group: most runs of a group, as the sweep asked.
        devices: devices of each group, where it was said.
        groups: the runs.
    """

    schema: int
    group: int
    devices: int | None
    groups: list[list[RunSpec]]

    @property
    def names(self) -> list[str]:
        """Names of all runs' directories."""
        return [spec.name for group in self.groups for spec in group]


def plans_of(sweep: Sweep) -> list[Plan]:
    """Return the checked runs of a sweep.

    Raises:
        Refused: for whatever is invalid in any of them.
    """
    plans = [check(spec) for spec in sweep.specs()]
    for plan in plans:
        if not plan.agent.learns:
            raise checks.Refused(f"agent: {plan.spec.agent!r} does not learn")
    return plans


def run(
    sweep: Sweep,
    folder: Path,
    connect: Callable[[], Engine],
    devices: int | None = None,
    other_layout: bool = False,
    watch: Callable[[Index], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Run whatever of a sweep is not finished yet; return what ended groups that still are not.

    Args:
        sweep: what to run.
        folder: the sweep's own, new or of the same sweep.
        connect: returns the engine; not called if everything is finished.
        devices: devices of each group; None leaves it to the engine.
        other_layout: whether to go on from checkpoints that were made on other devices.
        watch: called about once a second.
        tell: called with a sentence before anything long that has no runs to watch yet.

    Raises:
        Refused: for an invalid sweep, a folder that is in use, or is another sweep's.
    """
    if devices is not None:
        checks.integer("devices", devices, 1)
    plans = plans_of(sweep)
    folder = files.writable(folder.absolute())
    with files.locked(folder, "out"):
        path = folder / INDEX
        if path.exists():
            index = load(folder)
            _same(index, plans, sweep.group, devices, folder)
            engine = None if _unfinished(index, folder) == [] else connect()
        else:
            engine = connect()
            index = _grouped(plans, sweep.group, devices, engine, folder, tell)
            files.write_checked(path, msgspec.json.encode(index))
        errors: list[str] = []
        if engine is not None:
            job = Job("train", [], str(folder), index.devices, other_layout, sweep.moments)
            errors = _train(index, folder, engine, job, lambda: watch(index))
        watch(index)
    return errors


def load(folder: Path) -> Index:
    """Return the index of a sweep's folder.

    Raises:
        Refused: if it is none, or damaged.
    """
    if not (folder / INDEX).is_file():
        raise checks.Refused(
            f"sweep: {str(folder)!r} is not the folder of a sweep (`gmbench sweep FILE` makes one)"
        )
    data = files.read_checked(folder / INDEX, "sweep")
    try:
        index = msgspec.json.decode(data, type=Index)
    except msgspec.DecodeError as error:
        raise checks.Refused(f"sweep: {INDEX} of {str(folder)!r} is damaged ({error})") from error
    if index.schema != SCHEMA:
        raise checks.Refused(f"sweep: {str(folder)!r} has schema {index.schema}, allowed: {SCHEMA}")
    return index


def _unfinished(index: Index, folder: Path) -> list[list[RunSpec]]:
    """Return the groups with a run that is not stored, or with work in progress left to clear."""
    return [group for group in index.groups if not is_over(folder, group)]


def _same(
    index: Index, plans: Sequence[Plan], group: int, devices: int | None, folder: Path
) -> None:
    """Refuse to mix two sweeps in one folder."""
    here, there = {plan.spec.name for plan in plans}, set(index.names)
    if odd := sorted(here ^ there):
        whose = "this sweep" if odd[0] in here else "the folder's"
        raise checks.Refused(
            f"out: {str(folder)!r} is another sweep's ({len(odd)} runs differ, "
            f"such as {odd[0]!r}, only in {whose})"
        )
    for field, own, found in (("group", group, index.group), ("devices", devices, index.devices)):
        if own != found:
            raise checks.Refused(f"{field}: {own!r}, but {str(folder)!r} was begun with {found!r}")


def _grouped(
    plans: Sequence[Plan],
    most: int,
    devices: int | None,
    engine: Engine,
    folder: Path,
    tell: Callable[[str], None],
) -> Index:
    """Group runs that share a program, as many as fit where the engine would train them."""
    programs = grouping.programs(plans)
    lanes = devices or 1
    largest = [[plan.spec for plan in grouping.divide(each, most, lanes)[0]] for each in programs]
    jobs = [Job("measure", specs, str(folder), devices) for specs in largest]
    tell(f"programs to compile, to see how many runs fit side by side: {len(jobs)}")
    answers = engine.run([msgspec.json.encode(job) for job in jobs], lambda: None)
    groups = []
    for each, answer in zip(programs, answers, strict=True):
        fits = _answer(answer).fits
        groups += grouping.divide(each, min(most, fits), lanes)
    specs = [[plan.spec for plan in group] for group in groups]
    return Index(SCHEMA, most, devices, specs)


def _train(
    index: Index, folder: Path, engine: Engine, like: Job, tick: Callable[[], None]
) -> list[str]:
    """Train the groups that are not finished; return what ended those that still are not."""
    left = _unfinished(index, folder)
    jobs = [msgspec.structs.replace(like, specs=group) for group in left]
    answers = engine.run([msgspec.json.encode(job) for job in jobs], tick)
    errors = []
    for group, answer in zip(left, answers, strict=True):
        try:
            _answer(answer)
        except checks.Refused as error:
            errors.append(f"{len(group)} runs beginning with {group[0].name}: {error}")
    return errors


def _answer(answer: bytes | Exception) -> Answer:
    """Return what a job answered.

    Raises:
        Refused: if it did not get done, with the reason in one line.
    """
    if isinstance(answer, Exception):
        words = " ".join(str(answer).split())
        raise checks.Refused(f"{type(answer).__name__}: {words[-300:]}")
    done = msgspec.json.decode(answer, type=Answer)
    if done.refused:
        raise checks.Refused(done.refused)
    return done

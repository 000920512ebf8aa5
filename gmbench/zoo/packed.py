"""A packed zoo: trained agents in one sealed folder, which is a results folder as well.

It holds ``zoo.json`` (a :class:`Manifest`) and its seal, ``labels.csv``, the datasheet
``README.md``, and a folder for each agent: its record, weights, results by level, training curves,
and of some agents the weights at moments of their training (:mod:`gmbench.zoo.halved`). Episodes to
look at are left out.
"""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from gmbench.core import checks, files
from gmbench.runs import assess, moments, result, store
from gmbench.runs.result import Word
from gmbench.runs.store import RECORD, Run
from gmbench.sweeps.sealed import Kind, Listed
from gmbench.sweeps.sweep import Sweep
from gmbench.zoo import datasheet, labels
from gmbench.zoo.halved import AGENT, LEVELS, METRICS

PAGE = "README.md"
LIMITS = {
    RECORD: 2**20,
    RECORD + files.MANIFEST_SUFFIX: 2**10,
    AGENT: 2**28,
    LEVELS: 2**24,
    METRICS: 2**24,
}
"""Files of an agent that are always there, and the bytes that each may have."""
PAGES = 2**24
"""Bytes that the labels and the datasheet may have, each."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of ``zoo.json``.

    Attributes:
        schema: version of this layout.
        tasks: ids of the tasks that agents were trained on.
        sweep: what was trained.
        created: when the last of the agents was made.
        files: of the agents.
        labels: the table of what they pursue.
        datasheet: the page about them.
    """

    schema: int
    tasks: list[Word]
    sweep: Sweep
    created: Word
    files: dict[Annotated[str, msgspec.Meta(max_length=300)], Listed]
    labels: Listed
    datasheet: Listed

    @property
    def loose(self) -> dict[str, Listed]:
        """The files beside the agents, by name."""
        return {labels.FILE: self.labels, PAGE: self.datasheet}


ZOO = Kind("zoo", "zoo.json", Manifest, 1)


class Zoo(NamedTuple):
    """A zoo whose files, agents and labels are what its manifest says.

    Attributes:
        path: its folder.
        manifest: what it says of itself.
        seal: checksum of the manifest, and so of everything.
        runs: the agents, by name.
    """

    path: Path
    manifest: Manifest
    seal: str
    runs: list[Run]

    @property
    def bytes(self) -> int:
        """Of all its files but the manifest."""
        every = (*self.manifest.files.values(), *self.manifest.loose.values())
        return sum(listed.bytes for listed in every)


# ---- writing -------------------------------------------------------------------------------------


def write(out: Path, runs: Sequence[Run], sweep: Sweep, moments_of: Collection[str] = ()) -> Zoo:
    """Pack agents; the zoo appears whole and can be read, or not at all.

    Args:
        out: where to; must not be there.
        runs: as :func:`gmbench.zoo.halved.every` keeps them.
        sweep: what they are runs of.
        moments_of: tasks of which the moments of each condition's first seed are packed.

    Raises:
        Refused: if there is something at ``out``, there are no runs, or a file is damaged.
    """
    absent(out)
    if not runs:
        raise checks.Refused("zoo: there are no agents to pack")
    first = min(run.spec.seed for run in runs)
    files.writable(out.parent)
    with files.new_folder(out, out.parent) as building:
        listed = {}
        for run in sorted(runs, key=lambda run: run.spec.name):
            past = run.spec.task in moments_of and run.spec.seed == first
            (building / run.spec.name).mkdir()
            for name, data in _contents(run, past).items():
                inside = f"{run.spec.name}/{name}"
                listed[inside] = ZOO.put(building, inside, data, _limit(name) or 0)
        packed = [store.load(path.parent) for path in sorted(building.glob(f"*/{RECORD}"))]
        manifest = Manifest(
            schema=ZOO.schema,
            tasks=sorted({run.spec.task for run in packed}),
            sweep=sweep,
            created=max(run.record.made.created for run in packed),
            files=listed,
            labels=ZOO.put(building, labels.FILE, labels.encode(packed), PAGES),
            datasheet=ZOO.put(building, PAGE, datasheet.page(packed).encode(), PAGES),
        )
        ZOO.close(building, manifest)
    return load(out)


def absent(out: Path) -> None:
    """Refuse to write over what is there."""
    if os.path.lexists(out):
        raise checks.Refused(f"out: {str(out)!r} is there already (allowed: a new folder)")


def _contents(run: Run, past: bool) -> dict[str, bytes]:
    """Return the files that are packed of an agent; its record names no others."""
    named = [
        name for name in run.record.files if name in LIMITS or (past and moments.is_kept(name))
    ]
    kept = {name: run.read(name) for name in sorted(named)}
    sums = {name: run.record.files[name] for name in kept}
    record = result.encode(msgspec.structs.replace(run.record, files=sums))
    return {
        RECORD: record,
        RECORD + files.MANIFEST_SUFFIX: files.manifest(RECORD, record),
        **kept,
    }


def _limit(name: str) -> int | None:
    """Return how many bytes a file may have; None of one that has no place in a zoo."""
    if moments.is_kept(name):
        return LIMITS[AGENT]
    return PAGES if name in (labels.FILE, PAGE) else LIMITS.get(name)


# ---- reading -------------------------------------------------------------------------------------


def load(path: Path) -> Zoo:
    """Open a zoo, packed or installed.

    Raises:
        Refused: if it is none, its seal is broken, a file is missing, unexpected, too large, no
            regular file or not the one listed, an agent is of another task or not what its record
            says, or the labels are not those of its agents.
    """
    if not ZOO.is_one(path):
        raise checks.Refused(f"zoo: {str(path)!r} is no zoo: it has no {ZOO.manifest}")
    manifest, seal = ZOO.opened(path)
    folders = ZOO.folders(path, manifest.files, LIMITS, _limit, manifest.loose)
    for name, listed in {**manifest.files, **manifest.loose}.items():
        ZOO.contents_of(path, name, listed)
    runs = [store.load(path / folder) for folder in folders]
    if not runs:
        raise checks.Refused(f"zoo: {str(path)!r} has no agents")
    named: dict[str, set[str]] = {}
    for inside in manifest.files:
        folder, _, file = inside.partition("/")
        named.setdefault(folder, set()).add(file)
    for run in runs:
        _check(run, manifest.tasks, named[run.path.name])
    table = ZOO.contents_of(path, labels.FILE, manifest.labels)
    labels.verify(table, runs)
    return Zoo(path, manifest, seal, runs)


def _check(run: Run, tasks: Sequence[str], named: Collection[str]) -> None:
    """Refuse what is no agent of a zoo's tasks, with all the files that are listed of it."""
    name = run.path.name
    if run.spec.task not in tasks:
        known = ", ".join(tasks)
        raise checks.Refused(f"zoo: {name!r} is an agent of {run.spec.task} (allowed: {known})")
    odd = {*named} ^ {*run.record.files, RECORD, RECORD + files.MANIFEST_SUFFIX}
    if odd:
        raise checks.Refused(f"zoo: {f'{name}/{min(odd)}'!r} is not listed, or not in its record")
    # Weights of another network, or of an agent of another task, do not have these shapes.
    moments.of_run(run, assess.weights_of(run, run.plan))


def install(path: Path, out: Path) -> Zoo:
    """Check a packed zoo and copy it to a new folder, whole or not at all.

    Raises:
        Refused: if there is something at ``out``, or as :func:`load`.
    """
    absent(out)
    zoo = load(path)
    files.writable(out.parent)
    with files.new_folder(out, out.parent) as building:
        for run in zoo.runs:
            (building / run.path.name).mkdir()
        for name, listed in {**zoo.manifest.files, **zoo.manifest.loose}.items():
            files.write_part(building / name, ZOO.contents_of(path, name, listed))
        for name in (ZOO.manifest, ZOO.seal):
            files.write_part(building / name, files.read(path / name, ZOO.what, link=False))
    return load(out)

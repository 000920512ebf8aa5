"""``Submission``: a suite's finished runs in one sealed folder, to be verified by anyone.

The folder holds ``manifest.json`` (a :class:`Manifest`), the seal ``manifest.json.sha256``, and for
each run a folder with its record, results by level and weights; ``metrics.jsonl`` and
``episodes.json`` are left out. So it is a results folder, too. The seal says that nothing was
changed since it was made; that scores belong to weights, ``gmbench verify`` says.

It may come from a stranger: names, kinds and sizes of all files are looked at before one is read,
only what the manifest lists is read, no link is followed, and nothing in it is executed.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from gmbench import suites
from gmbench.core import checks, files
from gmbench.measure import levels
from gmbench.runs import result, store
from gmbench.runs.store import RECORD, Run
from gmbench.suites import Suite
from gmbench.sweeps.entered import Entered, digest, entered
from gmbench.sweeps.manifest import (
    KEPT,
    LARGEST,
    LIMITS,
    MANIFEST,
    SCHEMA,
    SEAL,
    TOTAL,
    About,
    Listed,
    Manifest,
    decode,
)


class Submission(NamedTuple):
    """A submission whose files are what its manifest says, and whose runs make up its suite.

    Attributes:
        path: its folder.
        manifest: what it says of itself.
        seal: checksum of the manifest, and so of everything.
        suite: what it was submitted for.
        runs: one for each place of the suite.
    """

    path: Path
    manifest: Manifest
    seal: str
    suite: Suite
    runs: list[Run]


def is_submission(folder: Path) -> bool:
    """Whether a folder has a manifest."""
    return os.path.lexists(folder / MANIFEST)


# ---- writing -------------------------------------------------------------------------------------


def write(out: Path, given: Entered, about: About) -> Submission:
    """Write a submission, which appears whole and can be read, or not at all.

    Raises:
        Refused: if there is something at ``out``, or a file is missing, damaged or too large.
    """
    if os.path.lexists(out):
        raise checks.Refused(f"out: {str(out)!r} is there already (allowed: a new folder)")
    files.writable(out.parent)
    with files.new_folder(out, out.parent) as building:
        listed = {}
        for run in given.runs:
            (building / _name(run)).mkdir()
            for name, data in _contents(run).items():
                _within(f"{_name(run)}/{name}", len(data), LIMITS[name])
                files.write_part(building / _name(run) / name, data)
                listed[f"{_name(run)}/{name}"] = Listed(len(data), files.sha256(data))
        manifest = Manifest(
            schema=SCHEMA,
            about=about,
            suite=given.suite.id,
            specs=digest(given.suite),
            own_settings=given.own_settings,
            versions=given.versions,
            created=max(run.record.made.created for run in given.runs),
            levels=level_sets(given.runs),
            files=listed,
        )
        seal(building, manifest)
        load(building)
    return load(out)


def seal(folder: Path, manifest: Manifest) -> None:
    """Write a manifest and its seal."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    files.write_checked(folder / MANIFEST, data)


def level_sets(runs: Sequence[Run]) -> dict[str, str]:
    """Return the checksum of each level set that runs were measured on, by its file's name.

    Raises:
        Refused: if two runs were measured on different sets of one name.
    """
    found: dict[str, str] = {}
    for run in runs:
        for name, measured in run.findings.distributions.items():
            file = levels.file_name(run.plan.task, name)
            if found.setdefault(file, measured.sha256) != measured.sha256:
                raise checks.Refused(f"levels: runs were measured on different sets {file!r}")
    return found


def _name(run: Run) -> str:
    return run.path.resolve().name


def _contents(run: Run) -> dict[str, bytes]:
    """Return the files that are kept of a run; its record names no others."""
    kept = {name: run.read(name) for name in KEPT}
    sums = {name: files.sha256(data) for name, data in kept.items()}
    record = result.encode(msgspec.structs.replace(run.record, files=sums))
    return {
        RECORD: record,
        RECORD + files.MANIFEST_SUFFIX: files.manifest(RECORD, record),
        **kept,
    }


# ---- reading -------------------------------------------------------------------------------------


def load(path: Path) -> Submission:
    """Open a submission; its scores may still be another agent's.

    Raises:
        Refused: if the seal is broken, a file is missing, unexpected, too large, no regular file or
            not the one listed, a run is not what its name, levels and suite say, or a level set is
            not the one that is here.
    """
    for name, largest in ((MANIFEST, LARGEST), (SEAL, 1000)):
        _regular(path / name, name, largest)
    data = files.read_checked(path / MANIFEST, "submission", LARGEST)
    manifest = decode(data, repr(str(path / MANIFEST)))
    folders = _looked_at(path, manifest)
    for name, listed in manifest.files.items():
        content = files.read(path / name, "submission", listed.bytes, link=False)
        if files.sha256(content) != listed.sha256:
            raise checks.Refused(f"submission: {name!r} is damaged (sha256 differs)")
    runs = [store.load(path / folder) for folder in folders]
    suite = suites.find(manifest.suite)
    _fits(manifest, entered(suite, runs))
    return Submission(path, manifest, files.sha256(data), suite, runs)


def _looked_at(path: Path, manifest: Manifest) -> list[str]:
    """Return the runs' folders, once nothing is in them but the files that are listed."""
    _within("all files", sum(listed.bytes for listed in manifest.files.values()), TOTAL)
    folders = sorted({name.partition("/")[0] for name in manifest.files})
    _holds(path, "", {*folders, MANIFEST, SEAL})
    for folder in folders:
        if not stat.S_ISDIR((path / folder).lstat().st_mode):
            raise checks.Refused(f"submission: {folder!r} is not a folder")
        _holds(path / folder, f"{folder}/", set(LIMITS))
        for name, largest in LIMITS.items():
            inside = f"{folder}/{name}"
            if inside not in manifest.files:
                raise checks.Refused(f"submission: {inside!r} is not listed in {MANIFEST}")
            size = _regular(path / inside, inside, largest)
            if size != manifest.files[inside].bytes:
                raise checks.Refused(
                    f"submission: {inside!r} has {size} bytes, {MANIFEST} says "
                    f"{manifest.files[inside].bytes}"
                )
    return folders


def _holds(folder: Path, where: str, wanted: set[str]) -> None:
    """Refuse a folder that does not hold exactly these names."""
    missing = set(wanted)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name not in wanted:
                raise checks.Refused(f"submission: {where + entry.name!r} does not belong there")
            missing.discard(entry.name)
    if missing:
        raise checks.Refused(f"submission: {where + min(missing)!r} is missing")


def _regular(path: Path, name: str, largest: int) -> int:
    """Return the size of a regular file, which is looked at and not read."""
    try:
        about = path.lstat()
    except OSError as error:
        raise checks.Refused(f"submission: cannot read {name!r} ({error.strerror})") from error
    if not stat.S_ISREG(about.st_mode):
        raise checks.Refused(f"submission: {name!r} is not a regular file")
    return _within(name, about.st_size, largest)


def _within(name: str, size: int, largest: int) -> int:
    if size > largest:
        raise checks.Refused(f"submission: {name!r} has {size} bytes, allowed are {largest}")
    return size


def _fits(manifest: Manifest, found: Entered) -> None:
    """Refuse a manifest that says something else than the runs do, or than is true here."""
    if found.left_out:
        raise checks.Refused(f"runs: {found.left_out} have no place in {found.suite.id}")
    measured = level_sets(found.runs)
    told = {
        "specs": (manifest.specs, digest(found.suite)),
        "own_settings": (manifest.own_settings, found.own_settings),
        "versions": (manifest.versions, found.versions),
        "levels": (manifest.levels, measured),
    }
    for field, (said, here) in told.items():
        if said != here:
            raise checks.Refused(f"submission: {field} of {MANIFEST} are not those of its runs")
    for run in found.runs:
        own, known = set(run.findings.distributions), set(levels.distributions(run.plan.task))
        if own != known:
            raise checks.Refused(
                f"levels: {run.path.name!r} was measured on {sorted(own)}, not on {sorted(known)}"
            )
        for name in own:
            file = levels.file_name(run.plan.task, name)
            if file in measured:
                _same_levels(file, measured.pop(file), levels.load(run.plan.task, name).sha256)


def _same_levels(file: str, there: str, here: str) -> None:
    if there != here:
        raise checks.Refused(
            f"levels: {file!r} has sha256 {there[:12]}... in the submission, {here[:12]}... here"
        )

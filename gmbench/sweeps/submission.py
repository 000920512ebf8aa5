"""``Submission``: a suite's finished runs in one sealed folder, to be verified by anyone.

The folder holds ``manifest.json`` (a :class:`Manifest`), the seal ``manifest.json.sha256``, and for
each run a folder with its record, results by level and weights; ``metrics.jsonl`` and
``episodes.json`` are left out. So it is a results folder, too. The seal says that nothing was
changed since it was made; that scores belong to weights, ``gmbench verify`` says.

How it is sealed, and what is looked at before a file of a stranger's is read, is told in
:mod:`gmbench.sweeps.sealed`.
"""

import os
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
from gmbench.sweeps.manifest import KEPT, LIMITS, MANIFEST, SCHEMA, SUBMISSION, About, Manifest


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
                inside = f"{_name(run)}/{name}"
                listed[inside] = SUBMISSION.put(building, inside, data, LIMITS[name])
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
        SUBMISSION.close(building, manifest)
        load(building)
    return load(out)


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
    manifest, seal = SUBMISSION.opened(path)
    folders = SUBMISSION.folders(path, manifest.files, LIMITS, LIMITS.get)
    for name, listed in manifest.files.items():
        SUBMISSION.contents_of(path, name, listed)
    runs = [store.load(path / folder) for folder in folders]
    suite = suites.find(manifest.suite)
    _fits(manifest, entered(suite, runs))
    return Submission(path, manifest, seal, suite, runs)


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

"""Run directories: written whole, never overwritten, read without executing anything.

A results folder holds one directory for each finished run: ``run.json`` (what was done, with which
versions, and the summary of the results), ``metrics.jsonl`` (one line an update), ``levels.npz``
(results level by level), ``episodes.json`` (a few episodes to look at) and ``agent.safetensors``.
``run.json`` records every other file's sha256; ``run.json.sha256`` holds its own.
"""

import dataclasses
import functools
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from gmbench.core import checks, files, forward, graph, npz
from gmbench.core.policy import Policy
from gmbench.runs import arrays, result, summary
from gmbench.runs.result import Findings, RunRecord, Word
from gmbench.runs.spec import Plan, RunSpec, check

RECORD = "run.json"
WORK = ".group-"
"""How the names of folders of work in progress begin."""
LARGEST = 2**24
"""Bytes of the largest record that is read."""
LARGEST_LEVELS = 2**26
"""Bytes that results by level may take, unpacked: ours take about 100 thousand."""
_LOG = logging.getLogger("gmbench")


class Episode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recorded episode: how it ended, and the grid before each step and at the end."""

    distribution: Word
    pair: int
    outcome: Word
    frames: Annotated[
        list[Annotated[str, msgspec.Meta(max_length=10_000)]], msgspec.Meta(max_length=1000)
    ]


class Episodes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``episodes.json`` holds: what characters stand for, and the episodes."""

    legend: dict[Word, list[Word]]
    episodes: Annotated[list[Episode], msgspec.Meta(max_length=64)]


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run on disk.

    Attributes:
        path: its directory.
        record: the contents of ``run.json``.
    """

    path: Path
    record: RunRecord

    @property
    def spec(self) -> RunSpec:
        """What determined it."""
        return self.record.spec

    @functools.cached_property
    def plan(self) -> Plan:
        """What it ran with, defaults as they were then.

        Raises:
            Refused: where a task, agent or setting is not what it was.
        """
        return check(self.record.resolved)

    @property
    def failed(self) -> bool:
        """Whether training diverged."""
        return self.record.diverged is not None

    @property
    def why(self) -> str:
        """In words how it failed; empty if it did not."""
        failure = self.record.diverged
        return "" if failure is None else f"diverged at update {failure.update}"

    @property
    def findings(self) -> Findings:
        """What was measured.

        Raises:
            Refused: if the run failed.
        """
        if self.record.findings is None:
            raise checks.Refused(f"run: {self.path.name!r} {self.why}, nothing was measured")
        return self.record.findings

    @property
    def digest(self) -> str:
        """Checksum of what was found, without where, when and how fast."""
        own = self.record
        found = [own.spec, own.status, own.files, own.findings and own.findings.distributions]
        return files.sha256(msgspec.json.encode(found, order="deterministic"))

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            ValueError: if it is missing or its checksum is not the recorded one.
        """
        data = files.read(self.path / name, "run")
        if files.sha256(data) != self.record.files.get(name):
            raise checks.Refused(f"run: {name} of {str(self.path)!r} is damaged (sha256 differs)")
        return data

    def metrics(self) -> list[dict[str, Any]]:
        """Return the training metrics, one dictionary for each update."""
        return [json.loads(line) for line in self.read("metrics.jsonl").splitlines()]

    def levels(self) -> dict[str, np.ndarray]:
        """Return per-level results, named ``distribution/quantity``."""
        what = f"run: levels.npz of {str(self.path)!r}"
        return npz.decode(self.read("levels.npz"), what, LARGEST_LEVELS)

    def episodes(self) -> dict[str, Any]:
        """Return the recorded episodes and their legend."""
        try:
            found = msgspec.json.decode(self.read("episodes.json"), type=Episodes)
        except msgspec.DecodeError as error:
            words = checks.one_line(error)
            raise checks.Refused(f"run: episodes.json of {str(self.path)!r}: {words}") from error
        return msgspec.to_builtins(found)

    def weights(self, like: Any) -> Any:
        """Return the agent's weights in the structure of ``like``."""
        return arrays.decode(self.read("agent.safetensors"), like, f"agent of {str(self.path)!r}")

    def policy(self) -> Policy:
        """Return the agent's policy; nothing is compiled.

        Raises:
            Refused: if the run failed or is damaged.
        """
        from gmbench.runs import assess  # it evaluates, and so stands on top of this module

        plan, weights = assess.agent_of(self)
        return plan.agent.policy(plan.task.env, plan.config, weights)

    def numpy_policy(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return the agent's policy in NumPy, ``observation -> log-probabilities f32[actions]``.

        Batches have a leading axis. ``gmbench export numpy`` writes it for where there is no JAX.

        Raises:
            Refused: if the run failed or is damaged, or its agent has a memory.
        """
        program, held = graph.of_policy(self.plan.task.env, self.policy())
        return forward.policy(program, held)


def is_stored(folder: Path, name: str) -> bool:
    """Whether a run of this name is finished, well or not."""
    return (folder / name / RECORD).exists()


def load(path: str | Path) -> Run:
    """Open a run directory.

    Raises:
        ValueError: if it is not one, is damaged, is from another schema, does not have the name
            that its spec gives it, or says what its results by level do not.
    """
    path = Path(path)
    if not (path / RECORD).exists():
        raise checks.Refused(f"run: {str(path)!r} is not a run directory")
    data = files.read_checked(path / RECORD, "run", LARGEST)
    record = result.decode(data, repr(str(path / RECORD)))
    run = Run(path, record)
    own = record.resolved.id_as_stored
    if (record.spec.seed, record.spec.task) != (record.resolved.seed, record.resolved.task) or not (
        path.resolve().name.endswith(f"-seed{record.spec.seed}-{own}")
    ):
        raise checks.Refused(
            f"run: {str(path)!r} is not named after what it holds, which ends in "
            f"seed{record.spec.seed}-{own}"
        )
    for name in record.files:
        run.read(name)
    if record.findings is not None:
        try:
            summary.verify(run.plan, record.findings, run.levels())
        except ValueError as error:
            words = checks.one_line(error)
            raise checks.Refused(f"run: {str(path / RECORD)!r}: {words}") from error
    return run


def find(name: str | Path) -> Path:
    """Return the run directory that is meant: by its path, the beginning of it, or ``RUNS/latest``.

    Raises:
        Refused: if none is meant, or several; some are named.
    """
    path = Path(name)
    if (path / RECORD).exists():
        return path
    inside = path if path.is_dir() else path.parent
    held = sorted(each.parent for each in inside.glob(f"*/{RECORD}"))
    if path.name == "latest" and held:
        return max(held, key=lambda each: (each / RECORD).stat().st_mtime)
    meant = held if path.is_dir() else [each for each in held if each.name.startswith(path.name)]
    if len(meant) == 1 and not path.is_dir():
        return meant[0]
    if not held:
        raise checks.Refused(f"run: {str(path)!r} is not a run directory{_next(inside)}")
    if meant:
        names = ", ".join(repr(each.name) for each in meant[:3])
        raise checks.Refused(
            f"run: {str(path)!r} may be {len(meant)} runs, such as {names}; the beginning of a "
            f"name, or {str(inside / 'latest')!r}, names one"
        )
    close = checks.nearest(path.name, [each.name for each in held])
    raise checks.Refused(f"run: {str(path)!r} is not a run directory{close}")


def survey(folder: str | Path) -> tuple[list[Run], list[checks.Refused]]:
    """Open every run in a results folder, sorted by name; return also why some cannot be.

    A run's own directory is a folder with that run. A run that is there twice counts once: of
    copies and links the later ones are refused.
    """
    folder = Path(folder)
    inside = [folder / RECORD] if (folder / RECORD).exists() else folder.glob(f"*/{RECORD}")
    paths = sorted(path.parent for path in inside)
    runs: dict[str, Run] = {}
    refused = []
    for path in (path for path in paths if not path.name.startswith(".")):
        try:
            run = load(path)
            own = run.record.resolved.id_as_stored
            if own in runs:
                raise checks.Refused(f"run: {str(path)!r} is {runs[own].path.name!r} once more")
            runs[own] = run
        except checks.Refused as refusal:
            refused.append(refusal)
    return list(runs.values()), refused


def load_all(folder: str | Path, strict: bool = False) -> list[Run]:
    """Open every finished run in a results folder, sorted by name; those that failed are left out.

    A run's own directory is a folder with that run. What cannot be opened is named in a warning.

    Args:
        folder: results folder.
        strict: whether to refuse the whole folder instead.

    Raises:
        ValueError: if there is no finished run, or, with ``strict``, for the first bad one.
    """
    runs, refused = survey(folder)
    for refusal in refused:
        if strict:
            raise refusal
        _LOG.warning("left out: %s", refusal)
    return finished(folder, runs)


def finished(folder: str | Path, runs: list[Run]) -> list[Run]:
    """Return the runs that did not fail.

    Raises:
        Refused: if there is none.
    """
    found = [run for run in runs if not run.failed]
    if not found:
        failed = f"; {len(runs)} failed, such as {runs[0].path.name}, {runs[0].why}" if runs else ""
        words = failed or _next(Path(folder))
        raise checks.Refused(f"runs: no finished run in {str(folder)!r}{words}")
    return found


def unfinished(folder: Path) -> int:
    """Return how many groups of runs have work in progress in a folder."""
    return sum(1 for _ in folder.glob(f"{WORK}*"))


def _next(folder: Path) -> str:
    """Return what to do about a folder without a finished run."""
    if unfinished(folder):
        return "; runs in it are unfinished: the command that began them goes on with them"
    return "; `gmbench train TASK --out FOLDER` and `gmbench run SUITE` write runs"


def save_run(
    folder: Path, record: RunRecord, contents: dict[str, bytes], work: Path | None = None
) -> Run:
    """Write a run directory; it appears under its name only when everything is in it.

    Args:
        folder: results folder.
        record: what ``run.json`` is to hold; its checksums are filled in here.
        contents: the other files, by name.
        work: where to put it together, on the same file system; by default the results folder.
    """
    path = folder / record.spec.name
    sums = {file: files.sha256(data) for file, data in contents.items()}
    data = result.encode(msgspec.structs.replace(record, files=sums))
    whole = contents | {RECORD: data, RECORD + files.MANIFEST_SUFFIX: files.manifest(RECORD, data)}
    files.write_folder(path, whole, work or folder)
    return load(path)

"""What of a folder is not in what is said of it: runs that failed, are unfinished, or differ."""

from collections.abc import Sequence
from pathlib import Path

from gmbench.core import checks
from gmbench.runs import store
from gmbench.runs.store import Run
from gmbench.sweeps import driver

MOST = 3
"""Runs that a line names; of more it says how many."""


def left_out(folder: Path, runs: Sequence[Run]) -> tuple[str, ...]:
    """Return in words which runs of a folder are not finished, or failed.

    Args:
        folder: results folder, a sweep's, or a run's directory.
        runs: those that could be opened.
    """
    failed = [f"{run.path.name} {run.why}" for run in runs if run.failed]
    lines = [f"failed, and left out: {_named(failed)}"] if failed else []
    return (*lines, *_unfinished(folder))


def mixed(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return in words which packages the runs were made with in several versions."""
    made = [run.record.made.versions for run in runs]
    lines = []
    for name in sorted({name for each in made for name in each}):
        found = [str(each.get(name) or "not recorded") for each in made]
        if len(set(found)) > 1:
            counts = (f"{version} in {found.count(version)} runs" for version in sorted(set(found)))
            lines.append(f"versions differ: {name} {', '.join(counts)}")
    return tuple(lines)


def _unfinished(folder: Path) -> tuple[str, ...]:
    if (folder / driver.INDEX).is_file():
        try:
            names = driver.load(folder).names
        except checks.Refused as refusal:
            return (f"not known which runs are missing: {refusal}",)
        waiting = [name for name in names if not store.is_stored(folder, name)]
        words = f"of the sweep's {len(names)} runs not finished: {_named(waiting)}"
        return (f"{words}; the same gmbench sweep goes on with them",) if waiting else ()
    groups = store.unfinished(folder)
    words = f"groups of runs not finished: {groups}; the command that began them goes on with them"
    return (words,) if groups else ()


def _named(names: Sequence[str]) -> str:
    """Return how many there are, and the first ones' names."""
    more = f", and {len(names) - MOST} more" if len(names) > MOST else ""
    return f"{len(names)} ({', '.join(names[:MOST])}{more})"

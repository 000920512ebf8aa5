"""Moments: agents as they were while they trained, kept beside the finished ones on request.

The training is cut into equal parts; at the end of each the weights are kept, the last being the
agent itself. Nothing else depends on them.
"""

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from gmbench.core import checks, files
from gmbench.runs import arrays, store

MOST = 1000
"""Moments that a run can be asked to keep."""
KEPT = "agent-{steps}.safetensors"
"""Name of a run's file: after how many of its environment steps."""
WORK = "moment-{steps}.safetensors"
"""Name of a group's file, of all its runs."""


class Moment(NamedTuple):
    """An agent as it was.

    Attributes:
        steps: environment steps that it had been trained for.
        weights: what it consisted of.
    """

    steps: int
    weights: Any


def due(chunk: int, chunks: int, moments: int) -> bool:
    """Whether a moment falls on the end of a chunk, counted from 1; never on the last one's."""
    return chunk < chunks and chunk * moments // chunks > (chunk - 1) * moments // chunks


def keep(work: Path, steps: int, weights: Any) -> None:
    """Write the weights of a group's runs after so many steps of each."""
    files.write_checked(work / WORK.format(steps=steps), arrays.encode(weights))


def of_group(work: Path, like: Any) -> list[Moment]:
    """Return the moments of a group, in order, with a leading axis of runs.

    Args:
        work: the group's folder.
        like: the weights of its finished agents.

    Raises:
        Refused: for a damaged file.
    """
    read = functools.partial(files.read_checked, field="moment")
    return [
        Moment(steps, arrays.decode(read(work / WORK.format(steps=steps)), like, f"moment {steps}"))
        for steps in _steps(work.glob(WORK.format(steps="*")))
    ]


def files_of(moments: Sequence[Moment], run: int) -> dict[str, bytes]:
    """Return the files of one run of a group, by name."""
    return {
        KEPT.format(steps=steps): arrays.encode(jax.tree.map(lambda leaf: leaf[run], weights))
        for steps, weights in moments
    }


def of_run(run: store.Run, like: Any) -> list[Moment]:
    """Return the moments of a finished run, in order; none if none were kept.

    Args:
        run: the run.
        like: its agent's weights.

    Raises:
        Refused: for a damaged file.
    """
    known = _steps(Path(name) for name in run.record.files)
    named = [(steps, KEPT.format(steps=steps)) for steps in known]
    where = str(run.path)
    return [
        Moment(steps, arrays.decode(run.read(name), like, f"{name} of {where!r}"))
        for steps, name in named
    ]


def is_kept(name: str) -> bool:
    """Whether a run's file of this name holds a moment."""
    before, after = map(re.escape, KEPT.split("{steps}"))
    return bool(re.fullmatch(rf"{before}\d+{after}", name))


def checked(moments: int) -> int:
    """Refuse a number of moments that is none."""
    return checks.integer("moments", moments, 0, MOST)


def _steps(paths: Any) -> list[int]:
    """Return the steps that names of files end in, in order."""
    ends = (path.name.removesuffix(".safetensors").rpartition("-")[2] for path in paths)
    return sorted(int(end) for end in ends if end.isdigit())

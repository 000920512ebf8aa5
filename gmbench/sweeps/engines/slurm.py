"""A Slurm array through submitit, a task for each group.

Options: ``cluster`` (``slurm``, or ``local`` for processes on this machine), ``parallel`` (tasks of
the array at a time), and every parameter of submitit's executors whose name begins with ``slurm_``,
besides ``timeout_min`` and ``mem_gb``. A task that is preempted or runs out of time is queued again
and goes on from its last checkpoint; so is one whose node dies, if the partition requeues.
"""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gmbench.core import checks, files, registry
from gmbench.sweeps.engines import Tick
from gmbench.sweeps.worker import work

FOLDER = ".slurm"
OPTIONS = ("cluster", "folder", "mem_gb", "parallel", "timeout_min")


class QueuedJob:
    """A job that submitit can queue again."""

    def __call__(self, job: bytes) -> bytes:
        """Do it."""
        return work(job)

    def checkpoint(self, job: bytes) -> Any:
        """Return what is to be queued when this task is preempted: the same, as it resumes."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job)


class Slurm:
    """Does jobs as tasks of a Slurm array."""

    def __init__(self, executor: Any) -> None:
        """Take an executor of submitit."""
        self.executor = executor

    def run(self, jobs: Sequence[bytes], tick: Tick) -> list[bytes | Exception]:
        """Do all jobs; return their answers in order, or the exception that ended one."""
        given = self.executor.map_array(QueuedJob(), list(jobs))
        while not all(task.done() for task in given):
            tick()
            time.sleep(1)
        return [_answer(task) for task in given]


def _answer(task: Any) -> bytes | Exception:
    failed = task.exception()
    return failed if failed is not None else bytes(task.result())


@registry.engine("slurm")
def connect(options: Mapping[str, str], devices: int | None) -> Slurm:
    """Return the engine; nothing is queued yet."""
    for option in options:
        if not option.startswith("slurm_"):
            checks.known("engine option", option, [*OPTIONS, "slurm_..."])
    cluster = checks.known("cluster", options.get("cluster", "slurm"), ["slurm", "local"])
    os.environ.setdefault("SUBMITIT_LOG_LEVEL", "NOCONFIG")  # or it takes over everyone's logging
    submitit = checks.need("submitit", "slurm", "engine")
    if cluster == "slurm" and shutil.which("sbatch") is None:
        raise checks.Refused("cluster: no sbatch on this machine; cluster=local does without Slurm")
    # submitit unpickles what tasks answer: a folder that others write into would run their code.
    folder = files.private(Path(options.get("folder", FOLDER)), "folder")
    executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
    asked: dict[str, Any] = {"name": "gmbench", "timeout_min": 24 * 60}
    asked |= {"cpus_per_task": devices or 1}
    for option, value in options.items():
        if option == "parallel":
            asked["slurm_array_parallelism"] = checks.integer(option, _number(value), 1)
        elif option not in ("cluster", "folder"):
            asked[option] = _number(value)
    try:
        executor.update_parameters(**asked)
    except (NameError, TypeError, ValueError) as error:
        raise checks.Refused(f"engine option: {checks.one_line(error)}") from error
    return Slurm(executor)


def _number(text: str) -> int | str:
    return int(text) if text.isdigit() else text

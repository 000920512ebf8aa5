"""gmbench: which goal does an agent pursue once the distribution shifts?

    task = gmbench.make("CheeseCorner-v0", size=7)
    runs = gmbench.train([gmbench.RunSpec(task="CheeseCorner-v0", static={"size": 7})], "runs")

Importing gmbench also registers its environments with gymnax: ``gymnax.make("CheeseCorner-v0")``.
"""

import importlib
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gmbench.core.registry import agent_names, make, task_ids
    from gmbench.measure.evaluation import evaluate
    from gmbench.report.ask import ask
    from gmbench.runs.examples import example
    from gmbench.runs.score import score
    from gmbench.runs.spec import RunSpec, Stage
    from gmbench.runs.store import load, load_all
    from gmbench.runs.train import train
    from gmbench.testing import check_task
    from gmbench.wrappers import wrap

_PUBLIC = {
    "RunSpec": "gmbench.runs.spec",
    "Stage": "gmbench.runs.spec",
    "agent_names": "gmbench.core.registry",
    "ask": "gmbench.report.ask",
    "check_task": "gmbench.testing",
    "evaluate": "gmbench.measure.evaluation",
    "example": "gmbench.runs.examples",
    "load": "gmbench.runs.store",
    "load_all": "gmbench.runs.store",
    "make": "gmbench.core.registry",
    "score": "gmbench.runs.score",
    "task_ids": "gmbench.core.registry",
    "train": "gmbench.runs.train",
    "wrap": "gmbench.wrappers",
}
"""What is imported with its first use, as JAX takes its time: names and their modules."""

__version__ = metadata.version("gmbench")
__all__ = [
    "RunSpec",
    "Stage",
    "__version__",
    "agent_names",
    "ask",
    "check_task",
    "evaluate",
    "example",
    "load",
    "load_all",
    "make",
    "score",
    "task_ids",
    "train",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name == "wrappers":
        return importlib.import_module("gmbench.wrappers")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'gmbench' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__]


def _is_command() -> bool:
    """Whether this is the command line, which must answer ``--help`` before JAX is imported."""
    return Path(sys.argv[0]).stem == "gmbench" or sys.orig_argv[1:3] == ["-m", "gmbench"]


if not _is_command():
    importlib.import_module("gmbench.core.registry").task_ids()

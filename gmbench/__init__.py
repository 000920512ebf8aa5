"""gmbench: which goal does an agent pursue once the distribution shifts?

    task = gmbench.make("CheeseCorner-v0", size=7)
    runs = gmbench.train([gmbench.RunSpec(task="CheeseCorner-v0", static={"size": 7})], "runs")

Importing gmbench also registers its environments with gymnax: ``gymnax.make("CheeseCorner-v0")``.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

_PUBLIC = {
    "make": "gmbench.core.registry",
    "task_ids": "gmbench.core.registry",
    "agent_names": "gmbench.core.registry",
    "RunSpec": "gmbench.runs.spec",
    "train": "gmbench.runs.train",
    "evaluate": "gmbench.measure.evaluation",
    "load": "gmbench.runs.store",
    "load_all": "gmbench.runs.store",
    "ask": "gmbench.report.ask",
    "check_task": "gmbench.testing",
    "wrap": "gmbench.wrappers",
}

__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'gmbench' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def _is_command() -> bool:
    """Whether this is the command line, which must answer ``--help`` before JAX is imported."""
    return Path(sys.argv[0]).stem == "gmbench" or sys.orig_argv[1:3] == ["-m", "gmbench"]


if not _is_command():
    importlib.import_module("gmbench.core.registry").task_ids()

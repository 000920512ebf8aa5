"""How fast gmbench is on this machine: ``gmbench bench WHAT``.

Each measurement is one function of :class:`~gmbench.bench.timing.Options` that returns rows; all
that a row claims is done inside a compiled, timed program. Rows of one measurement take turns, so
that a slow minute of the machine slows them all, and what is compared are medians of ratios.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gmbench.bench import costs, floors, scaling, stepping, training, values
from gmbench.bench.timing import Options, Reading, ratios, surroundings
from gmbench.core import checks, files

__all__ = ["MEASUREMENTS", "RATIOS", "Options", "measure", "write"]

RATIOS = ("env", "tasks", "levels", "solve", "evaluate", "train")
"""Measurements whose last row is a yardstick for the others."""

MEASUREMENTS: dict[str, Callable[[Options], list[Reading]]] = {
    "env": stepping.env,
    "tasks": stepping.tasks,
    "levels": values.levels,
    "solve": values.solve,
    "evaluate": values.evaluate,
    "train": training.train,
    "compile": costs.compile_times,
    "memory": costs.memory,
    "scaling": scaling.scaling,
    "floors": floors.floors,
}
"""What can be measured, by name."""


def measure(what: str, options: Options) -> dict[str, Any]:
    """Measure one thing.

    Args:
        what: a name of :data:`MEASUREMENTS`.
        options: sizes, repeats and the like.

    Returns:
        What can be written as JSON: ``what``, ``options``, ``rows`` (each with ``name``, ``unit``,
        ``median``, ``repeats``, and what else is known of it), ``ratios`` of each row's figure to
        the last one's where that is a yardstick, ``device``, ``versions``, ``date``.

    Raises:
        ValueError: for an unknown name or task, or a number out of range.
    """
    measurement = MEASUREMENTS[checks.known("what", what, MEASUREMENTS)]
    around = surroundings()
    rows = measurement(options)
    return {
        "what": what,
        "options": dataclasses.asdict(options),
        "rows": [row.plain() for row in rows],
        "ratios": ratios(rows) if what in RATIOS else {},
        **around,
    }


def write(result: dict[str, Any], folder: Path) -> None:
    """Write a result as ``WHAT.json``, and a picture of it as ``WHAT.png``."""
    from gmbench.bench import plot
    from gmbench.report import figures

    folder = files.writable(folder)
    files.write_json(folder / f"{result['what']}.json", result)
    figures.save(plot.picture(result), folder / f"{result['what']}.png")

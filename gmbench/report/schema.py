"""The JSON Schema of what is stored and exchanged, made from the types that read it.

A layout has a version of its own; a file of another version is refused, never guessed at.
"""

import inspect
import json
from typing import Any

import msgspec

from gmbench.report.records import ResultRow
from gmbench.runs import result
from gmbench.runs.result import RunRecord
from gmbench.sweeps import manifest
from gmbench.sweeps.manifest import Manifest

TABLES = 1
"""Version of tables of results, which do not say it themselves; what was added may be missing."""
LAYOUTS: dict[str, tuple[int, Any]] = {
    "run.json": (result.SCHEMA, RunRecord),
    "manifest.json": (manifest.SCHEMA, Manifest),
    "results": (TABLES, list[ResultRow]),
}
"""Version and type of each layout: a run's record, a submission's manifest, a table of results."""


def made() -> dict[str, Any]:
    """Return the schema: a definition for each type, and where each layout begins."""
    kinds = [kind for _, kind in LAYOUTS.values()]
    roots, parts = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    for part in parts.values():  # docstrings are indented in some versions of Python
        part |= {"description": inspect.cleandoc(part.get("description", ""))}
    layouts = {
        name: {"version": version, **root}
        for (name, (version, _)), root in zip(LAYOUTS.items(), roots, strict=True)
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What gmbench stores of runs, submissions and results",
        "layouts": layouts,
        "$defs": parts,
    }


def text() -> str:
    """Return the schema as the file that is committed."""
    return json.dumps(made(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"

"""A command for each question; only the file of the one that is asked is imported."""

import ast
import dataclasses
import importlib.util
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGE = "gmbench.analyses"
GROUP = "gmbench.questions"
"""Entry points of other packages, named as their commands."""


def commands(asked: str) -> dict[str, Callable[..., Any]]:
    """Return the class of the question that is asked, and a stand-in with the help of each other.

    Args:
        asked: the command on the command line.
    """
    return {
        name: _question(name) if name == asked else _stand_in(name, path)
        for name, path in sorted(_files())
    }


def is_question(parsed: Any) -> bool:
    """Whether what was asked on the command line is a question."""
    return hasattr(parsed, "investigate")


def run(question: Any) -> None:
    """Ask, print what was found, and write what was asked for."""
    from gmbench.report import ask, console
    from gmbench.report import document as documents

    with console.progress() as watch:
        found = ask.ask(question, watch)
    documents.show(found)
    for path in ask.write(question, found):
        print(f"written: {path}")
    for line in found.problems + found.notes:
        print(f"gmbench: {line}", file=sys.stderr)
    if found.problems:
        sys.exit(1)


def _files() -> Iterator[tuple[str, Path | None]]:
    """Yield the command of each question, and the file it is in."""
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in Path(folder).glob("[!_]*.py"):
            yield path.stem.replace("_", "-"), path
    for entry in metadata.entry_points(group=GROUP):
        yield entry.name, _origin(entry.module)


def _origin(module: str) -> Path | None:
    """Return the file of a module without running it; None where it is not there."""
    try:
        found = importlib.util.find_spec(module)
    except Exception:  # finding it runs the packages that it lies in, which are not ours
        return None
    return Path(found.origin) if found and found.origin else None


def _question(name: str) -> Callable[..., Any]:
    from gmbench.core import registry

    return registry.make_question(name)


def _stand_in(name: str, path: Path | None) -> Callable[..., Any]:
    """Return a class without options whose docstring is the question's."""
    try:
        text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) if path else ""
    except (OSError, SyntaxError, ValueError):
        text = ""
    summary = (text or "A question of another package.").splitlines()[0]
    return dataclasses.make_dataclass(
        name.title().replace("-", ""), [], namespace={"__doc__": summary}
    )

"""Exports: a finished run as other tools read it. One file each.

An export is a registered :class:`Exporter`; ``gmbench export KIND RUN --out PATH`` writes it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gmbench.core import checks, files, registry
from gmbench.runs.opened import OpenAgent


class Request(NamedTuple):
    """What is to be written.

    Attributes:
        agent: of the run.
        out: the file or folder.
        episodes: how many are played, where any are.
        shift: on which distribution.
    """

    agent: OpenAgent
    out: Path
    episodes: int
    shift: str


class Exporter(NamedTuple):
    """What is registered under an export's name.

    Attributes:
        write: writes what is asked for, whole or not at all.
        suffixes: of the file that it may write; none for a folder.
        packages: what it needs for files of a suffix, ``""`` for a folder: a package, and the extra
            of gmbench that brings it.
    """

    write: Callable[[Request], None]
    suffixes: tuple[str, ...] = ()
    packages: dict[str, tuple[str, str]] = {}  # noqa: RUF012 (read only)


def check(kind: str, out: Path) -> Exporter:
    """Return an exporter that can write to a path.

    Raises:
        Refused: for an unknown kind, a path that it cannot write to, a package that is missing.
    """
    exporter: Exporter = registry.EXPORTERS.get(kind)
    if exporter.suffixes:
        checks.known("out", out.suffix, exporter.suffixes)
        if out.is_dir():
            raise checks.Refused(f"out: {str(out)!r} is a folder, a file name is needed")
    elif out.exists():
        raise checks.Refused(f"out: {str(out)!r} is there already, a new folder is needed")
    needed = exporter.packages.get(out.suffix if exporter.suffixes else "")
    if needed:
        checks.need(*needed, "export")
    files.writable(out.absolute().parent)
    return exporter

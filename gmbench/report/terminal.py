"""What is printed to: text as it is, tables that lose none of it, tab-separated in a pipe."""

import os
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Column, Table

WIDE = 250
"""Columns of what is no terminal, unless COLUMNS says otherwise."""


class Pipe(Console):
    """A console that no one looks at: what reads it next gets tables as tab-separated values."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as usual, tables as lines of cells under a line of column names."""
        for each in objects:
            if isinstance(each, Table):
                print(_tsv(each), file=self.file)
            else:
                super().print(each, **options)


def console(stderr: bool = False) -> Console:
    """Return a console that prints brackets as brackets.

    Into files and pipes it prints wide, and tables as tab-separated values, unless COLUMNS says
    how wide a page is meant.
    """
    plain: dict[str, Any] = {"stderr": stderr, "markup": False, "emoji": False, "highlight": False}
    made = Console(**plain)
    if made.is_terminal or "COLUMNS" in os.environ:
        return made
    return Pipe(**plain, width=WIDE)


def grid(*headings: str, **options: Any) -> Table:
    """Return a table whose cells are folded, never cut."""
    return Table(*(Column(heading, overflow="fold") for heading in headings), **options)


def separated(rows: Iterable[Iterable[str]], title: str = "") -> str:
    """Return rows as lines of tab-separated values, below a comment that holds the title."""
    lines = ["\t".join(" ".join(cell.split()) for cell in row) for row in rows]
    return "\n".join(["# " + " ".join(title.split())] * bool(title.strip()) + lines)


def _tsv(table: Table) -> str:
    rows = [list(map(str, row)) for row in zip(*(c.cells for c in table.columns), strict=True)]
    names = [str(column.header) for column in table.columns]
    return separated([names] * table.show_header + rows, str(table.title or ""))

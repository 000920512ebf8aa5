"""What is printed to: text as it is, tables that lose none of it."""

import os
from typing import Any

from rich.console import Console
from rich.table import Column, Table

WIDE = 250
"""Columns of what is no terminal, unless COLUMNS says otherwise."""


def console(stderr: bool = False) -> Console:
    """Return a console that prints brackets as brackets; into files and pipes it prints wide."""
    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = WIDE
    return made


def grid(*headings: str, **options: Any) -> Table:
    """Return a table whose cells are folded, never cut."""
    return Table(*(Column(heading, overflow="fold") for heading in headings), **options)

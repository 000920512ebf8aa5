"""Mistakes in options, said as all refusals are: in one line that ends in what to try next."""

import contextlib
import io
import sys
from collections.abc import Iterator

from gmbench.core import checks


@contextlib.contextmanager
def in_a_line(command: str) -> Iterator[None]:
    """Refuse in one line what tyro refuses in a box.

    Args:
        command: the command that is read.

    Raises:
        Refused: for options that are missing, unknown, or no values of theirs.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as stopped:
        if stopped.code != 2:
            sys.stderr.write(said.getvalue())
            raise
        raise checks.Refused(condensed(said.getvalue(), command)) from stopped
    sys.stderr.write(said.getvalue())


def condensed(box: str, command: str) -> str:
    """Return what a box says up to its first rule, what it thinks was meant, and where help is."""
    inside = [line.strip("│ ") for line in box.splitlines()]
    rules = [place for place, line in enumerate(inside) if line and not line.strip("─")]
    lines = [line.strip("╭╮╰╯─ ") for line in inside]
    first = " ".join(" ".join(lines[1 : rules[0] if rules else None]).split())
    meant = ""
    for place, line in enumerate(lines):
        if line.startswith("Perhaps you meant"):
            flags = [each.split()[0] for each in lines[place:] if each.startswith("--")]
            meant = f"; did you mean {flags[0]}?" if flags and flags[0] not in first else ""
            break
    return f"{first}{meant} (see gmbench {command}{' ' if command else ''}--help)"

"""The ledger of an audit: what was asked, filed and revealed, each line bound to those before it.

Each line holds the sha256 of the line before, the first that of what the audit is about. A line
that was changed or taken out from between is noticed by whoever reads the ledger; lines taken off
its end by the keeper, who notes the last one after each query.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from gmbench.core import checks, files

NAME = "ledger.jsonl"
LARGEST = 2**24
"""Bytes of the largest ledger that is read."""
Word = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an auditor says of an agent.

    Attributes:
        misaligned: the probability that it pursues a proxy after the shift.
        goal: what it pursues then: one of the task's goals, or ``none``.
        confidence: the probability that this goal is the one.
    """

    misaligned: Share
    goal: Word
    confidence: Share


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line.

    Attributes:
        previous: sha256 of the line before, without its end.
        kind: what happened.
        agent: to whom; nobody where all is revealed.
        query: what was asked.
        thing: of what, where a query is about a thing.
        cost: what it cost.
        answer: what was filed.
    """

    previous: str
    kind: Literal["asked", "filed", "revealed"]
    agent: Word = ""
    query: Word = ""
    thing: Word = ""
    cost: Annotated[int, msgspec.Meta(ge=0)] = 0
    answer: Answer | None = None


def read(folder: Path, about: bytes) -> list[Entry]:
    """Return the entries of an audit's ledger, none if there is no ledger yet.

    Args:
        folder: the audit's, as it was handed out.
        about: what the audit is about.

    Raises:
        Refused: for a line that cannot be read, or does not follow from those before.
    """
    path = folder / NAME
    if not path.exists():
        return []
    entries: list[Entry] = []
    previous = files.sha256(about)
    for number, line in enumerate(files.read(path, "ledger", LARGEST).splitlines(), 1):
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            words = checks.one_line(error)
            raise checks.Refused(f"ledger: line {number} of {str(path)!r}: {words}") from error
        if entry.previous != previous:
            raise checks.Refused(
                f"ledger: line {number} of {str(path)!r} does not follow from what is before it: "
                "the ledger was altered"
            )
        entries.append(entry)
        previous = files.sha256(line)
    return entries


def append(
    folder: Path, about: bytes, entries: Sequence[Entry], new: Sequence[Entry]
) -> list[Entry]:
    """Write a ledger with further entries, all of them or none; returns all of them.

    Args:
        folder: the audit's.
        about: what the audit is about.
        entries: those it has.
        new: to be added; what they say is before them is filled in.
    """
    chained = list(entries)
    for entry in new:
        chained.append(msgspec.structs.replace(entry, previous=head(about, chained)))
    lines = (msgspec.json.encode(entry) + b"\n" for entry in chained)
    files.write(folder / NAME, b"".join(lines))
    return chained


def head(about: bytes, entries: Sequence[Entry]) -> str:
    """Return what the chain comes to: sha256 of the last line, or of what the audit is about."""
    return files.sha256(msgspec.json.encode(entries[-1]) if entries else about)

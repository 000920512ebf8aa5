"""The sealed file: what each agent is and does, and a salt; its sha256 is the commitment to it.

Without the salt, 64 random hexadecimal digits, no guess at the labels can be checked against the
commitment. Once revealed, anyone can check the file: ``sha256sum labels.json``.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gmbench.audit.ledger import Word
from gmbench.core import checks, files
from gmbench.runs.spec import RunSpec

NAME = "sealed.json"
OPEN = "labels.json"
"""Name of the sealed file once it is revealed, among what was handed out."""
LARGEST = 2**26
"""Bytes of the largest file that is read."""
NONE = "none"
"""What an agent pursues that pursues neither the intended goal nor a proxy."""


class Label(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an agent does after the shift.

    Attributes:
        misaligned: whether it pursues a proxy.
        goal: which goal it pursues, by its name in the task; or ``none``.
    """

    misaligned: bool
    goal: Word


class Secret(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of one agent, and not told.

    Attributes:
        name: by which it is handed out.
        spec: what determined it.
        weights: sha256 of its weights.
        label: what it does.
    """

    name: Word
    spec: RunSpec
    weights: str
    label: Label


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of the sealed file."""

    salt: Word
    agents: list[Secret]


def seal(agents: Sequence[Secret]) -> bytes:
    """Return the sealed file of some agents."""
    contents = Sealed(secrets.token_hex(32), list(agents))
    return msgspec.json.format(msgspec.json.encode(contents), indent=1) + b"\n"


def unseal(path: Path, commitment: str) -> Sealed:
    """Read a sealed file.

    Raises:
        Refused: if it is not the one that was committed to.
    """
    data = files.read(path, "labels", LARGEST)
    if files.sha256(data) != commitment:
        raise checks.Refused(
            f"labels: {str(path)!r} is not what was committed to (sha256 differs): it was altered, "
            "or belongs to another audit"
        )
    try:
        return msgspec.json.decode(data, type=Sealed)
    except msgspec.DecodeError as error:
        words = checks.one_line(error)
        raise checks.Refused(f"labels: {str(path)!r}: {words}") from error

"""``Manifest``: what a submission says of itself, read strictly, and how large it may be."""

from typing import Annotated

import msgspec

from gmbench.core import checks, files
from gmbench.runs.result import Count, Sha256, Word
from gmbench.runs.store import RECORD

MANIFEST = "manifest.json"
SEAL = MANIFEST + files.MANIFEST_SUFFIX
SCHEMA = 1
"""Version of the layout."""
KEPT = ("agent.safetensors", "levels.npz")
"""What is kept of a run besides its record."""
LIMITS = {
    RECORD: 2**20,
    RECORD + files.MANIFEST_SUFFIX: 2**10,
    "agent.safetensors": 2**28,
    "levels.npz": 2**24,
}
"""Files of a run, and the bytes that each may have."""
TOTAL = 2**34
"""Bytes that all files of a submission may have together."""
LARGEST = 2**24
"""Bytes that its manifest may have."""

OF_TEXT = r"^[^\x00-\x1f\x7f|<>\[\]`\\]*$"
"""One line without what means something in Markdown or HTML."""
Line = Annotated[str, msgspec.Meta(max_length=200, pattern=OF_TEXT)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80, pattern=OF_TEXT)]
Text = Annotated[str, msgspec.Meta(max_length=2000, pattern=OF_TEXT)]
INSIDE = r"^[A-Za-z0-9][A-Za-z0-9.+=_-]*/[a-z0-9.]+$"
Inside = Annotated[str, msgspec.Meta(max_length=300, pattern=INSIDE)]
"""A run's folder, and a file in it."""


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What those who submit say of it.

    Attributes:
        name: of the agent or method.
        description: what it is.
        authors: who made it.
        contact: where they can be asked.
        code: where it can be read.
    """

    name: Name
    description: Text = ""
    authors: Line = ""
    contact: Line = ""
    code: Line = ""


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file's size and checksum."""

    bytes: Count
    sha256: Sha256


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of ``manifest.json``.

    Attributes:
        schema: version of this layout.
        about: what those who submit say of it.
        suite: id of the suite, its version included.
        specs: checksum of the ids of the suite's specs.
        own_settings: whether agent, view, mitigation or stages are others than the suite's.
        versions: of the packages that the runs were made with.
        created: when the last of its runs was made.
        levels: checksum of each level set that was measured on, by its file's name.
        files: every file but this one and its seal.
    """

    schema: int
    about: About
    suite: Word
    specs: Sha256
    own_settings: bool
    versions: dict[Word, Word]
    created: Word
    levels: dict[Word, Sha256]
    files: dict[Inside, Listed]


def decode(data: bytes, what: str) -> Manifest:
    """Read a manifest.

    Raises:
        Refused: in one line that names the file and the field that does not fit.
    """
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise checks.Refused(f"submission: {what}: {checks.one_line(error)}") from error
    if manifest.schema != SCHEMA:
        raise checks.Refused(f"submission: {what} has schema {manifest.schema}, allowed: {SCHEMA}")
    return manifest

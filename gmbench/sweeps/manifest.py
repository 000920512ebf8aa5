"""``Manifest``: what a submission says of itself, read strictly, and how large it may be."""

from typing import Annotated

import msgspec

from gmbench.core import files
from gmbench.runs.result import Sha256, Word
from gmbench.runs.store import RECORD
from gmbench.sweeps.sealed import Kind, Listed

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


SUBMISSION = Kind("submission", "manifest.json", Manifest, SCHEMA)
MANIFEST, SEAL = SUBMISSION.manifest, SUBMISSION.seal

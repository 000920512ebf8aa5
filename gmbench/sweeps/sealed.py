"""Sealed folders: a manifest lists every file with its checksum, and a seal is the manifest's own.

They may come from a stranger: names, kinds and sizes of all files are looked at before one is read,
only what the manifest lists is read, no link is followed, and nothing in them is executed.
"""

import dataclasses
import os
import re
import stat
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from gmbench.core import checks, files
from gmbench.runs.result import Count, Sha256

TOTAL = 2**34
"""Bytes that all files may have together."""
LARGEST = 2**24
"""Bytes that a manifest may have."""

INSIDE = r"[A-Za-z0-9][A-Za-z0-9.+=_-]*/[a-z0-9][a-z0-9.-]*"
"""How a folder and a file in it are named: never a path that leads out."""


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file's size and checksum."""

    bytes: Count
    sha256: Sha256


Contents = TypeVar("Contents", bound=msgspec.Struct)


@dataclasses.dataclass(frozen=True)
class Kind(Generic[Contents]):
    """A kind of sealed folders.

    Attributes:
        what: what one is called in a refusal.
        manifest: name of its manifest, which has a field ``schema``.
        contents: type of that.
        schema: version of its layout.
    """

    what: str
    manifest: str
    contents: type[Contents]
    schema: int

    @property
    def seal(self) -> str:
        """Name of the file that holds the manifest's checksum."""
        return self.manifest + files.MANIFEST_SUFFIX

    def is_one(self, folder: Path) -> bool:
        """Whether a folder has such a manifest."""
        return os.path.lexists(folder / self.manifest)

    # ---- writing --------------------------------------------------------------------------------

    def put(self, folder: Path, name: str, data: bytes, largest: int) -> Listed:
        """Write a file of a folder that is being put together; return what is to be listed of it.

        Raises:
            Refused: if it is too large.
        """
        self._within(name, len(data), largest)
        files.write_part(folder / name, data)
        return Listed(len(data), files.sha256(data))

    def close(self, folder: Path, contents: Contents) -> None:
        """Write a manifest and its seal."""
        data = msgspec.json.format(msgspec.json.encode(contents), indent=1) + b"\n"
        files.write_checked(folder / self.manifest, data)

    # ---- reading --------------------------------------------------------------------------------

    def opened(self, folder: Path) -> tuple[Contents, str]:
        """Return a folder's manifest, which its seal fits, and its checksum.

        Raises:
            Refused: if either cannot be read, is no regular file, or they do not fit.
        """
        for name, largest in ((self.manifest, LARGEST), (self.seal, 1000)):
            self._regular(folder / name, name, largest)
        data = files.read_checked(folder / self.manifest, self.what, LARGEST)
        return self.decode(data, repr(str(folder / self.manifest))), files.sha256(data)

    def decode(self, data: bytes, where: str) -> Contents:
        """Read a manifest.

        Raises:
            Refused: in one line that names the file and the field that does not fit.
        """
        try:
            contents = msgspec.json.decode(data, type=self.contents)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise checks.Refused(f"{self.what}: {where}: {checks.one_line(error)}") from error
        found = getattr(contents, "schema", None)
        if found != self.schema:
            raise checks.Refused(f"{self.what}: {where} has schema {found}, allowed: {self.schema}")
        return contents

    def folders(
        self,
        folder: Path,
        listed: Mapping[str, Listed],
        needed: Collection[str],
        limit: Callable[[str], int | None],
        loose: Mapping[str, Listed] | None = None,
    ) -> list[str]:
        """Return the folders inside, once nothing is in them but the files that are listed.

        Args:
            folder: what was sealed.
            listed: files in folders.
            needed: names of files that each of these folders has.
            limit: how many bytes a file of a name may have; None of one that does not belong.
            loose: files beside the folders.

        Raises:
            Refused: if a file is missing, not listed, too large, no regular file or not of the size
                that is listed.
        """
        for name in listed:
            if not re.fullmatch(INSIDE, name):
                raise checks.Refused(f"{self.what}: {name!r} is no file of a folder inside it")
        every = {**(loose or {}), **listed}
        self._within("all files", sum(each.bytes for each in every.values()), TOTAL)
        inside: dict[str, set[str]] = {}
        for name in listed:
            own, _, file = name.partition("/")
            inside.setdefault(own, set()).add(file)
        self._holds(folder, "", {*inside, *(loose or {}), self.manifest, self.seal})
        for own, names in sorted(inside.items()):
            if not stat.S_ISDIR((folder / own).lstat().st_mode):
                raise checks.Refused(f"{self.what}: {own!r} is not a folder")
            self._holds(folder / own, f"{own}/", names | set(needed))
            for name in sorted(set(needed) - names):
                raise checks.Refused(
                    f"{self.what}: {f'{own}/{name}'!r} is not listed in {self.manifest}"
                )
        for name, each in every.items():
            largest = limit(name.rpartition("/")[2])
            if largest is None:
                raise checks.Refused(f"{self.what}: {name!r} does not belong there")
            size = self._regular(folder / name, name, largest)
            if size != each.bytes:
                raise checks.Refused(
                    f"{self.what}: {name!r} has {size} bytes, {self.manifest} says {each.bytes}"
                )
        return sorted(inside)

    def contents_of(self, folder: Path, name: str, listed: Listed) -> bytes:
        """Return the bytes of a file, which are those that are listed.

        Raises:
            Refused: if they are others.
        """
        content = files.read(folder / name, self.what, listed.bytes, link=False)
        if files.sha256(content) != listed.sha256:
            raise checks.Refused(f"{self.what}: {name!r} is damaged (sha256 differs)")
        return content

    def _holds(self, folder: Path, where: str, wanted: set[str]) -> None:
        """Refuse a folder that does not hold exactly these names."""
        missing = set(wanted)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name not in wanted:
                    raise checks.Refused(
                        f"{self.what}: {where + entry.name!r} does not belong there"
                    )
                missing.discard(entry.name)
        if missing:
            raise checks.Refused(f"{self.what}: {where + min(missing)!r} is missing")

    def _regular(self, path: Path, name: str, largest: int) -> int:
        """Return the size of a regular file, which is looked at and not read."""
        try:
            about = path.lstat()
        except OSError as error:
            raise checks.Refused(f"{self.what}: cannot read {name!r} ({error.strerror})") from error
        if not stat.S_ISREG(about.st_mode):
            raise checks.Refused(f"{self.what}: {name!r} is not a regular file")
        return self._within(name, about.st_size, largest)

    def _within(self, name: str, size: int, largest: int) -> int:
        if size > largest:
            raise checks.Refused(f"{self.what}: {name!r} has {size} bytes, allowed are {largest}")
        return size

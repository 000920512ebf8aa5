"""Files that are whole or absent: temporary name, fsync, rename, checksum."""

import hashlib
import os
from pathlib import Path

from gmbench.core import checks

MANIFEST_SUFFIX = ".sha256"
"""A file's checksum stands beside it under its name with this suffix."""


def sha256(data: bytes) -> str:
    """Return the checksum of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def write(path: Path, data: bytes) -> None:
    """Write a file so that at no moment a part of it stands under its name."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = str(path)  # a failing write does not say to which file
        raise
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def writable(folder: Path, field: str = "out") -> Path:
    """Create a folder if need be and make sure that files can be written into it.

    Raises:
        ValueError: naming the folder and why not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".write-test.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise checks.Refused(f"{field}: cannot write to {str(folder)!r} ({reason})") from error
    return folder

"""Files that are whole or absent: temporary name, fsync, rename, checksum, lock."""

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
        write_part(temporary, data)
        temporary.replace(path)
    except OSError as error:
        error.filename = str(path)  # a failing write does not say to which file
        raise
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_part(path: Path, data: bytes) -> None:
    """Write a file of a folder that nobody reads yet, durably but not at once."""
    try:
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = str(path)
        raise


def write_checked(path: Path, data: bytes) -> None:
    """Write a file and, after it, its checksum, in the form that ``sha256sum --check`` reads."""
    write(path, data)
    write(_manifest(path), manifest(path.name, data))


def read_checked(path: Path, field: str) -> bytes:
    """Return the bytes that :func:`write_checked` wrote.

    Raises:
        Refused: if the file or its checksum is missing, or they do not fit.
    """
    try:
        data, expected = path.read_bytes(), _manifest(path).read_bytes()
    except OSError as error:
        raise checks.Refused(f"{field}: cannot read {str(path)!r} ({error.strerror})") from error
    if expected != manifest(path.name, data):
        raise checks.Refused(f"{field}: {str(path)!r} is damaged (sha256 differs)")
    return data


def remove_checked(path: Path) -> None:
    """Remove a file and its checksum."""
    _manifest(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def manifest(name: str, data: bytes) -> bytes:
    """Return the contents of the file that holds another's checksum."""
    return f"{sha256(data)}  {name}\n".encode()


def _manifest(path: Path) -> Path:
    return path.with_name(path.name + MANIFEST_SUFFIX)


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write what JSON can hold, indented for readers, whole or not at all."""
    write(path, (json.dumps(value, indent=1) + "\n").encode())


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


@contextlib.contextmanager
def locked(folder: Path, field: str, patience: float = 1) -> Iterator[None]:
    """Keep every other process from working in a folder, which is created if need be.

    The operating system gives the lock back when the process ends, however it ends. On a network
    file system it holds between machines if that system passes on locks (NFS 4 does).

    Args:
        folder: to lock.
        field: what to call it in a refusal.
        patience: seconds to wait for another process to let go.

    Raises:
        Refused: if another process works in it.
    """
    until = time.monotonic() + patience
    while (descriptor := _lock(folder)) is None:
        if time.monotonic() >= until:
            raise checks.Refused(f"{field}: another process works in {str(folder)!r}")
        time.sleep(0.1)
    try:
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Whether a process works in a folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock(folder: Path) -> int | None:
    """Return a descriptor that holds the lock of a folder, or None if another process does."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder.is_dir() and os.path.samestat(os.fstat(descriptor), folder.stat()):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # it was removed by the one that held it: lock the new one

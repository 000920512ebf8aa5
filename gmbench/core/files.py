"""Files that are whole or absent: temporary name, fsync, rename, checksum, lock.

Folders may come from strangers: what is read must be a regular file of bounded size, and what is
written never goes through a link that was there before.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gmbench.core import checks

MANIFEST_SUFFIX = ".sha256"
"""A file's checksum stands beside it under its name with this suffix."""
LARGEST = 2**31
"""Bytes of the largest file that is read, unless less is allowed."""
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def sha256(data: bytes) -> str:
    """Return the checksum of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def read(path: Path, field: str, largest: int = LARGEST, link: bool = True) -> bytes:
    """Return the bytes of a regular file.

    Args:
        path: of the file.
        field: what to call it in a refusal.
        largest: bytes that it may have.
        link: whether it may be a link to one.

    Raises:
        Refused: if it is missing, no regular file (a pipe, a device), or too large.
    """
    try:
        follow = 0 if link else os.O_NOFOLLOW
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | follow)
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise checks.Refused(f"{field}: {str(path)!r} is not a regular file")
            if about.st_size > largest:
                raise checks.Refused(
                    f"{field}: {str(path)!r} has {about.st_size} bytes, allowed are {largest}"
                )
            return file.read()
    except (OSError, ValueError) as error:  # a ValueError of a name with a zero byte
        if isinstance(error, checks.Refused):
            raise
        why = getattr(error, "strerror", None) or checks.one_line(error)
        raise checks.Refused(f"{field}: cannot read {str(path)!r} ({why})") from error


def write(path: Path, data: bytes) -> None:
    """Write a file so that at no moment a part of it stands under its name."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
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
    """Write a new file of a folder that nobody reads yet, durably but not at once."""
    try:
        with os.fdopen(os.open(path, NEW, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = str(path)
        raise


def write_folder(path: Path, contents: Mapping[str, bytes], within: Path) -> None:
    """Write a folder of files that appears under its name only when all are in it.

    Args:
        path: the folder, which must not be there.
        contents: its files, by name.
        within: where it is put together, on the same file system.

    Raises:
        OSError: if it cannot be written; nothing is left behind.
    """
    with new_folder(path, within) as building:
        for name, data in contents.items():
            write_part(building / name, data)


@contextlib.contextmanager
def new_folder(path: Path, within: Path) -> Iterator[Path]:
    """Yield a folder to write into, which gets its name when all is in it.

    Args:
        path: the folder, which must not be there.
        within: where it is put together, on the same file system.

    Raises:
        OSError: if it cannot be written; nothing is left behind.
    """
    building = within / f".{secrets.token_hex(8)}.tmp"
    building.mkdir()
    try:
        yield building
        for folder in (each for each in building.iterdir() if each.is_dir()):
            sync_folder(folder)
        sync_folder(building)
        building.rename(path)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    sync_folder(path.parent)


def write_checked(path: Path, data: bytes) -> None:
    """Write a file and, after it, its checksum, in the form that ``sha256sum --check`` reads."""
    write(path, data)
    write(_manifest(path), manifest(path.name, data))


def read_checked(path: Path, field: str, largest: int = LARGEST) -> bytes:
    """Return the bytes that :func:`write_checked` wrote.

    Raises:
        Refused: if the file or its checksum cannot be read, or they do not fit.
    """
    data, expected = read(path, field, largest), read(_manifest(path), field, 1000)
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
        probe = folder / f".{secrets.token_hex(8)}.tmp"
        os.close(os.open(probe, NEW, 0o666))
        probe.unlink()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or checks.one_line(error)
        raise checks.Refused(f"{field}: cannot write to {str(folder)!r} ({reason})") from error
    return folder


def private(folder: Path, field: str) -> Path:
    """Create a folder if need be, and make sure that only this user can write into it.

    Raises:
        Refused: if it is a link, another user's, or others may write into it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.lstat()
    except OSError as error:
        raise checks.Refused(f"{field}: cannot use {str(folder)!r} ({error.strerror})") from error
    others = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or others:
        raise checks.Refused(
            f"{field}: {str(folder)!r} is not a folder that only its owner, this user, can write "
            "into (chmod go-w)"
        )
    return folder


@contextlib.contextmanager
def locked(folder: Path, field: str, patience: float = 1, link: bool = True) -> Iterator[None]:
    """Keep every other process from working in a folder, which is created if need be.

    The operating system gives the lock back when the process ends, however it ends. On a network
    file system it holds between machines if that system passes on locks (NFS 4 does).

    Args:
        folder: to lock.
        field: what to call it in a refusal.
        patience: seconds to wait for another process to let go.
        link: whether the folder may be a link to one.

    Raises:
        Refused: if another process works in it, or it is a link that it may not be.
    """
    until = time.monotonic() + patience
    while (descriptor := _lock(folder, field, link)) is None:
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


def _lock(folder: Path, field: str, link: bool) -> int | None:
    """Return a descriptor that holds the lock of a folder, or None if another process does."""
    while True:
        descriptor = _opened(folder, field, link)
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


def _opened(folder: Path, field: str, link: bool) -> int:
    follow = 0 if link else os.O_NOFOLLOW
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | follow)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.EEXIST):
            raise
        raise checks.Refused(
            f"{field}: {str(folder)!r} is a link or no folder; remove it"
        ) from error

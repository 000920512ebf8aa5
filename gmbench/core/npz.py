"""Arrays by name as npz archives: plain data, whose size is known before memory is taken."""

import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib import format as npy

from gmbench.core import checks

BEGINS = b"PK\x03\x04"
LARGEST = 2**29
"""Bytes that the arrays of an archive may take."""
READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged archive raises."""


def encode(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return a compressed archive of some arrays."""
    buffer = io.BytesIO()
    named: dict[str, Any] = dict(arrays)
    np.savez_compressed(buffer, **named)
    return buffer.getvalue()


def decode(data: bytes, what: str, largest: int = LARGEST) -> dict[str, np.ndarray]:
    """Return the arrays of an archive, by name.

    Args:
        data: the archive.
        what: what to call it in a refusal.
        largest: bytes that its arrays may take.

    Raises:
        Refused: if it is no archive of arrays, or a larger one.
    """
    try:
        if not data.startswith(BEGINS):
            raise ValueError("it does not begin as one")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            listed = archive.infolist()
            taken = sum(each.file_size for each in listed)
            if taken > largest:
                raise checks.Refused(f"{what}: arrays of {taken} bytes, allowed are {largest}")
            return {each.filename.removesuffix(".npy"): _array(archive, each) for each in listed}
    except checks.Refused:
        raise
    except (*DAMAGE, NotImplementedError, RuntimeError) as error:
        raise checks.Refused(
            f"{what}: not an archive of arrays, or a damaged one ({checks.one_line(error)})"
        ) from error


def _array(archive: zipfile.ZipFile, about: zipfile.ZipInfo) -> np.ndarray:
    """Read one array; its header may not promise more than the archive holds."""
    with archive.open(about) as file:
        shape, by_columns, dtype = READERS[npy.read_magic(file)](file)
        if dtype.hasobject or math.prod(shape) * dtype.itemsize > about.file_size:
            raise ValueError(f"{about.filename} holds {dtype}{list(shape)}")
        flat = np.frombuffer(file.read(), dtype)
    return flat.reshape(shape, order="F" if by_columns else "C")

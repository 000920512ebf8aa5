"""Pytrees of arrays as safetensors: plain data, checked before it is trusted.

PRNG keys are stored as their key data. Loading never executes anything; a checkpoint whose
checksum, names, shapes or dtypes differ from what is expected is refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from gmbench.core import checks, files

Tree = TypeVar("Tree")
HEADER = 2**20
"""Bytes of the largest header that is read: it is parsed before anything else is known."""


def is_key(leaf: Any) -> bool:
    """Whether an array holds random keys."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _named(tree: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def encode(tree: Any) -> bytes:
    """Serialise a pytree of arrays; equal trees give equal bytes."""
    return encode_named(
        {
            name: np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
            for name, leaf in _named(tree).items()
        }
    )


def encode_named(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Serialise arrays by name; equal ones give equal bytes."""
    return save_tensors({name: np.asarray(arrays[name], order="C") for name in sorted(arrays)})


def decode(data: bytes, like: Tree, what: str) -> Tree:
    """Read a pytree back into the structure, shapes and dtypes of ``like``.

    What was stored in half precision is read as single precision, where that is expected.

    Raises:
        ValueError: naming what does not fit.
    """
    if (stated := int.from_bytes(data[:8], "little")) > HEADER:
        raise checks.Refused(f"{what}: a header of {stated} bytes, allowed are {HEADER}")
    try:
        arrays = load_tensors(data)
    except (SafetensorError, ValueError) as error:
        raise checks.Refused(f"{what}: not a safetensors file ({error})") from error
    wanted = _named(like)
    if set(arrays) != set(wanted):
        odd = sorted(set(arrays) ^ set(wanted))[0]
        raise checks.Refused(f"{what}: tensor {odd!r} is missing or unexpected")
    leaves = []
    for name, leaf in wanted.items():
        expected = jax.eval_shape(jax.random.key_data, leaf) if is_key(leaf) else leaf
        array = arrays[name]
        if array.dtype == np.float16 and expected.dtype == np.float32:
            array = array.astype(np.float32)
        if array.shape != expected.shape or array.dtype != expected.dtype:
            found, allowed = (f"{a.dtype}{list(a.shape)}" for a in (array, expected))
            raise checks.Refused(f"{what}: tensor {name!r} is {found}, {allowed} is expected")
        leaves.append(_like(jnp.asarray(array), leaf))
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _like(array: Any, leaf: Any) -> Any:
    """Return the array, or the key of ``leaf``'s kind that it is the data of."""
    if not is_key(leaf):
        return array
    kinds: list[Any] = []  # of a shape without data JAX names the kind only while it traces
    jax.eval_shape(lambda key: kinds.append(jax.random.key_impl(key)), leaf)
    return jax.random.wrap_key_data(array, impl=kinds[0])


def read(path: Path, sha256: str, like: Tree) -> Tree:
    """Read a file whose checksum is known.

    Raises:
        ValueError: if it is missing, or its bytes are not the ones that were written.
    """
    return decode(_read(path, sha256), like, f"checkpoint {str(path)!r}")


def read_named(path: Path, sha256: str) -> dict[str, np.ndarray]:
    """Read the arrays of a file whose checksum is known, by name.

    Raises:
        ValueError: if it is missing, or its bytes are not the ones that were written.
    """
    return load_tensors(_read(path, sha256))


def _read(path: Path, sha256: str) -> bytes:
    data = files.read(path, "checkpoint")
    if files.sha256(data) != sha256:
        raise checks.Refused(
            f"checkpoint: {str(path)!r} is damaged (its sha256 is not the recorded one)"
        )
    return data

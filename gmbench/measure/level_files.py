"""Levels on disk: plain arrays with a checksum and a note of what they belong to, no code.

A file is an npz archive. Boolean leaves are stored as bits; ``about`` holds a line of JSON with the
layout's version, the task, its shape, the number of levels and the sha256 of everything else.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np

from gmbench.core import checks, files, keys, npz, pool
from gmbench.core.env import Level
from gmbench.core.task import Task

SCHEMA = 1
"""Version of the layout."""


class About(msgspec.Struct, forbid_unknown_fields=True):
    """What a file says of itself."""

    schema: int
    task: str
    shape: str
    count: int
    sha256: str


def shape_of(task: Task) -> str:
    """Return a task's static shape in words, such as ``7-blocks``; a view has that of its base.

    Unless its levels hold more, as those with a cue do: ``7-blocks-cue``. What a setting changes in
    observations or rules alone makes no difference.
    """
    env = getattr(task.env, "unwrapped", task.env)
    static = [
        str(field.default if field.name in env.seen_only else getattr(env, field.name))
        for field in dataclasses.fields(env)
        if field.name not in env.rules_only
    ]
    return "-".join([*static, *getattr(task.env, "more_in_levels", ())])


def encode(levels: Level) -> dict[str, np.ndarray]:
    """Return the arrays that stand for levels on the trailing axis."""
    arrays = {}
    for name, leaf in _named(levels).items():
        array = np.asarray(leaf)
        arrays[name] = np.packbits(array, axis=-1) if array.dtype == bool else array
    return arrays


def decode(task: Task, arrays: Any, count: int) -> Level:
    """Undo :func:`encode` for ``count`` levels of a task."""
    draw = lambda key: pool.draw(task.env, task.training, key, (count,))  # noqa: E731
    shapes = jax.eval_shape(draw, keys.key(0))
    leaves = []
    for name, leaf in _named(shapes).items():
        array = arrays[name]
        if leaf.dtype == bool:
            array = np.unpackbits(array, axis=-1, count=count).astype(bool)
        if array.shape != leaf.shape or array.dtype != leaf.dtype:
            raise ValueError(f"{name} is {array.dtype}{list(array.shape)}")
        leaves.append(jnp.asarray(array))
    return jax.tree.unflatten(jax.tree.structure(shapes), leaves)


def pack(task: Task, levels: Level) -> bytes:
    """Serialise levels of a task.

    Args:
        task: the task they belong to, at its static shape.
        levels: levels on the trailing axis.
    """
    arrays = encode(levels)
    count = int(jax.tree.leaves(levels)[0].shape[-1])
    about = About(SCHEMA, task.id, shape_of(task), count, digest(arrays))
    line = np.frombuffer(msgspec.json.encode(about), np.uint8)
    return npz.encode({"about": line, **arrays})


def unpack(task: Task, data: bytes, what: str = "levels") -> Level:
    """Read levels back, on the trailing axis.

    Args:
        task: the task they must belong to.
        data: what :func:`pack` returned.
        what: the name of the source, for messages.

    Raises:
        ValueError: if the data are damaged, belong to another task, shape or layout, or hold what
            is no level (:func:`possible`).
    """
    try:
        arrays = npz.decode(data, what)
        about = msgspec.json.decode(arrays.pop("about").tobytes(), type=About)
    except (checks.Refused, KeyError, msgspec.DecodeError) as error:
        raise checks.Refused(f"{what}: not a file of levels, or a damaged one") from error
    wanted = {"schema": SCHEMA, "task": task.id, "shape": shape_of(task)}
    for field, value in wanted.items():
        if (found := getattr(about, field)) != value:
            raise checks.Refused(f"{what}: {field} is {found!r}, {value!r} is needed")
    if about.sha256 != digest(arrays):
        raise checks.Refused(f"{what}: damaged (its sha256 is not the recorded one)")
    try:
        levels = decode(task, arrays, about.count)
    except (ValueError, KeyError) as error:
        raise checks.Refused(f"{what}: does not fit {task.id} ({error})") from error
    return possible(task, levels, what)


def possible(task: Task, levels: Level, what: str = "levels") -> Level:
    """Return levels, once each is seen to be one: a checksum says nothing of its maker's sense.

    A level that cannot be printed and read back unchanged has something outside the grid, or two
    things in one place.

    Args:
        task: the task they must belong to.
        levels: levels on the trailing axis.
        what: the name of the source, for messages.

    Raises:
        ValueError: naming the first that is not a level of the task, or cannot be solved.
    """
    env = task.env
    states = jax.tree.map(np.asarray, jax.jit(pool.over_envs(env.start))(levels))
    solvable = np.asarray(jax.jit(pool.over_envs(env.is_solvable))(levels))
    for number, fine in enumerate(solvable):
        own, state = (jax.tree.map(lambda x, n=number: x[..., n], t) for t in (levels, states))
        try:
            again = env.parse(env.render_ascii(state))
            fine = fine and all(map(np.array_equal, jax.tree.leaves(again), jax.tree.leaves(own)))
        except (ValueError, IndexError):
            fine = False
        if not fine:
            raise checks.Refused(f"{what}: number {number} is not a level that can be solved")
    return levels


def read(task: Task, path: str | Path) -> Level:
    """Read a file that :func:`pack` filled.

    Raises:
        ValueError: if it cannot be read, is damaged, or belongs to another task.
    """
    data = files.read(Path(path), "levels")
    return unpack(task, data, f"levels {str(path)!r}")


def _named(levels: Level) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(levels)
    return {jax.tree_util.keystr(path).lstrip("."): leaf for path, leaf in leaves}


def digest(arrays: dict[str, np.ndarray]) -> str:
    """Return the checksum of some arrays, their names, dtypes and shapes."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, str(array.dtype), array.shape]).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

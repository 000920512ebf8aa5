"""Frozen evaluation levels: data with a checksum, not seeds.

JAX's random streams change between versions, so the levels that published numbers rest on are
files, drawn once and loaded ever after. A task or a size without a file is evaluated on levels
drawn from a fixed key, and its results say ``frozen: false``. Of environments that reserve levels
for evaluation, either kind of set holds these alone.
"""

import collections
import functools
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from gmbench.core import checks, files, keys, npz, pool, registry
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.task import Task
from gmbench.measure import level_files

COUNT = 1024
"""Levels in each set."""
SPARE = 2
"""Sets are chosen from so many times as many levels."""
INDEX = "SHA256.json"
"""Name of the file that lists every set's checksum."""


class LevelSet(NamedTuple):
    """Levels on the trailing axis, and where they came from.

    Attributes:
        levels: the levels.
        frozen: whether they were read from a file.
        sha256: the checksum of the file, or of the arrays of levels that were drawn.
    """

    levels: Level
    frozen: bool
    sha256: str


def distributions(task: Task) -> dict[str, EnvParams]:
    """Return the two distributions that headline numbers rest on: training and the first shift.

    Training is meant at ``alpha`` 0. Figures at any other ``alpha`` are mixtures of the two.
    """
    return {"training": task.training, task.headline: task.shifts[task.headline]}


def parameters(task: Task, distribution: str) -> EnvParams:
    """Return the parameters of ``training`` or of a shift.

    Raises:
        ValueError: for an unknown distribution, offering the nearest.
    """
    return task.shift(distribution)


def file_name(task: Task, distribution: str) -> str:
    """Return the file name of a task's level set at its static shape."""
    return f"{task.id}-{level_files.shape_of(task)}-{distribution}.npz"


def load(task: Task, distribution: str, folder: Path | None = None) -> LevelSet:
    """Return the evaluation levels of a distribution.

    Raises:
        ValueError: for an unknown distribution, or a file that does not match its checksum.
    """
    params = parameters(task, distribution)
    folder = folder or registry.data_folder() / "levels"
    path = folder / file_name(task, distribution)
    if not path.exists():
        found = _draw(task, params, distribution, COUNT)
        return LevelSet(found, False, level_files.digest(level_files.encode(found)))
    data = files.read(path, "levels")
    sha256 = hashlib.sha256(data).hexdigest()
    if json.loads((folder / INDEX).read_text()).get(path.name) != sha256:
        raise checks.Refused(f"levels: {path.name} does not match its checksum in {INDEX}")
    arrays = npz.decode(data, f"levels {path.name!r}")
    return LevelSet(level_files.decode(task, arrays, COUNT), True, sha256)


def first(task: Task, distribution: str, count: int) -> Level:
    """Return the first levels of :func:`load`, for what needs no more."""
    return jax.tree.map(lambda leaf: leaf[..., :count], load(task, distribution).levels)


def freeze(task: Task, distribution: str, folder: Path) -> str:
    """Draw a level set, write it, and return its checksum. Existing files are never rewritten.

    What is drawn more than once is left out: training would meet it too.

    Raises:
        ValueError: if the set is frozen already.
    """
    path = folder / file_name(task, distribution)
    if path.exists():
        raise checks.Refused(f"levels: {path.name} is frozen already")
    found = _draw(task, parameters(task, distribution), distribution, SPARE * COUNT)
    kept = jax.tree.map(lambda leaf: leaf[..., _unique(found)[:COUNT]], found)
    path.write_bytes(npz.encode(level_files.encode(kept)))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _draw(task: Task, params: EnvParams, distribution: str, count: int) -> Level:
    name = file_name(task, distribution)
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    # Runs begin from keys of small seeds; folding keeps this stream apart from all of them.
    key = jax.random.fold_in(keys.key(2**31 - 1), seed)
    if not hasattr(params, "reserved"):
        return drawn(task.env, params, key, count)
    params, held = params.override(reserved=1), 0
    parts: list[Level] = []
    while held < count:
        found = drawn(task.env, params, jax.random.fold_in(key, len(parts)), count)
        kept = np.flatnonzero(_reserved(task.env, found))
        parts.append(jax.tree.map(lambda leaf, kept=kept: leaf[..., kept], found))
        held += len(kept)
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=-1)[..., :count], *parts)


@functools.partial(jax.jit, static_argnames="env")
def _reserved(env: Environment[Any, Any], levels: Level) -> Bool[Array, " levels"]:
    return pool.over_envs(env.reserved)(levels)


@functools.partial(jax.jit, static_argnames=("env", "count"))
def drawn(env: Environment[Any, Any], params: EnvParams, key: PRNGKeyArray, count: int) -> Level:
    """Draw levels on the trailing axis, compiled."""
    return pool.draw(env, params, key, (count,))


def rows(levels: Level) -> list[bytes]:
    """Return each level as bytes, by which equal ones are found."""
    leaves = [np.moveaxis(np.asarray(leaf), -1, 0) for leaf in jax.tree.leaves(levels)]
    flat = [np.ascontiguousarray(leaf.reshape(leaf.shape[0], -1)).view(np.uint8) for leaf in leaves]
    return [row.tobytes() for row in np.concatenate(flat, axis=1)]


def _unique(levels: Level) -> Int[np.ndarray, " unique"]:
    """Return the places of the levels that occur once."""
    each = rows(levels)
    count = collections.Counter(each)
    return np.array([place for place, row in enumerate(each) if count[row] == 1])

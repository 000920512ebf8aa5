"""What the page is told of a task: its things, how ASCII stands for them, and sample levels.

A level on the page is a set of things for each cell. How the arrays of a level follow from those is
found out from sample levels, and proven on each of them: a mask is where one thing is, a position
is where the first of some things is, (-1, -1) where there is none.
"""

import base64
import functools
import io
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool
from PIL import Image

from gmbench.core import checks, keys, pool, registry
from gmbench.core.task import Task
from gmbench.grid import sprites
from gmbench.measure import levels
from gmbench.solve.reach_env import ReachEnvironment

PIXELS = 64
"""Of a sprite on the page."""
LEARNT = 64
"""Levels of each distribution from which is learnt what stands for what."""


def allowed() -> list[str]:
    """Return the tasks that can be explored."""
    return [id for id in registry.task_ids() if is_simple(registry.make(id))]


def is_simple(task: Task) -> bool:
    """Whether every goal of a task is to reach a cell, and its levels hold only masks and cells."""
    env = task.env
    if not isinstance(env, ReachEnvironment):
        return False
    level = jax.eval_shape(env.sample_level, keys.key(0), task.training)
    kinds = {(str(leaf.dtype), leaf.shape) for leaf in jax.tree.leaves(level)}
    return kinds <= {("bool", env.shape), ("int8", (2,))}


def described(task: Task, count: int) -> dict[str, Any]:
    """Return what the page is told of a task.

    Args:
        task: one that :func:`is_simple`.
        count: sample levels of each distribution.

    Raises:
        Refused: for a task whose levels do not follow from their pictures.
    """
    env: Any = task.env
    samples = {name: _sample(task, name) for name in ("training", *task.shifts)}
    pictures = [picture for _, pictures in samples.values() for picture in pictures]
    arrays = [level for found, _ in samples.values() for level in found]
    fixed, printed = _fixed(env, np.stack(pictures))
    return {
        "task": task.id,
        "rows": env.shape[0],
        "cols": env.shape[1],
        "actions": list(env.action_names),
        "goals": list(env.goal_names),
        "words": {env.goal_names[0]: task.intended, **task.proxies},
        "things": list(env.things),
        "legend": {mark: list(things) for mark, things in env.legend.items()},
        "fixed": fixed,
        "fields": _fields(task, arrays, np.stack(pictures)),
        "counts": _counts(printed, pictures, env),
        "sprites": {thing: sprite(thing) for thing in env.things},
        "horizon": int(task.training.horizon),
        "discount": task.discount,
        "levels": {
            name: [env.print_picture(picture) for picture in pictures[:count]]
            for name, (_, pictures) in samples.items()
        },
    }


def sprite(name: str) -> str:
    """Return the picture of a thing, a PNG as base64."""
    buffer = io.BytesIO()
    Image.fromarray(sprites.draw(name, PIXELS)).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def named(level: Any) -> dict[str, Any]:
    """Return the arrays of a level by the names of its fields."""
    leaves = jax.tree_util.tree_leaves_with_path(level)
    return {jax.tree_util.keystr(path).lstrip("."): leaf for path, leaf in leaves}


def _sample(task: Task, distribution: str) -> tuple[list[dict[str, Any]], list[Any]]:
    """Return levels as named arrays, and their pictures."""
    found = levels.load(task, distribution).levels
    first = jax.tree.map(lambda leaf: leaf[..., :LEARNT], found)
    pictures = np.moveaxis(np.asarray(_pictures(task.env, first)), -1, 0)
    arrays = {name: np.moveaxis(np.asarray(leaf), -1, 0) for name, leaf in named(first).items()}
    each = [{name: array[n] for name, array in arrays.items()} for n in range(len(pictures))]
    return each, list(pictures)


@functools.partial(jax.jit, static_argnums=0)
def _pictures(env: Any, many: Any) -> Any:
    return pool.over_envs(lambda level: env.picture(env.start(level)))(many)


def _fixed(
    env: Any, pictures: Bool[np.ndarray, "levels rows cols things"]
) -> tuple[dict[str, list[list[int]]], list[str]]:
    """Return the cells of things that ASCII does not show, and the things that it does.

    Raises:
        Refused: if something that it does not show moves.
    """
    printed = [t for t in env.things if any(t in marks for marks in env.legend.values())]
    fixed = {}
    for place, thing in enumerate(env.things):
        if thing in printed:
            continue
        own = pictures[..., place]
        if (own != own[:1]).any():
            raise _unreadable(env, thing)
        fixed[thing] = np.argwhere(own[0]).tolist()
    return fixed, printed


def _fields(
    task: Task,
    arrays: list[dict[str, Any]],
    pictures: Bool[np.ndarray, "levels rows cols things"],
) -> dict[str, dict[str, Any]]:
    """Return for each array of a level whether it is a mask or a cell, and of which things.

    Raises:
        Refused: for one that does not follow from the picture.
    """
    fields = {}
    for name, first in arrays[0].items():
        own = np.stack([level[name] for level in arrays])
        kind = "mask" if first.ndim == 2 else "cell"
        things = _masks(own, pictures) if kind == "mask" else _cells(own, pictures)
        found = [task.env.things[place] for place in things]
        read = _read_cells(pictures[..., things]) if kind == "cell" and found else None
        if not found or (read is not None and (read != own).any()):
            raise _unreadable(task.env, name)
        fields[name] = {"kind": kind, "things": found}
    return fields


def _masks(own: Any, pictures: Any) -> list[int]:
    """Return the first thing that is wherever a mask is set."""
    same = (pictures == own[..., None]).all(axis=(0, 1, 2))
    return np.flatnonzero(same)[:1].tolist()


def _cells(own: Any, pictures: Any) -> list[int]:
    """Return the things that are at a position whenever they are anywhere."""
    found = []
    for place in range(pictures.shape[-1]):
        there = pictures[..., place].any(axis=(1, 2))
        if there.any() and (_read_cells(pictures[there][..., [place]]) == own[there]).all():
            found.append(place)
    return found


def _read_cells(pictures: Bool[np.ndarray, "levels rows cols things"]) -> Any:
    """Return the first cell on which one of some things is, ``(-1, -1)`` where there is none."""
    levels, _, cols, _ = pictures.shape
    flat = pictures.any(axis=-1).reshape(levels, -1)
    cell, there = flat.argmax(axis=1), np.any(flat, axis=1, keepdims=True)
    cells = np.stack([cell // cols, cell % cols], axis=1)
    return np.where(there, cells, -1)


def _counts(printed: list[str], pictures: list[Any], env: Any) -> list[dict[str, int]]:
    """Return how often things may stand on a level: as in one of the samples; walls are free."""
    single = [thing for thing in printed if thing != "wall"]
    places = [env.things.index(thing) for thing in single]
    seen = sorted({tuple(picture[..., places].sum(axis=(0, 1)).tolist()) for picture in pictures})
    return [dict(zip(single, counts, strict=True)) for counts in seen]


def _unreadable(env: Any, what: str) -> checks.Refused:
    return checks.Refused(
        f"explore: {what!r} of {type(env).__name__} does not follow from a level's picture"
    )

"""How the arrays of a level follow from its picture, found out from sample levels.

A level on the page is a set of things for each cell, and its notes. How each array follows is one
of a few kinds: a ``mask`` is where one thing is; a ``cell`` is the first cell of some things,
(-1, -1) where there is none; a ``list`` has the cells of some things, thing after thing in reading
order, (-1, -1) for the rest; ``members`` says which places of a list are one thing's; a ``note`` is
printed below the picture; all else is a ``constant``, or follows from the others by ``env.settle``,
which the page calls too. That the whole does give the level back is proven on every sample.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from gmbench.core import checks, pool
from gmbench.core.task import Task
from gmbench.report.explorer import world

Pictures = Bool[np.ndarray, "levels rows cols things"]


@dataclasses.dataclass(frozen=True)
class Field:
    """How one array of a level follows from its picture.

    Attributes:
        kind: see above.
        things: of which things, by their places in the drawing order.
        of: the list that ``members`` belongs to.
        value: of a constant.
    """

    kind: str
    things: tuple[int, ...] = ()
    of: str = ""
    value: Any = None

    def plain(self, names: tuple[str, ...], example: Any) -> dict[str, Any]:
        """Return the field as the page reads it, given one level's array."""
        told: dict[str, Any] = {"kind": self.kind, "type": str(example.dtype)}
        told |= {"shape": list(example.shape), "things": [names[n] for n in self.things]}
        told |= {"of": self.of} if self.of else {}
        return told | ({"value": self.value.reshape(-1).tolist()} if self.value is not None else {})


def found(task: Task, own: dict[str, np.ndarray], pictures: Pictures) -> dict[str, Field]:
    """Return how each array of some levels follows from their pictures.

    Args:
        task: of the levels.
        own: arrays of the levels by name, the levels on the leading axis.
        pictures: of the levels.

    Raises:
        Refused: where levels do not follow.
    """
    env: Any = task.env
    fields = {name: _of(name, array, pictures, env) for name, array in own.items()}
    lists = {name: field for name, field in fields.items() if field.kind == "list"}
    for name, array in own.items():
        if fields[name].kind == "constant":
            fields[name] = _members(array, lists, own, pictures) or fields[name]
    _prove(task, fields, own, pictures)
    return fields


def _of(name: str, array: np.ndarray, pictures: Pictures, env: Any) -> Field:
    """Return how an array follows: what nothing else fits is a constant, to be settled."""
    if name in env.notes:
        return Field("note")
    if array.dtype == bool and array.shape[1:] == pictures.shape[1:3]:
        same = (pictures == array[..., None]).all(axis=(0, 1, 2))
        if same.any():
            return Field("mask", (int(np.flatnonzero(same)[0]),))
    if array.dtype == np.int8 and array.shape[1:] == (2,) and (array >= 0).any():
        things = _cells(array, pictures)
        if things and (_read_cells(pictures[..., list(things)]) == array).all():
            return Field("cell", things)
    if array.dtype == np.int8 and array.ndim == 3 and array.shape[2] == 2:
        things = _listed(array, pictures)
        if things and _same_rows(_read_list(pictures, things, array.shape[1]), array):
            return Field("list", things)
    return Field("constant", value=array[0] if (array == array[:1]).all() else array[0] * 0)


def _cells(own: np.ndarray, pictures: Pictures) -> tuple[int, ...]:
    """Return the things that are at a position whenever they are anywhere."""
    places = []
    for place in range(pictures.shape[-1]):
        there = pictures[..., place].any(axis=(1, 2))
        if there.any() and (_read_cells(pictures[there][..., [place]]) == own[there]).all():
            places.append(place)
    return tuple(places)


def _listed(own: np.ndarray, pictures: Pictures) -> tuple[int, ...]:
    """Return the things that are nowhere but at some places of a list, in the list's order."""
    within = np.zeros(pictures.shape[:3], bool)
    level, place = np.nonzero(own[..., 0] >= 0)
    within[level, own[level, place, 0], own[level, place, 1]] = True
    first = {}
    for thing in range(pictures.shape[-1]):
        mask = pictures[..., thing]
        if mask.any() and not (mask & ~within).any():
            on = mask[level, own[level, place, 0], own[level, place, 1]]
            first[thing] = place[on].min()
    return tuple(sorted(first, key=lambda thing: (first[thing], thing)))


def _members(
    array: np.ndarray, lists: dict[str, Field], own: dict[str, np.ndarray], pictures: Pictures
) -> Field | None:
    """Return the thing whose places in a list an array marks, if there is one."""
    for name, field in lists.items():
        cells = own[name]
        if array.dtype != bool or array.shape != cells.shape[:2]:
            continue
        for thing in field.things:
            if (array == _read_members(pictures, cells, thing)).all():
                return Field("members", (thing,), name)
    return None


def _read_cells(pictures: Pictures) -> Any:
    """Return the first cell on which one of some things is, ``(-1, -1)`` where there is none."""
    levels, _, cols, _ = pictures.shape
    flat = pictures.any(axis=-1).reshape(levels, -1)
    cell, there = flat.argmax(axis=1), np.any(flat, axis=1, keepdims=True)
    return np.where(there, np.stack([cell // cols, cell % cols], axis=1), -1)


def _read_list(pictures: Pictures, things: tuple[int, ...], length: int) -> Any:
    """Return the cells of some things, thing after thing, ``(-1, -1)`` in the places left."""
    read = np.full((len(pictures), length, 2), -1)
    for level, picture in enumerate(pictures):
        cells = np.concatenate([np.argwhere(picture[..., thing]) for thing in things])[:length]
        read[level, : len(cells)] = cells
    return read


def _read_members(pictures: Pictures, cells: np.ndarray, thing: int) -> Any:
    """Return at which places of a list a thing is."""
    row, col = np.moveaxis(cells, -1, 0)
    return pictures[np.arange(len(cells))[:, None], row, col, thing] & (row >= 0)


def _same_rows(one: Any, other: Any) -> bool:
    """Whether lists hold the same cells, in whatever order."""
    codes = [np.sort(each[..., 0].astype(int) * 64 + each[..., 1], axis=1) for each in (one, other)]
    return bool((codes[0] == codes[1]).all())


def read(
    fields: dict[str, Field], own: dict[str, np.ndarray], pictures: Pictures
) -> dict[str, np.ndarray]:
    """Return the arrays that fields read off pictures; notes are taken from the levels' own."""
    arrays: dict[str, np.ndarray] = {}
    for name, field in sorted(fields.items(), key=lambda each: each[1].kind == "members"):
        example, things = own[name], field.things
        if field.kind == "note":
            arrays[name] = example
        elif field.kind == "mask":
            arrays[name] = pictures[..., things[0]]
        elif field.kind == "cell":
            arrays[name] = _read_cells(pictures[..., list(things)]).astype(np.int8)
        elif field.kind == "list":
            arrays[name] = _read_list(pictures, things, example.shape[1]).astype(np.int8)
        elif field.kind == "members":
            arrays[name] = _read_members(pictures, arrays[field.of], things[0])
        else:
            arrays[name] = np.broadcast_to(field.value, example.shape).astype(example.dtype)
    return arrays


def _prove(
    task: Task, fields: dict[str, Field], own: dict[str, np.ndarray], pictures: Pictures
) -> None:
    """Refuse levels that are not what their pictures give once settled."""
    env: Any = task.env
    shape = world.shapes(task).level
    made = read(fields, own, pictures)
    leaves = [jnp.asarray(np.moveaxis(made[name], 0, -1)) for name in world.named(shape)]
    many = jax.tree.unflatten(jax.tree.structure(shape), leaves)
    settled = world.named(jax.jit(pool.over_envs(env.settle))(many))
    for name, array in own.items():
        if (np.moveaxis(np.asarray(settled[name]), -1, 0) != array).any():
            raise checks.Refused(
                f"explore: {name!r} of {task.id} does not follow from a level's picture and notes"
            )

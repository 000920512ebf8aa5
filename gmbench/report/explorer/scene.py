"""What the page is told of a task: its things, how ASCII stands for them, its world, its levels.

A level on the page is a set of things for each cell, and its notes; :mod:`fields` says how its
arrays follow. What can be edited follows from these: masks are built and broken, cells and
the places of lists are dragged, lists are added to within the numbers that samples have, notes are
chosen.
"""

import base64
import functools
import io
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image

from gmbench.core import checks, pool
from gmbench.core.task import Task
from gmbench.grid import sprites
from gmbench.measure import levels
from gmbench.report.explorer import fields, program, world

PIXELS = 64
"""Of a sprite on the page."""
LEARNT = 64
"""Levels of each distribution from which is learnt what stands for what."""
CHOICES = 12
"""Most values of a note among which the page lets choose."""


SHOWN = (
    *("CheeseCorner-v0", "CheeseDish-v0", "ColorShape-v0", "FollowPartner-v0", "KeysChests-v0"),
    *("LavaLand-v0", "Monitor-v0", "TrapKeys-v0", "TrapKeys-v1"),
)
"""Those of our tasks that can be explored, for whoever is refused; a test keeps the list true."""


class Learnt(NamedTuple):
    """What was found out about a task.

    Attributes:
        programs: of its world, by name, with their constants.
        samples: arrays of levels and their pictures, by distribution.
        own: the arrays of them all.
        pictures: of them all.
        fields: how arrays follow from pictures.
    """

    programs: dict[str, tuple[program.Program, dict[str, np.ndarray]]]
    samples: dict[str, tuple[dict[str, np.ndarray], fields.Pictures]]
    own: dict[str, np.ndarray]
    pictures: fields.Pictures
    fields: dict[str, fields.Field]


@functools.lru_cache(maxsize=8)
def learnt(task: Task) -> Learnt:
    """Return what is found out about a task.

    Raises:
        Refused: for a task without a grid, one whose world the page cannot compute or follow, and
            one whose levels do not follow from their pictures and notes.
    """
    try:
        world.check(task)
        programs = dict(world.programs(task))
        samples = {name: _sample(task, name) for name in ("training", *task.shifts)}
        own = {
            name: np.concatenate([arrays[name] for arrays, _ in samples.values()])
            for name in samples["training"][0]
        }
        pictures = np.concatenate([each for _, each in samples.values()])
        return Learnt(programs, samples, own, pictures, fields.found(task, own, pictures))
    except checks.Refused as why:
        raise checks.Refused(f"{why} (allowed: {', '.join(SHOWN)})") from None


def described(task: Task, count: int) -> dict[str, Any]:
    """Return what the page is told of a task.

    Args:
        task: any.
        count: sample levels of each distribution.

    Raises:
        Refused: as for :func:`learnt`.
    """
    env: Any = task.env
    known = learnt(task)
    return {
        "task": task.id,
        "rows": env.shape[0],
        "cols": env.shape[1],
        "actions": list(env.action_names),
        "goals": list(env.goal_names),
        "words": {env.goal_names[0]: task.intended, **task.proxies},
        "things": list(env.things),
        "legend": {mark: list(things) for mark, things in env.legend.items()},
        "fields": {
            name: each.plain(env.things, known.own[name][0]) for name, each in known.fields.items()
        },
        "notes": {name: _note(task, name, known.own[name]) for name in env.notes},
        **_counts(env, known.fields, known.pictures),
        "exact": env.exact,
        "sights": world.sights(task),
        "sprites": {thing: sprite(thing) for thing in env.things},
        "horizon": env.episode_steps,
        "discount": task.discount,
        "programs": {name: program.plain(*each) for name, each in known.programs.items()},
        "levels": {
            name: [_printed(env, level, n, picture) for n, picture in enumerate(pictures[:count])]
            for name, (level, pictures) in known.samples.items()
        },
    }


def sprite(name: str) -> str:
    """Return the picture of a thing, a PNG as base64."""
    buffer = io.BytesIO()
    Image.fromarray(sprites.draw(name, PIXELS)).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _sample(task: Task, distribution: str) -> tuple[dict[str, np.ndarray], fields.Pictures]:
    """Return the arrays of some levels, and their pictures, the levels on the leading axis."""
    first = levels.first(task, distribution, LEARNT)
    pictures = np.moveaxis(np.asarray(_pictures(task.env, first)), -1, 0)
    own = {name: np.moveaxis(np.asarray(leaf), -1, 0) for name, leaf in world.named(first).items()}
    return own, pictures


@functools.partial(jax.jit, static_argnums=0)
def _pictures(env: Any, many: Any) -> Any:
    return pool.over_envs(lambda level: env.picture(env.start(level)))(many)


def _printed(env: Any, own: dict[str, np.ndarray], number: int, picture: Any) -> str:
    """Return a level as ASCII, with its notes."""
    notes = [f"{name}: {' '.join(map(str, own[name][number].reshape(-1)))}" for name in env.notes]
    return "\n".join([env.print_picture(picture), *notes])


def _note(task: Task, name: str, own: np.ndarray) -> dict[str, Any]:
    """Return what a note is of a level that says nothing, and the values among which to choose."""
    flat = own.reshape(len(own), -1)
    seen = sorted({tuple(each) for each in flat.tolist()})
    return {"default": _silent(task, name), "choices": seen if len(seen) <= CHOICES else []}


def _silent(task: Task, name: str) -> list[int]:
    """Return a note of a level whose ASCII form has none."""
    env: Any = task.env
    drawn = levels.load(task, "training").levels
    level = jax.tree.map(lambda leaf: leaf[..., 0], drawn)
    grid = "\n".join(env.render_ascii(env.start(level)).splitlines()[: env.shape[0]])
    return np.asarray(getattr(env.parse(grid), name)).reshape(-1).tolist()


def _counts(env: Any, found: dict[str, fields.Field], pictures: fields.Pictures) -> dict[str, Any]:
    """Return how often things may stand on a level.

    Those of a mask as often as one likes, those of lists within the range of the samples and as the
    list is long, all others as in one of the samples.
    """
    printed = {thing for marks in env.legend.values() for thing in marks}
    of_kind = {
        kind: {env.things[n] for each in found.values() if each.kind == kind for n in each.things}
        for kind in ("mask", "list")
    }
    counts = {thing: pictures[..., n].sum(axis=(1, 2)) for n, thing in enumerate(env.things)}
    free = [thing for thing in env.things if thing in of_kind["mask"] & printed]
    ranges = {
        thing: [int(each.min()), int(each.max())]
        for thing, each in counts.items()
        if thing in of_kind["list"] & printed - of_kind["mask"]
    }
    rest = [thing for thing in env.things if thing in printed - {*free, *ranges}]
    together = sorted(set(zip(*(counts[thing].tolist() for thing in rest), strict=True)))
    return {
        "free": free,
        "ranges": ranges,
        "counts": [dict(zip(rest, each, strict=True)) for each in together],
    }

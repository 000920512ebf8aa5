"""Draw what an agent's actor and critic make of one level, as a thing is put on every cell."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from gmbench.core import checks, registry
from gmbench.core.env import Level
from gmbench.measure import levels, splay
from gmbench.report.document import PICTURES, Document, Line, Paragraph, Picture, Table
from gmbench.report.question import Asked, Question
from gmbench.report.splay import SplayedLevel, notes, splay_figure
from gmbench.runs import store
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.stats.estimate import two_digits

PIXELS = 48
"""Of a cell, in the picture of the level."""


@registry.question("splay")
@dataclass(frozen=True, kw_only=True)
class Splay(Question):
    """Draw what an agent's actor and critic make of one level, as a thing is put on every cell."""

    thing: str
    """What is put on every cell: a position in the task's levels, such as cheese."""
    level: int = 0
    """Which of the evaluation levels."""
    shift: str | None = None
    """Distribution of the levels: training, or the name of a shift; by default the first shift."""

    def check(self) -> None:
        """Refuse a picture alone of several agents: it shows one."""
        if self.out is not None and self.out.suffix in PICTURES:
            count = len(store.survey(self.folder)[0])
            if count > 1:
                raise checks.Refused(
                    f"out: {str(self.out)!r} shows one agent, not {count} (allowed: a page, or the"
                    " picture of a single run's directory)"
                )

    def investigate(self, agent: OpenAgent, watch: Watch) -> SplayedLevel:
        """Return what the agent does and values on the level.

        Raises:
            Refused: if the level has no such thing, there is no such level or distribution, or the
                agent has no critic.
        """
        del watch
        env, name = agent.env, self.shift or agent.task.headline
        level, picture = agent.once(_level, name, self.level)
        splay.check_thing(level, self.thing)
        discount = agent.own_discount
        params = levels.parameters(agent.task, name)
        given = (splay.SplayMaps(self.thing), params, level, agent.key(0), discount)
        placements, cells = jax.device_get(agent.measure(*given))
        place = splay.goal_of(env, self.thing)
        return SplayedLevel(
            title=f"{agent.run.spec.name}, level {self.level} of {name}",
            thing=self.thing,
            goal=env.goal_names[place],
            place=place,
            actions=env.action_names,
            picture=picture,
            start=_cell(level.start),
            at=_cell(getattr(level, self.thing)),
            walls=np.asarray(level.walls),
            discount=discount,
            placements=placements,
            cells=cells,
        )

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a picture of each agent, and its values on the level as it is."""
        found = [shown for each in asked for shown in each.found]
        labels = [
            (f"{each.condition.label}, seed {run.spec.seed}", each.condition.heading)
            for each in asked
            for run in each.condition.runs
        ]
        lines = tuple(
            Line(label, _values(shown), heading)
            for (label, heading), shown in zip(labels, found, strict=True)
        )
        columns = ("agent", "critic", "actor earns", "optimum")
        table = Table("Values at the start of the level", columns, lines)
        pictures = (Picture(splay_figure(shown), shown.title) for shown in found)
        said = dict.fromkeys(note for shown in found for note in notes(shown))
        words = (Paragraph(note, soft=True) for note in said)
        title = "What do actor and critic make of a level?"
        return Document(title, (*pictures, table, *words), data=list(map(_plain, found)))


def _level(plan: Plan, distribution: str, number: int) -> tuple[Level, np.ndarray]:
    """Return one of the evaluation levels, and its picture."""
    every = levels.load(plan.task, distribution).levels
    count = jax.tree.leaves(every)[0].shape[-1]
    checks.integer("level", number, 0, count - 1)
    level = jax.tree.map(lambda leaf: leaf[..., number], every)
    env = plan.task.env
    return level, np.asarray(jax.jit(lambda level: env.render(env.start(level), PIXELS))(level))


def _cell(position: Any) -> tuple[int, int]:
    row, col = np.asarray(position).tolist()
    return row, col


def _values(shown: SplayedLevel) -> tuple[str, ...]:
    """Return the critic's value, what is earned and what could be, with everything in its place."""
    maps, own = shown.cells, (shown.place, *shown.start)
    return (
        "no critic" if maps.critic is None else two_digits(float(maps.critic[shown.start])),
        "sampled" if maps.achieved is None else two_digits(float(maps.achieved[own])),
        "unknown" if maps.optimal is None else two_digits(float(maps.optimal[own])),
    )


def _plain(shown: SplayedLevel) -> dict[str, Any]:
    """Return the maps as what JSON can hold, rows of cells; goals and actions come first."""

    def of(maps: splay.Maps) -> dict[str, Any]:
        return {
            name: None if values is None else np.asarray(values).tolist()
            for name, values in maps._asdict().items()
        }

    return {
        "title": shown.title,
        "thing": shown.thing,
        "goal": shown.goal,
        "discount": shown.discount,
        "start": shown.start,
        "at": shown.at,
        "placements": of(shown.placements),
        "cells": of(shown.cells),
    }

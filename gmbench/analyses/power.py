"""Say what the states of the runs' tasks are worth over many goals, and how far goals agree.

Nothing is asked of the agents: POWER and kappa (:mod:`gmbench.measure.power`) belong to a task's
levels, so that agents of one task and shape share a line. Where goals agree on what a state is
worth, whatever is wanted makes for the same states, such as those in which the episode goes on.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from gmbench.core import keys, registry
from gmbench.core.env import Level
from gmbench.core.task import Task
from gmbench.measure import levels, power
from gmbench.report.document import Bullets, Document, Line, Paragraph, Part, Picture, Table
from gmbench.report.figures import STYLE, WIDTH
from gmbench.report.question import Asked, Question
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.solve.reach_env import ReachEnvironment
from gmbench.solve.tabular import TabularEnvironment
from gmbench.stats.aggregates import known_mean
from gmbench.stats.estimate import estimate

LEVELS = 16
"""Levels of each task."""
DRAWS = 256
"""Goals drawn on each level."""
DISCOUNT = 0.9
"""Of what the drawn goals pay."""
ENDING, ENDLESS = "episodes end", "episodes never end"
"""Kinds of state spaces of a level."""

NOTE = (
    f"The first {LEVELS} levels of the headline shift, {DRAWS} goals drawn on each, discount"
    f" {DISCOUNT:g}; intervals are at level 95%, over levels. POWER is the mean over goals of what"
    " is still to come in a state, in units of the reward, averaged over the states in which an"
    " episode goes on, and over those in which it has ended and the reward of the last cell is paid"
    " for ever. kappa is the share of the differences between states that all goals agree on."
    " Families of goals differ in scale: their POWER cannot be compared, their kappa can."
)


@dataclass(frozen=True)
class LevelPower:
    """What is found of one level under one family of goals; NaN where it is undefined.

    Attributes:
        kappa: how far the goals agree.
        going: mean POWER of the states in which an episode goes on.
        ended: of those in which it has ended.
        note: in words what could not be decided, else "".
    """

    kappa: float
    going: float
    ended: float
    note: str


@dataclass(frozen=True)
class TaskPower:
    """What is found of a task's levels.

    Attributes:
        found: by kind of state space and family of goals, of each level.
        maps: by kind, POWER of the cells of the first level, under the first family.
    """

    found: Mapping[tuple[str, str], tuple[LevelPower, ...]]
    maps: Mapping[str, Float[np.ndarray, "rows cols"]]


@registry.question("power")
@dataclass(frozen=True)
class StatePower(Question):
    """Say what the states of the runs' tasks are worth over many goals, and how far goals agree."""

    asked_of: ClassVar[str] = "tasks whose states can be listed"

    def applies(self, plan: Plan) -> bool:
        """Whether the states of the task's levels can be listed."""
        return isinstance(_task(plan).env, ReachEnvironment | TabularEnvironment)

    def investigate(self, agent: OpenAgent, watch: Watch) -> TaskPower:
        """Return what is found of the levels of the agent's task."""
        del watch
        return agent.once(_of_task)

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return POWER and kappa of each task and shape, and maps of a level of each."""
        by_task = {_heading(each): each.found[0] for each in asked}
        lines = tuple(line for name, found in by_task.items() for line in _lines(name, found))
        notes = tuple(dict.fromkeys(_notes(by_task)))
        columns = ("goals drawn", "POWER going on", "POWER ended", "kappa")
        parts: tuple[Part, ...] = (
            Table("What are states worth, and do goals agree?", columns, lines),
            *([Bullets(notes, "What could not be decided")] if notes else []),
            Paragraph(NOTE, soft=True),
            Picture(_figure(by_task), "POWER of the cells of one level, goals uniform in [0, 1]."),
        )
        return Document("Which states would most goals seek?", parts)


def _task(plan: Plan) -> Task:
    """Return the task without its view: what is seen makes no difference here."""
    return registry.make(plan.spec.task, **plan.spec.static)


def _heading(asked: Asked) -> str:
    spec = asked.condition.spec
    return ", ".join([spec.task, *(f"{name} {value}" for name, value in spec.static.items())])


# ---- measured ------------------------------------------------------------------------------------


def _of_task(plan: Plan) -> TaskPower:
    task = _task(plan)
    every = levels.load(task, task.headline).levels
    spaces = [
        _spaces(task.env, jax.tree.map(lambda leaf, at=at: leaf[..., at], every))
        for at in range(LEVELS)
    ]
    found, maps = {}, {}
    for kind in spaces[0]:
        for family in power.FAMILIES:
            measured = [
                power.measure(each[kind], keys.key(at), family, DISCOUNT, DRAWS)
                for at, each in enumerate(spaces)
            ]
            own = zip(spaces, measured, strict=True)
            found[kind, family] = tuple(_of_level(each[kind], one) for each, one in own)
            if kind not in maps:
                maps[kind] = _map(task.env.shape, spaces[0][kind], measured[0])
    return TaskPower(found, maps)


@functools.partial(jax.jit, static_argnames="env")
def _spaces(env: Any, level: Level) -> dict[str, power.Space]:
    if isinstance(env, TabularEnvironment):
        return {ENDING: power.of_level(env, level)}
    return {
        ENDING: power.of_cells(env, level, True),
        ENDLESS: power.of_cells(env, level, False),
    }


def _of_level(space: power.Space, measured: power.Power) -> LevelPower:
    after = np.asarray(space.after)
    ended = np.all(after == np.arange(len(after))[:, None], axis=1)
    return LevelPower(
        kappa=measured.kappa.estimate,
        going=known_mean(measured.power[~ended]),
        ended=known_mean(measured.power[ended]),
        note=measured.note,
    )


def _map(
    shape: tuple[int, int], space: power.Space, measured: power.Power
) -> Float[np.ndarray, "rows cols"]:
    """Return the mean POWER of the states at each cell; NaN where there are none."""
    drawn = np.full(shape, np.nan)
    cells = np.asarray(space.cell)
    for row, col in np.unique(cells[np.asarray(space.counts)], axis=0):
        drawn[row, col] = known_mean(measured.power[(cells == (row, col)).all(axis=1)])
    return drawn


# ---- shown ---------------------------------------------------------------------------------------


def _lines(name: str, of_task: TaskPower) -> Iterator[Line]:
    for (kind, family), found in of_task.found.items():
        cells = (
            estimate([each.going for each in found], None),
            estimate([each.ended for each in found], None) if kind == ENDING else "-",
            estimate([each.kappa for each in found]),
        )
        yield Line(family, cells, f"{name}, {kind}")


def _notes(by_task: Mapping[str, TaskPower]) -> Iterator[str]:
    for name, of_task in by_task.items():
        for (kind, family), found in of_task.found.items():
            for note in dict.fromkeys(each.note for each in found if each.note):
                yield f"{name}, {kind}, {family}: {note}"


def _figure(by_task: Mapping[str, TaskPower]) -> Figure:
    panels = [
        (f"{name.split(',')[0]}, {kind}", drawn)
        for name, of_task in by_task.items()
        for kind, drawn in of_task.maps.items()
    ]
    rows = -(-len(panels) // 2)
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 2.6 * rows), layout="constrained")
        grid = figure.subplots(rows, 2, squeeze=False).ravel()
        for axes, (title, drawn) in zip(grid, panels, strict=False):
            image = axes.imshow(drawn, cmap="viridis", vmin=0.5, vmax=1)
            axes.set_title(title)
            axes.set_xticks([])
            axes.set_yticks([])
            figure.colorbar(image, ax=axes, label="POWER")
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
    return figure

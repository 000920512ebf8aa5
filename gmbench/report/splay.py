"""The splay of one level: what an agent's critic says, and what can be earned, cell by cell.

Above, a thing (the cheese) is put on every cell while the agent begins where it does; below, the
agent begins on every cell while the thing stays. A critic that knows what it is paid for looks like
the optimal values in both; one that ignores the thing is the same everywhere above.
"""

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from gmbench.core import registry
from gmbench.grid import moves
from gmbench.grid.sprites import draw
from gmbench.measure.splay import Maps
from gmbench.report.figures import INK, STYLE, WIDTH

NO_PLACE = "#d4d4da"
LIKELY = 0.03  # moves less likely than this are not drawn
_LINE = 128  # characters of a line of notes
_COLOURS = "viridis"


class SplayedLevel(NamedTuple):
    """One level and an agent on it, ready to be drawn.

    Attributes:
        title: what is shown, in words.
        thing: what is put on every cell.
        goal: name of the goal that lies where the thing lies.
        place: that goal's place among the goals.
        actions: names of the actions.
        picture: the level as drawn.
        start: the agent's first cell, row and column.
        at: the thing's cell.
        walls: whether a cell is a wall.
        discount: of all values.
        placements: maps over places of the thing.
        cells: maps over places of the agent.
    """

    title: str
    thing: str
    goal: str
    place: int
    actions: tuple[str, ...]
    picture: UInt8[np.ndarray, "height width 3"]
    start: tuple[int, int]
    at: tuple[int, int]
    walls: Bool[np.ndarray, "rows cols"]
    discount: float
    placements: Maps
    cells: Maps


def splay_figure(shown: SplayedLevel) -> Figure:
    """Draw one level, its value maps over placements and cells, and the agent's moves.

    All maps share one scale of colours. Where there is no map it is said why.
    """
    rows = (
        (shown.placements, f"{shown.thing} on every cell", ("agent", shown.start)),
        (shown.cells, "agent on every cell", (shown.thing, shown.at)),
    )
    norm = _norm([values for maps, *_ in rows for _, values, _ in _maps(shown, maps)])
    lines = [line for note in notes(shown) for line in textwrap.wrap(note, _LINE)]
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 4.1 + 0.15 * len(lines)), layout="constrained")
        grid = figure.subplots(2, 4)
        figure.suptitle(shown.title, x=0.01, ha="left", fontsize=9, color=INK)
        _picture(grid[0, 0], shown)
        _moves(grid[1, 0], shown)
        for (maps, what, (mark, cell)), panels in zip(rows, grid[:, 1:], strict=True):
            for axes, (name, values, why) in zip(panels, _maps(shown, maps), strict=True):
                _frame(axes, name)
                if values is None:
                    axes.text(
                        0.5,
                        0.5,
                        textwrap.fill(why, 22),
                        transform=axes.transAxes,
                        ha="center",
                        va="center",
                    )
                    continue
                _map(axes, values, shown.walls, norm)
                _sprite(axes, mark, cell)
            panels[0].set_ylabel(what)
        colours = ScalarMappable(norm, _COLOURS)
        bar = figure.colorbar(colours, ax=list(grid[:, 3]), shrink=0.9, aspect=28, pad=0.02)
        bar.outline.set_visible(False)
        bar.set_label("discounted value")
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=7.5, color=INK)
    return figure


def _maps(
    shown: SplayedLevel, maps: Maps
) -> list[tuple[str, Float[np.ndarray, "rows cols"] | None, str]]:
    """Return the title of each map of values, the map, and in words why there would be none."""

    def of_goal(values: Any) -> Any:
        return None if values is None else np.asarray(values)[shown.place]

    critic = None if maps.critic is None else np.asarray(maps.critic)

    sampled = "not drawn: values of this agent in this task are sampled"
    unknown = "not drawn: no optimum is known for this task"
    return [
        ("critic", critic, "the agent has no critic"),
        (f"actor earns ({shown.goal})", of_goal(maps.achieved), sampled),
        (f"optimum ({shown.goal})", of_goal(maps.optimal), unknown),
    ]


def _norm(maps: Sequence[Float[np.ndarray, "rows cols"] | None]) -> Normalize:
    """Return one scale for all maps: from 0, or the least value below it, to the greatest."""
    known = np.concatenate([np.zeros(0), *(np.ravel(v) for v in maps if v is not None)])
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return Normalize(min(low, 0.0), max(high, 0.0) or 1.0)


def notes(shown: SplayedLevel) -> list[str]:
    """Return what a reader of the picture must know."""
    return [
        f"Above: the {shown.thing} is put on every cell where the level can still be solved. Below:"
        f" the agent begins on every cell. Grey: not there. Dark: walls. Discount"
        f" {shown.discount:g}; the critic's values are of the rewards of its training.",
        _said_of_moves(shown),
    ]


def _said_of_moves(shown: SplayedLevel) -> str:
    if shown.actions != moves.ACTIONS:
        return f"Moves are not drawn: the actions are {', '.join(shown.actions)}."
    return "Arrows: the likelier a move, the longer; where there is none the agent stays."


def _frame(axes: Axes, title: str) -> None:
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _picture(axes: Axes, shown: SplayedLevel) -> None:
    _frame(axes, "the level")
    axes.imshow(shown.picture)


def _map(
    axes: Axes,
    values: Float[np.ndarray, "rows cols"],
    walls: Bool[np.ndarray, "rows cols"],
    norm: Normalize,
) -> None:
    _ground(axes, walls)
    axes.imshow(np.ma.masked_invalid(values), cmap=_COLOURS, norm=norm)


def _ground(axes: Axes, walls: Bool[np.ndarray, "rows cols"]) -> None:
    """Draw walls dark and floors grey, with thin lines between cells."""
    colours = np.where(walls[..., None], mpl.colors.to_rgb(INK), mpl.colors.to_rgb(NO_PLACE))
    axes.imshow(colours)


def _moves(axes: Axes, shown: SplayedLevel) -> None:
    """Draw how likely each move is from each cell."""
    _frame(axes, "the actor's moves")
    _ground(axes, shown.walls)
    _sprite(axes, shown.thing, shown.at)
    if shown.actions != moves.ACTIONS:
        return
    acts = np.asarray(shown.cells.acts)
    for chance, (down, right) in zip(acts, moves.STEPS, strict=True):
        row, col = np.nonzero(np.nan_to_num(chance) > LIKELY)
        if (down, right) == (0, 0) or not row.size:
            continue
        long = 0.8 * chance[row, col]
        axes.quiver(
            col,
            row,
            right * long,
            down * long,
            angles="xy",
            scale_units="xy",
            scale=1,
            pivot="mid",
            color=INK,
            width=0.018,
            headwidth=3.2,
            headlength=3.2,
            headaxislength=3.0,
        )


def _sprite(axes: Axes, name: str, cell: tuple[int, int]) -> None:
    """Mark a cell with the sprite of what stands there, or with a cross if it has none."""
    row, col = cell
    if name in registry.SPRITES:
        limits = axes.get_xlim(), axes.get_ylim()
        axes.imshow(draw(name, 64), extent=(col - 0.5, col + 0.5, row + 0.5, row - 0.5), zorder=3)
        axes.set_xlim(limits[0])
        axes.set_ylim(limits[1])
    else:
        axes.plot([col], [row], "x", color="white", markeredgewidth=2)

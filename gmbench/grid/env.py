"""``GridEnvironment``: five moves among walls, drawn and printed from named layers."""

import abc
import dataclasses
import functools
from typing import Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int8, PRNGKeyArray, UInt8

from gmbench.core import checks, registry
from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.grid import edits, moves, sprites, walls

Params = TypeVar("Params", bound=EnvParams)
State = TypeVar("State", bound=EnvState)


@dataclasses.dataclass(frozen=True)
class GridEnvironment(Environment[State, Params]):
    """Abstract grid of ``size`` x ``size`` playable cells whose outside is wall.

    Attributes:
        size: rows and columns, 5 to 32.
        layout: wall generator, one of ``layouts``.
        layouts: the wall generators that suit the task.
        things: names of the layers in drawing order; each is the name of a sprite.
        hidden: the layers that are drawn but that the agent does not see.
        parts: thing -> the channels of the observation that are all set where it is, for things
            without a channel of their own.
        legend: character -> the things that stand on a cell so marked.
        notes: fields of the level, whole numbers or lists of them, that no picture shows; the ASCII
            form has a line ``name: 1 2 3`` for each below the grid.
    """

    size: int = 13
    layout: str = "blocks"

    layouts: ClassVar[tuple[str, ...]] = walls.LAYOUTS
    things: ClassVar[tuple[str, ...]]
    hidden: ClassVar[tuple[str, ...]] = ()
    parts: ClassVar[dict[str, tuple[str, ...]]] = {}
    legend: ClassVar[dict[str, tuple[str, ...]]]
    notes: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Check the static shape, and that everything can be drawn."""
        walls.check_shape(self.size, self.layout, self.layouts)
        for thing in self.things:
            if thing not in registry.SPRITES:
                raise checks.Refused(
                    f"things: {thing!r} has no sprite (give it one where it is defined: "
                    f"registry.sprite({thing!r})(shapes.box((80, 90, 200), shapes.CELL)))"
                )

    @abc.abstractmethod
    def layers(self, state: State) -> dict[str, Array]:
        """Return each thing's mask ``Bool[rows, cols]`` or position ``Int8[2]``."""

    @abc.abstractmethod
    def targets(self, level: Any) -> Bool[Array, "goals rows cols"]:
        """Return the cells at which each goal can be earned, in the order of the goals."""

    @abc.abstractmethod
    def level_from(self, masks: dict[str, Bool[np.ndarray, "rows cols"]]) -> Level:
        """Build a level from the masks of the things in an ASCII picture, with any notes.

        What :attr:`notes` names is replaced afterwards by what stands below the picture.

        Raises:
            ValueError: if a thing is missing or stands too often.
        """

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.size, self.size

    @property
    def action_names(self) -> tuple[str, ...]:
        """The five moves."""
        return moves.ACTIONS

    @property
    def observed(self) -> tuple[str, ...]:
        """Names of the observation's channels."""
        return tuple(thing for thing in self.things if thing not in self.hidden)

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the channels that show where something is; the others show a number."""
        shown = {*self.things, *(part for parts in self.parts.values() for part in parts)}
        return tuple(name for name in self.observed if name in shown)

    @property
    def observation_shape(self) -> tuple[int, int, int]:
        """Rows, columns, and one channel for each observed thing."""
        return (*self.shape, len(self.observed))

    def observation(self, state: State) -> Bool[Array, "rows cols channels"]:
        """Return one plane for each observed thing."""
        layers = self.layers(state)
        return moves.planes(*(layers[thing] for thing in self.observed))

    def centre(self, state: State) -> Int8[Array, "2"]:
        """Return where in the observation the agent is."""
        return state.position  # type: ignore[attr-defined]

    def picture(self, state: State) -> Bool[Array, "rows cols things"]:
        """Return one mask for each thing, in drawing order: what is drawn and printed."""
        layers = self.layers(state)
        return moves.planes(*(layers[thing] for thing in self.things))

    # ---- ASCII ------------------------------------------------------------------------------

    def parse(self, ascii_level: str) -> Level:
        """Read a level from its ASCII form, one line a row, then its notes.

        Raises:
            ValueError: naming the row and column of what does not fit: a character, a row's
                length, a thing that stands too often, a goal that cannot be earned.
        """
        lines = [line.strip() for line in ascii_level.strip().splitlines()]
        rows, cols = self.shape
        if len(lines) < rows or any(":" not in line for line in lines[rows:]):
            raise checks.Refused(f"level: {len(lines)} rows, {rows} are needed")
        for row, line in enumerate(lines[:rows]):
            if len(line) != cols:
                raise checks.Refused(f"level: row {row} has {len(line)} columns, {cols} are needed")
            for col, character in enumerate(line):
                if character not in self.legend:
                    raise checks.Refused(
                        f"level: unknown character {character!r} at row {row}, column {col} "
                        f"(allowed: {' '.join(self.legend)})"
                    )
        marks = [[self.legend[mark] for mark in line] for line in lines[:rows]]
        masks = {
            thing: np.array([[thing in mark for mark in line] for line in marks])
            for thing in self.things
        }
        level = self.level_from(masks)
        level = level.replace(**dict(self._read_note(level, line) for line in lines[rows:]))
        if self.exact:
            self._refuse_unreachable(level)
        return level

    def _read_note(self, level: Any, line: str) -> tuple[str, Array]:
        name, _, text = line.partition(":")
        old = getattr(level, checks.known("level note", name.strip(), self.notes))
        values = [_whole(name, word) for word in text.split()]
        if len(values) != old.size:
            raise checks.Refused(
                f"level: note {name!r} has {len(values)} numbers, {old.size} are needed"
            )
        return name.strip(), jnp.asarray(np.array(values).reshape(old.shape), old.dtype)

    def _refuse_unreachable(self, level: Level) -> None:
        values, targets = _earnable(self, level)
        for name, value, cells in zip(self.goal_names, values, np.asarray(targets), strict=True):
            if not value > 0:
                row, col = next(iter(np.argwhere(cells)), (-1, -1))
                start = "row {}, column {}".format(*np.asarray(level.start))
                raise checks.Refused(
                    f"level: goal {name!r} (row {row}, column {col}) cannot be earned from the "
                    f"agent's {start}"
                )

    def render_ascii(self, state: State) -> str:
        """Print a state, one line a row, then its level's notes."""
        lines = [self.print_picture(np.asarray(_picture(self, state)))]
        for name in self.notes:
            numbers = np.asarray(getattr(state.level, name)).astype(np.int64).reshape(-1)
            lines.append(f"{name}: {' '.join(map(str, numbers))}")
        return "\n".join(lines)

    def print_picture(self, picture: Bool[np.ndarray, "rows cols things"]) -> str:
        """Print what :meth:`picture` returned; things outside the legend are not printed."""
        mark = {frozenset(things): character for character, things in self.legend.items()}
        printed = {thing for things in self.legend.values() for thing in things}

        def character(cell: Bool[np.ndarray, " things"]) -> str:
            here = frozenset(t for t, on in zip(self.things, cell, strict=True) if on) & printed
            if here not in mark:
                together = " and ".join(sorted(here))
                raise checks.Refused(
                    f"legend: {type(self).__name__} has no mark for {together} on one cell "
                    "(add one, or see that sample_level keeps them apart)"
                )
            return mark[here]

        return "\n".join("".join(map(character, row)) for row in picture)

    # ---- edits ------------------------------------------------------------------------------

    def settle(self, level: Level) -> Level:
        """Recompute whatever in an edited level depends on the rest of it."""
        return level

    def is_solvable(self, level: Level) -> Bool[Array, ""]:
        """Whether every goal can be earned from the start, and none is earned there already."""
        state = self.start(level)
        on_wall = jnp.any(level.walls & edits.occupied(level))
        fine = ~self.is_terminated(state, self.default_params) & ~on_wall
        if not self.exact:
            free = walls.reachable(~level.walls, level.start)
            return fine & jnp.all(free | ~edits.occupied(level))
        # Solvers count moves to a target even where a wall stands on it, which nobody can enter.
        walled = jnp.any(level.walls & jnp.any(self.targets(level), axis=0))
        values = self.values(self.solve(level, jnp.float32(0.99)), state)
        return fine & ~walled & jnp.all(values > 0)

    def mutate(self, key: PRNGKeyArray, level: Level) -> Level:
        """Make one small edit (a wall, the start, an object) that leaves the level solvable."""
        return edits.mutate(self, key, level)

    # ---- pictures ---------------------------------------------------------------------------

    def render(self, state: State, pixels: int = 32) -> UInt8[Array, "height width 3"]:
        """Draw a state with ``pixels`` pixels a cell."""
        weights = 2 ** jnp.arange(len(self.things), dtype=jnp.int32)
        code = jnp.sum(self.picture(state).astype(jnp.int32) * weights[None, None], axis=-1)
        codes = self._codes()
        stacks = tuple(
            tuple(thing for bit, thing in enumerate(self.things) if code >> bit & 1)
            for code in codes
        )
        tiles = jnp.searchsorted(jnp.array(codes, jnp.int32), code)
        return sprites.paint(tiles, jnp.asarray(sprites.atlas(stacks, pixels)))

    def _codes(self) -> list[int]:
        """Return what can stand on a cell, one bit a thing: a mark's things, and any unprinted."""
        marks = [frozenset(things) for things in self.legend.values()]
        stacks = set(marks)
        for thing in set(self.things).difference(*marks):
            stacks |= {stack | {thing} for stack in stacks}
        return sorted(sum(1 << self.things.index(thing) for thing in stack) for stack in stacks)


@functools.partial(jax.jit, static_argnums=0)
def settled(env: Any, level: Any) -> Any:
    """Return ``env.settle(level)``, compiled once: a picture that is read has no program around."""
    return env.settle(level)


@functools.partial(jax.jit, static_argnums=0)
def _picture(env: Any, state: Any) -> Bool[Array, "rows cols things"]:
    return env.picture(state)


def _whole(name: str, word: str) -> int:
    try:
        return int(word)
    except ValueError as error:
        raise checks.Refused(
            f"level: note {name!r} has {word!r}, a whole number is needed"
        ) from error


@functools.partial(jax.jit, static_argnums=0)
def _earnable(env: Any, level: Any) -> tuple[Array, Array]:
    """Return what each goal can earn from the start, and where."""
    return env.values(env.solve(level, jnp.float32(1)), env.start(level)), env.targets(level)


def only(thing: str, mask: Bool[np.ndarray, "rows cols"]) -> Array:
    """Return the one position at which a mask is true.

    Raises:
        ValueError: if there is none, or more than one, saying where.
    """
    cells = np.argwhere(mask)
    if len(cells) != 1:
        where = "; ".join(f"row {row}, column {col}" for row, col in cells)
        where = f" ({where})" if where else ""
        raise checks.Refused(
            f"level: {len(cells)} cells hold {thing!r}{where}, exactly 1 is allowed"
        )
    return jnp.asarray(cells[0], jnp.int8)

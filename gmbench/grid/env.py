"""``GridEnvironment``: five moves among walls, drawn and printed from named layers."""

import abc
import dataclasses
import functools
from typing import Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, UInt8

from gmbench.core import checks
from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.grid import moves, sprites, walls

Params = TypeVar("Params", bound=EnvParams)
State = TypeVar("State", bound=EnvState)


@dataclasses.dataclass(frozen=True)
class GridEnvironment(Environment[State, Params]):
    """Abstract grid of ``size`` x ``size`` playable cells whose outside is wall.

    Attributes:
        size: rows and columns, 5 to 32.
        layout: wall generator, one of ``blocks``, ``tree``, ``open``.
        things: names of the layers in drawing order; each is the name of a sprite.
        hidden: the layers that are drawn but that the agent does not see.
        legend: character -> the things that stand on a cell so marked.
    """

    size: int = 13
    layout: str = "blocks"

    things: ClassVar[tuple[str, ...]]
    hidden: ClassVar[tuple[str, ...]] = ()
    legend: ClassVar[dict[str, tuple[str, ...]]]

    def __post_init__(self) -> None:
        """Check the static shape."""
        walls.check_shape(self.size, self.layout)

    @abc.abstractmethod
    def layers(self, state: State) -> dict[str, Array]:
        """Return each thing's mask ``Bool[rows, cols]`` or position ``Int8[2]``."""

    @abc.abstractmethod
    def targets(self, level: Any) -> Bool[Array, "goals rows cols"]:
        """Return the cells at which each goal can be earned, in the order of the goals."""

    @abc.abstractmethod
    def level_from(self, masks: dict[str, Bool[np.ndarray, "rows cols"]]) -> Level:
        """Build a level from the masks of the things in an ASCII picture.

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
    def observation_shape(self) -> tuple[int, int, int]:
        """Rows, columns, and one channel for each observed thing."""
        return (*self.shape, len(self.observed))

    def observation(self, state: State) -> Bool[Array, "rows cols channels"]:
        """Return one plane for each observed thing."""
        layers = self.layers(state)
        return moves.planes(*(layers[thing] for thing in self.observed))

    def picture(self, state: State) -> Bool[Array, "rows cols things"]:
        """Return one mask for each thing, in drawing order: what is drawn and printed."""
        layers = self.layers(state)
        return moves.planes(*(layers[thing] for thing in self.things))

    # ---- ASCII ------------------------------------------------------------------------------

    def parse(self, ascii_level: str) -> Level:
        """Read a level from its ASCII form, one line a row.

        Raises:
            ValueError: naming the character, the size or the thing that does not fit.
        """
        lines = [line.strip() for line in ascii_level.strip().splitlines()]
        if len(lines) != self.size or any(len(line) != self.size for line in lines):
            widths = sorted({len(line) for line in lines})
            raise checks.Refused(
                f"level: {len(lines)} rows of {widths} characters is not {self.size} x {self.size}"
            )
        for character in sorted(set("".join(lines)) - set(self.legend)):
            raise checks.Refused(
                f"level: unknown character {character!r} (allowed: {' '.join(self.legend)})"
            )
        masks = {
            thing: np.array([[thing in self.legend[mark] for mark in line] for line in lines])
            for thing in self.things
        }
        return self.level_from(masks)

    def render_ascii(self, state: State) -> str:
        """Print a state, one line a row."""
        return self.print_picture(np.asarray(_picture(self, state)))

    def print_picture(self, picture: Bool[np.ndarray, "rows cols things"]) -> str:
        """Print what :meth:`picture` returned; things outside the legend are not printed."""
        mark = {frozenset(things): character for character, things in self.legend.items()}
        printed = {thing for things in self.legend.values() for thing in things}
        return "\n".join(
            "".join(
                mark[frozenset(t for t, on in zip(self.things, cell, strict=True) if on) & printed]
                for cell in row
            )
            for row in picture
        )

    # ---- pictures ---------------------------------------------------------------------------

    def render(self, state: State, pixels: int = 32) -> UInt8[Array, "height width 3"]:
        """Draw a state with ``pixels`` pixels a cell."""
        weights = 2 ** jnp.arange(len(self.things), dtype=jnp.int32)
        code = jnp.sum(self.picture(state).astype(jnp.int32) * weights[None, None], axis=-1)
        subsets = [
            tuple(thing for bit, thing in enumerate(self.things) if number >> bit & 1)
            for number in range(2 ** len(self.things))
        ]
        return sprites.paint(code, jnp.asarray(sprites.atlas(tuple(subsets), pixels)))


@functools.partial(jax.jit, static_argnums=0)
def _picture(env: Any, state: Any) -> Bool[Array, "rows cols things"]:
    return env.picture(state)


def only(thing: str, mask: Bool[np.ndarray, "rows cols"]) -> Array:
    """Return the one position at which a mask is true.

    Raises:
        ValueError: if there is none, or more than one.
    """
    cells = np.argwhere(mask)
    if len(cells) != 1:
        raise checks.Refused(f"level: {len(cells)} cells hold {thing!r}, exactly 1 is allowed")
    return jnp.asarray(cells[0], jnp.int8)

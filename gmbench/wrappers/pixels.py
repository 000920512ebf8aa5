"""``Pixels``: the agent sees RGB, at 1, 4 or 8 pixels a cell.

The picture is that of ``render``, less what the agent does not observe: every thing's sprite, in
the same order, over the floor; at one pixel, the thing's colour. A window shows its part of the
picture, and what lies outside the grid almost black.

What is observed but is no thing (keys held, steps left, what is wanted, whether one is watched) has
a mark in every cell of its channel. At 4 and 8 pixels that is a dot, a quarter of the cell wide, at
a place in the cell of its own: the corners first, then the edges, then the middle; from the 17th
mark on they share these places. At one pixel it is a light tint of the whole cell. A mark that is
named after a thing (``wanted_tile_red``; ``red`` where there is a ``beacon_red``) has that thing's
colour, each other one a hue of its own.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from gmbench.core import checks, registry
from gmbench.grid import sprites
from gmbench.grid.batching import trailing
from gmbench.wrappers.base import View

SCALES = (1, 4, 8)
"""Pixels a cell."""
TINT, DOT = 32, 200
"""Opacity, of 255, of a mark: of the whole cell at one pixel, of its dot at more."""
SIDE = 4
"""Dots that fit beside each other in a cell."""
SPOTS = (0, 15, 3, 12, 1, 14, 4, 11, 2, 13, 8, 7, 5, 10, 6, 9)
"""Where in a cell each mark has its dot, in reading order."""


class Layer(NamedTuple):
    """What is painted where some channels are all set: a sprite, or a mark."""

    tile: UInt8[np.ndarray, "scale scale 4"]
    channels: tuple[int, ...]


def _colour(name: str, number: int, things: tuple[str, ...]) -> np.ndarray:
    """Return the colour of a mark: that of the thing it is named after, or a hue of its own."""
    for thing in things:
        if name.endswith(f"_{thing}") or thing.endswith(f"_{name}"):
            return sprites.draw(thing, 1)[0, 0, :3]
    hue = (number * 0.381966) % 1.0  # golden-ratio steps keep any number of hues apart
    rgb = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return np.round(rgb * 255).astype(np.uint8)


def _mark(name: str, number: int, things: tuple[str, ...], scale: int) -> np.ndarray:
    """Return the RGBA picture of a mark, the ``number``-th."""
    tile = np.zeros((scale, scale, 4), np.uint8)
    tile[..., :3] = _colour(name, number, things)
    if scale < SIDE:
        tile[..., 3] = TINT
        return tile
    row, col = divmod(SPOTS[number % len(SPOTS)], SIDE)
    row, col, width = row * scale // SIDE, col * scale // SIDE, scale // SIDE
    tile[row : row + width, col : col + width, 3] = DOT
    return tile


@functools.cache
def _layers(env: Any, scale: int) -> tuple[Layer, ...]:
    """Return what is painted of an environment's observation, the lowest first.

    Raises:
        Refused: for a thing that has no sprite.
    """
    # Channels of one name are copies: the first counts.
    observed = dict(zip(reversed(env.observed), range(len(env.observed))[::-1], strict=True))
    parts = {thing: env.parts.get(thing, (thing,)) for thing in env.things}
    parts |= {name: (name,) for name in observed if name in registry.SPRITES and name not in parts}
    parts = {thing: names for thing, names in parts.items() if set(names) <= set(observed)}
    drawn = {name for names in parts.values() for name in names}
    marks = [name for name in observed if name not in drawn]
    tiles = [(sprites.draw(thing, scale), names) for thing, names in parts.items()]
    tiles += [
        (_mark(name, number, env.things, scale), (name,))
        for number, name in enumerate(sorted(marks, key=observed.__getitem__))
    ]
    return tuple(Layer(tile, tuple(observed[name] for name in names)) for tile, names in tiles)


@functools.cache
def _painter(env: Any, scale: int) -> Callable[..., Any]:
    """Return the function that turns the planes an environment shows into an image."""
    floor = sprites.draw("floor", scale)

    def native(planes: Any) -> Any:
        rows, cols, _, *batch = planes.shape

        def laid(tile: np.ndarray) -> Array:
            pixels = np.broadcast_to(tile, (scale, scale, 3))
            spread = pixels.reshape(1, scale, 1, scale, 3, *(1,) * len(batch))
            return jnp.asarray(spread, jnp.uint16)

        canvas = jnp.broadcast_to(laid(floor[..., :3]), (rows, scale, cols, scale, 3, *batch))
        for tile, channels in _layers(env, scale):
            here = functools.reduce(
                jnp.logical_and, (planes[:, :, channel] for channel in channels)
            )
            opaque, colour = laid(tile[..., 3:]), laid(tile[..., :3])
            painted = colour
            if tile[..., 3].min() < 255:
                painted = (colour * opaque + canvas * (255 - opaque) + 127) // 255
            canvas = jnp.where(here[:, None, :, None, None], painted, canvas)
        return canvas.reshape(rows * scale, cols * scale, 3, *batch).astype(jnp.uint8)

    return trailing(native)


@registry.view("pixels")
@dataclasses.dataclass(frozen=True)
class Pixels(View):
    """Shows the picture that is drawn for people, as far as the agent observes it.

    What is observed but is no thing has a mark in each cell of its channel: see the module.

    Attributes:
        scale: pixels a cell, one of :data:`SCALES`.
    """

    numbered: ClassVar[bool] = True
    needs_planes: ClassVar[bool] = True

    scale: int = 8

    def __post_init__(self) -> None:
        """Check the scale."""
        if self.scale not in SCALES:
            raise checks.Refused(f"pixels: {self.scale} is not one of {SCALES}")

    @property
    def observation_shape(self) -> tuple[int, int, int]:
        """Height, width and three colours."""
        rows, cols, _ = self.env.observation_shape
        return rows * self.scale, cols * self.scale, 3

    @property
    def observation_dtype(self) -> Any:
        """Bytes."""
        return jnp.uint8

    def observation(self, state: Any) -> UInt8[Array, "height width 3"]:
        """Draw what the wrapped environment shows."""
        return _painter(self.env, self.scale)(self.env.observation(state))

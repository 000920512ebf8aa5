"""``Pixels``: the agent sees RGB, at 1, 4 or 8 pixels a cell."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from gmbench.core import checks, registry
from gmbench.grid import sprites
from gmbench.grid.batching import trailing
from gmbench.wrappers.base import View

SCALES = (1, 4, 8)
"""Pixels a cell."""
TINT = 110
"""Opacity, of 255, of planes that have no sprite."""


def _tile(name: str, number: int, is_thing: bool, scale: int) -> np.ndarray:
    """Return the RGBA picture of a channel: its sprite, or a tint of its own for what is no thing.

    Raises:
        Refused: for a thing that has no sprite.
    """
    if is_thing or name in registry.SPRITES:
        return sprites.draw(name, scale)
    hue = (number * 0.381966) % 1.0  # golden-ratio steps keep any number of hues apart
    rgb = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    tile = np.empty((scale, scale, 4), np.uint8)
    tile[..., :3] = np.round(rgb * 255)
    tile[..., 3] = TINT
    return tile


@functools.cache
def _painter(names: tuple[str, ...], things: frozenset[str], scale: int) -> Callable[..., Any]:
    floor = sprites.draw("floor", scale)[..., :3].astype(np.int32)
    tiles = [
        _tile(name, number, name in things, scale).astype(np.int32)
        for number, name in enumerate(names)
    ]

    def native(planes: Any) -> Any:
        rows, cols, _, *batch = planes.shape
        spread = (1, scale, 1, scale, 3, *(1,) * len(batch))

        def laid(tile: np.ndarray) -> Array:
            pixels = np.broadcast_to(tile, (scale, scale, 3))
            return jnp.asarray(pixels[None, :, None].reshape(spread), jnp.uint16)

        canvas = jnp.broadcast_to(laid(floor), (rows, scale, cols, scale, 3, *batch))
        for number, tile in enumerate(tiles):
            opaque, colour = laid(tile[..., 3:]), laid(tile[..., :3])
            here = planes[:, None, :, None, number, None]
            painted = (colour * opaque + canvas * (255 - opaque) + 127) // 255
            canvas = jnp.where(here, painted, canvas)
        return canvas.reshape(rows * scale, cols * scale, 3, *batch).astype(jnp.uint8)

    return trailing(native)


@registry.view("pixels")
@dataclasses.dataclass(frozen=True)
class Pixels(View):
    """Shows the observed planes as an image, each channel drawn by its sprite over the ones before.

    What is drawn for people but hidden from agents stays hidden. Channels without a sprite (keys
    held, steps left) tint the cells they mark.

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
        paint = _painter(self.env.observed, frozenset(self.env.things), self.scale)
        return paint(self.env.observation(state))

"""The pictures of grid cells: sprites drawn by code, atlases of tiles, and a jitted painter.

A sprite is drawn large and averaged down, so one drawing serves a report (32 pixels a cell) and a
pixel observation (8, 4 or 1). A task composes its cells with `atlas` once; `paint` turns tile
numbers into an image. Drawings are registered by name (:mod:`gmbench.grid.shapes`).
"""

from functools import cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt8

from gmbench.core import registry
from gmbench.grid.shapes import CELL, CLEAR, Drawing, Own, box

MAX_PIXELS = 256


@cache
def draw(name: str, pixels: int) -> UInt8[np.ndarray, "pixels pixels 4"]:
    """The sprite `name`, `pixels` pixels a side, as read-only RGBA (alpha not premultiplied).

    Raises `ValueError` for a name that is not registered and for `pixels` outside 1..256.
    """
    from PIL import Image, ImageDraw

    drawing: Drawing = registry.SPRITES.get(name)
    if pixels not in range(1, MAX_PIXELS + 1):
        raise ValueError(f"pixels is {pixels!r}; it must be a whole number from 1 to {MAX_PIXELS}")
    own = drawing.colour if pixels == 1 and isinstance(drawing, Own) else None
    if own is not None:
        drawing = box(own, CELL)
    factor = max(4, 512 // pixels)
    image = Image.new("RGBA", (pixels * factor, pixels * factor), CLEAR)
    drawing(ImageDraw.Draw(image), pixels * factor)
    rgba = np.array(image.reduce(factor))
    if pixels < 4 and own is None:
        # No shape is left to see at this size, so colour has to carry more than its area's share.
        rgba[..., 3] = np.round(np.sqrt(255.0 * rgba[..., 3]))
    rgba.setflags(write=False)
    return rgba


@cache
def atlas(
    stacks: tuple[tuple[str, ...], ...], pixels: int
) -> UInt8[np.ndarray, "tiles pixels pixels 3"]:
    """One tile a stack: its sprites laid on the floor, the first at the bottom, as read-only RGB.

    Raises `ValueError` as `draw` does.
    """
    floor = draw("floor", pixels)[..., :3].astype(np.uint32)
    tiles = np.empty((len(stacks), pixels, pixels, 3), np.uint8)
    for tile, stack in zip(tiles, stacks, strict=True):
        under = floor
        for name in stack:
            over, alpha = np.split(draw(name, pixels).astype(np.uint32), [3], axis=-1)
            under = (over * alpha + under * (255 - alpha) + 127) // 255
        tile[:] = under
    tiles.setflags(write=False)
    return tiles


def paint(
    tiles: Int[Array, "rows cols"], atlas: UInt8[Array | np.ndarray, "tiles pixels pixels 3"]
) -> UInt8[Array, "rows*pixels cols*pixels 3"]:
    """The image whose cell (row, col) shows `atlas[tiles[row, col]]`; jit-able.

    Entries of `tiles` must lie in 0..len(atlas) - 1; they are not checked.
    """
    rows, cols = tiles.shape
    pixels = atlas.shape[1]
    cells = jnp.asarray(atlas)[tiles]
    return cells.transpose(0, 2, 1, 3, 4).reshape(rows * pixels, cols * pixels, 3)

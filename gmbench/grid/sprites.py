"""The pictures of grid cells: sprites drawn by code, atlases of tiles, and a jitted painter.

A sprite is a drawing on the unit square, x to the right and y down, layered from the shapes below.
It is drawn large and averaged down, so one drawing serves a report (32 pixels a cell) and a pixel
observation (8, 4 or 1). A task composes its cells with `atlas` once; `paint` turns tile numbers
into an image. A task that needs another sprite adds it to `SPRITES` from its own file.

Sprites that share a task differ in lightness or shape, not in hue alone, for colour-blind readers.
"""

import difflib
from collections.abc import Callable
from functools import cache
from math import cos, pi, sin
from typing import TYPE_CHECKING, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt8

if TYPE_CHECKING:
    import PIL.ImageDraw

Colour: TypeAlias = tuple[int, int, int] | tuple[int, int, int, int]
Point: TypeAlias = tuple[float, float]
Quad: TypeAlias = tuple[float, float, float, float]
Drawing: TypeAlias = Callable[["PIL.ImageDraw.ImageDraw", int], None]

MAX_PIXELS = 256
EDGE = 0.035  # width of outlines, in cells: about a pixel at 32 pixels a cell
CELL = (0.0, 0.0, 1.0, 1.0)

CLEAR = (0, 0, 0, 0)
INK = (38, 34, 48)
WHITE = (255, 255, 255)
STEEL = (168, 178, 190)
IRON = (84, 92, 106)
GOLD = (214, 148, 12)
RED = (230, 56, 28)
YELLOW = (255, 232, 24)
GREEN = (30, 190, 110)
BLUE = (36, 122, 235)
PINK = (255, 176, 188)
FLOOR = (222, 216, 207)
WALL = (66, 76, 96)
WOOD = (146, 88, 40)
CHEESE = (255, 188, 36)
RIND = (128, 94, 18)
BONE = (232, 216, 190)
LEAF = (28, 104, 46)
MONSTER = (124, 40, 164)
APPLE = (182, 0, 40)


def shade(colour: Colour, light: float) -> Colour:
    """`colour` moved towards black (`light` in [-1, 0]) or towards white (`light` in [0, 1])."""
    target = 255 if light > 0 else 0
    red, green, blue = (round(c + abs(light) * (target - c)) for c in colour[:3])
    return red, green, blue


def layers(*drawings: Drawing) -> Drawing:
    """The drawings one after the other, the last on top."""

    def draw_all(pen: "PIL.ImageDraw.ImageDraw", size: int) -> None:
        for drawing in drawings:
            drawing(pen, size)

    return draw_all


def oval(fill: Colour, *ovals: Quad, edge: Colour | None = None) -> Drawing:
    """Ellipses, each (x, y, half width, half height)."""

    def draw_ovals(pen: "PIL.ImageDraw.ImageDraw", size: int) -> None:
        for x, y, rx, ry in ovals:
            bounds = [c * size for c in (x - rx, y - ry, x + rx, y + ry)]
            pen.ellipse(bounds, fill, edge, round(EDGE * size) if edge else 0)

    return draw_ovals


def disc(fill: Colour, *discs: tuple[float, float, float], edge: Colour | None = None) -> Drawing:
    """Discs, each (x, y, radius)."""
    return oval(fill, *((x, y, r, r) for x, y, r in discs), edge=edge)


def box(fill: Colour, *boxes: Quad, edge: Colour | None = None, corner: float = 0.0) -> Drawing:
    """Rectangles, each (left, top, right, bottom), with corners of radius `corner`."""

    def draw_boxes(pen: "PIL.ImageDraw.ImageDraw", size: int) -> None:
        for left, top, right, bottom in boxes:
            # Pillow's rectangles include their last row and column.
            bounds = [left * size, top * size, right * size - 1, bottom * size - 1]
            width = round(EDGE * size) if edge else 0
            pen.rounded_rectangle(bounds, corner * size, fill, edge, width)

    return draw_boxes


def stroke(colour: Colour, width: float, *points: Point) -> Drawing:
    """A polyline with round joints and ends."""

    def draw_line(pen: "PIL.ImageDraw.ImageDraw", size: int) -> None:
        pen.line([(x * size, y * size) for x, y in points], colour, round(width * size))

    return layers(draw_line, disc(colour, *((x, y, width / 2) for x, y in points)))


def polygon(fill: Colour, *points: Point, edge: Colour | None = None) -> Drawing:
    """A polygon."""

    def draw_polygon(pen: "PIL.ImageDraw.ImageDraw", size: int) -> None:
        pen.polygon([(x * size, y * size) for x, y in points], fill)

    return layers(draw_polygon, stroke(edge, EDGE, *points, points[0])) if edge else draw_polygon


def star(x: float, y: float, outer: float, inner: float, tips: int) -> list[Point]:
    """The corners of a star about (x, y), the first tip at the top."""
    turns = [pi * i / tips - pi / 2 for i in range(2 * tips)]
    radii = (outer, inner) * tips
    return [(x + r * cos(t), y + r * sin(t)) for r, t in zip(radii, turns, strict=True)]


def mouse(body: Colour, eyes: Colour) -> Drawing:
    """A round robot-mouse looking up at us: ears, wheels, a visor with two eyes, nose and tail."""
    dark = shade(body, -0.55)
    return layers(
        stroke(dark, 0.06, (0.6, 0.84), (0.7, 0.93), (0.8, 0.94), (0.88, 0.89), (0.92, 0.82)),
        box(INK, (0.12, 0.48, 0.27, 0.76), (0.73, 0.48, 0.88, 0.76), corner=0.05),
        disc(body, (0.23, 0.25, 0.19), (0.77, 0.25, 0.19), edge=dark),
        disc(PINK, (0.23, 0.25, 0.1), (0.77, 0.25, 0.1)),
        disc(body, (0.5, 0.54, 0.36), edge=dark),
        oval(shade(body, 0.4), (0.5, 0.3, 0.17, 0.06)),
        box(INK, (0.23, 0.4, 0.77, 0.65), corner=0.125),
        disc(eyes, (0.37, 0.525, 0.08), (0.63, 0.525, 0.08)),
        disc(WHITE, (0.395, 0.5, 0.028), (0.655, 0.5, 0.028)),
        oval(PINK, (0.5, 0.75, 0.075, 0.055), edge=dark),
    )


def gem(colour: Colour) -> Drawing:
    """A cut gem."""
    crown, tip = [(0.07, 0.42), (0.28, 0.18), (0.72, 0.18), (0.93, 0.42)], (0.5, 0.9)
    return layers(
        polygon(colour, *crown, tip),
        polygon(shade(colour, 0.6), (0.07, 0.42), (0.28, 0.18), (0.5, 0.18), (0.34, 0.42)),
        polygon(shade(colour, 0.3), (0.34, 0.42), (0.5, 0.18), (0.66, 0.42)),
        polygon(shade(colour, -0.2), (0.66, 0.42), (0.93, 0.42), tip),
        stroke(shade(colour, -0.55), EDGE, *crown, tip, crown[0]),
    )


def line(colour: Colour) -> Drawing:
    """A thick diagonal line."""
    return layers(
        stroke(shade(colour, -0.55), 0.22, (0.18, 0.82), (0.82, 0.18)),
        stroke(colour, 0.15, (0.18, 0.82), (0.82, 0.18)),
        stroke(shade(colour, 0.5), 0.035, (0.19, 0.77), (0.77, 0.19)),
    )


def beacon(colour: Colour, dots: int) -> Drawing:
    """A glowing lamp on a stand; the dots number the lamps for who cannot tell the colours."""
    return layers(
        disc((*colour[:3], 90), (0.5, 0.42, 0.41)),
        polygon(IRON, (0.38, 0.66), (0.62, 0.66), (0.74, 0.94), (0.26, 0.94), edge=INK),
        disc(colour, (0.5, 0.42, 0.32), edge=shade(colour, -0.55)),
        disc(WHITE, *((0.5 + 0.15 * (i - (dots - 1) / 2), 0.42, 0.06) for i in range(dots))),
    )


def key_blank(colour: Colour, width: float) -> Drawing:
    """A key's outline in strokes of `width`, its bow to the left."""
    return layers(
        disc(colour, (0.27, 0.47, 0.14 + width / 2)),
        stroke(colour, width, (0.4, 0.47), (0.86, 0.47), (0.86, 0.7)),
        stroke(colour, width, (0.66, 0.47), (0.66, 0.67)),
    )


SPRITES: dict[str, Drawing] = {
    "floor": layers(box(shade(FLOOR, -0.07), CELL), box(FLOOR, (0.02, 0.02, 0.98, 0.98))),
    "outside": box((16, 14, 20), CELL),
    "wall": layers(
        box(shade(WALL, -0.4), CELL),
        polygon(shade(WALL, 0.25), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0)),
        box(WALL, (0.09, 0.09, 0.91, 0.91)),
    ),
    "lava": layers(
        box((226, 74, 16), CELL),
        *(
            stroke((255, 168, 40), 0.09, *((x / 8, y + 0.07 * sin(x * pi / 4)) for x in range(9)))
            for y in (0.18, 0.5, 0.82)
        ),
        disc((255, 226, 120), (0.3, 0.38, 0.05), (0.72, 0.62, 0.05), (0.86, 0.3, 0.03)),
    ),
    "corner": stroke((92, 44, 172, 140), 0.13, (0.78, 0.2), (0.2, 0.2), (0.2, 0.78)),
    "agent": mouse(BLUE, (90, 240, 255)),
    "partner": mouse((222, 92, 196), (255, 240, 120)),
    "cheese": layers(
        polygon(shade(CHEESE, 0.45), (0.06, 0.52), (0.6, 0.16), (0.94, 0.44), edge=RIND),
        polygon(CHEESE, (0.06, 0.52), (0.94, 0.44), (0.94, 0.78), (0.06, 0.84), edge=RIND),
        disc(shade(CHEESE, -0.3), (0.27, 0.67, 0.09), (0.53, 0.6, 0.06), (0.74, 0.65, 0.1)),
        oval(CHEESE, (0.58, 0.33, 0.09, 0.05)),
    ),
    "dish": layers(
        disc(WHITE, (0.5, 0.5, 0.44), edge=(52, 84, 150)),
        disc((84, 134, 214), (0.5, 0.5, 0.37)),
        disc(WHITE, (0.5, 0.5, 0.29)),
        disc((228, 236, 248), (0.5, 0.5, 0.22)),
    ),
    "key": layers(
        key_blank(shade(GOLD, -0.6), 0.19),
        key_blank(GOLD, 0.12),
        disc(shade(GOLD, -0.6), (0.27, 0.47, 0.105)),
        disc(CLEAR, (0.27, 0.47, 0.07)),
        stroke(shade(GOLD, 0.6), 0.03, (0.5, 0.45), (0.84, 0.45)),
    ),
    "chest": layers(
        box(shade(WOOD, 0.15), (0.1, 0.18, 0.9, 0.56), edge=INK, corner=0.13),
        box(shade(WOOD, -0.1), (0.1, 0.42, 0.9, 0.86), edge=INK, corner=0.04),
        box(shade(WOOD, -0.55), (0.18, 0.2, 0.28, 0.84), (0.72, 0.2, 0.82, 0.84)),
        box(GOLD, (0.4, 0.36, 0.6, 0.62), edge=INK, corner=0.04),
        disc(INK, (0.5, 0.49, 0.04)),
    ),
    "door": layers(
        box((156, 44, 28), (0.14, 0.04, 0.86, 0.96), edge=INK, corner=0.08),
        box((106, 28, 20), (0.36, 0.08, 0.39, 0.92), (0.61, 0.08, 0.64, 0.92)),
        box(IRON, (0.17, 0.2, 0.83, 0.3), (0.17, 0.7, 0.83, 0.8)),
        disc(GOLD, (0.73, 0.51, 0.07), edge=INK),
    ),
    "coin": layers(
        disc((244, 140, 12), (0.5, 0.5, 0.42), edge=(140, 70, 0)),
        disc((255, 182, 60), (0.5, 0.5, 0.3)),
        polygon((176, 90, 0), *star(0.5, 0.51, 0.24, 0.1, 5)),
    ),
    "gem_yellow": gem(YELLOW),
    "line_red": line(RED),
    "line_yellow": line(YELLOW),
    "exit": layers(
        box((30, 60, 76), (0.1, 0.04, 0.9, 0.96), corner=0.2),
        box((40, 206, 200), (0.19, 0.13, 0.81, 0.96), corner=0.14),
        polygon(WHITE, (0.5, 0.24), (0.72, 0.5), (0.28, 0.5)),
        box(WHITE, (0.42, 0.48, 0.58, 0.82)),
    ),
    "button": layers(
        box((62, 56, 66), (0.1, 0.1, 0.9, 0.9), edge=INK, corner=0.14),
        disc((220, 16, 100), (0.5, 0.5, 0.31), edge=(96, 0, 40)),
        oval((255, 130, 180), (0.44, 0.4, 0.13, 0.09)),
    ),
    "camera": layers(
        box(INK, (0.06, 0.2, 0.16, 0.86), corner=0.04),
        stroke(IRON, 0.1, (0.14, 0.62), (0.4, 0.5)),
        box((84, 100, 84), (0.24, 0.22, 0.78, 0.66), edge=INK, corner=0.08),
        disc((20, 24, 30), (0.74, 0.44, 0.2)),
        disc((120, 220, 255), (0.74, 0.44, 0.1)),
        disc(RED, (0.35, 0.34, 0.045)),
    ),
    "shield": layers(
        polygon(STEEL, (0.1, 0.1), (0.9, 0.1), (0.86, 0.56), (0.5, 0.94), (0.14, 0.56), edge=INK),
        polygon((24, 48, 140), (0.18, 0.18), (0.82, 0.18), (0.79, 0.54), (0.5, 0.84), (0.21, 0.54)),
        polygon(WHITE, *star(0.5, 0.46, 0.19, 0.08, 5)),
    ),
    "monster": layers(
        polygon(BONE, (0.2, 0.34), (0.24, 0.05), (0.4, 0.24), edge=INK),
        polygon(BONE, (0.8, 0.34), (0.76, 0.05), (0.6, 0.24), edge=INK),
        disc(MONSTER, (0.5, 0.52, 0.37), edge=shade(MONSTER, -0.55)),
        box(MONSTER, (0.13, 0.54, 0.87, 0.92), corner=0.1),
        disc(WHITE, (0.5, 0.43, 0.17), edge=shade(MONSTER, -0.55)),
        disc(INK, (0.5, 0.45, 0.08)),
        box(INK, (0.28, 0.67, 0.72, 0.82), corner=0.06),
        *(polygon(WHITE, (x, 0.67), (x + 0.1, 0.67), (x + 0.05, 0.76)) for x in (0.32, 0.45, 0.58)),
    ),
    "apple": layers(
        disc(APPLE, (0.36, 0.58, 0.28), (0.64, 0.58, 0.28), edge=shade(APPLE, -0.55)),
        oval(APPLE, (0.5, 0.61, 0.3, 0.28)),
        stroke((92, 58, 30), 0.06, (0.5, 0.38), (0.54, 0.14)),
        oval((70, 168, 30), (0.71, 0.19, 0.18, 0.1)),
        oval((255, 150, 150), (0.28, 0.5, 0.06, 0.1)),
    ),
    "tree": layers(
        box((112, 70, 34), (0.43, 0.6, 0.57, 0.95), edge=INK, corner=0.03),
        disc(LEAF, (0.28, 0.5, 0.22), (0.72, 0.5, 0.22), (0.5, 0.32, 0.26), edge=shade(LEAF, -0.5)),
        oval(LEAF, (0.5, 0.48, 0.3, 0.18)),
        disc(shade(LEAF, 0.3), (0.42, 0.22, 0.05), (0.24, 0.46, 0.05), (0.62, 0.42, 0.05)),
    ),
    "beacon_red": beacon(RED, 1),
    "beacon_green": beacon(GREEN, 2),
    "beacon_blue": beacon(BLUE, 3),
    "saw": layers(
        polygon(STEEL, *star(0.5, 0.5, 0.47, 0.35, 10), edge=IRON),
        disc(shade(STEEL, 0.4), (0.5, 0.5, 0.29)),
        disc(IRON, (0.5, 0.5, 0.12), edge=INK),
    ),
    "trap": layers(
        box((34, 8, 14), (0.05, 0.05, 0.95, 0.95), corner=0.1),
        *(
            polygon(BONE, (x - 0.1, y), (x, y - 0.3), (x + 0.1, y))
            for x in (0.26, 0.5, 0.74)
            for y in (0.46, 0.86)
        ),
    ),
}


@cache
def draw(name: str, pixels: int) -> UInt8[np.ndarray, "pixels pixels 4"]:
    """The sprite `name`, `pixels` pixels a side, as read-only RGBA (alpha not premultiplied).

    Raises `ValueError` for a name not in `SPRITES` and for `pixels` outside 1..256.
    """
    from PIL import Image, ImageDraw

    if name not in SPRITES:
        nearest = difflib.get_close_matches(name, SPRITES, n=1, cutoff=0.0)[0]
        raise ValueError(f"sprite {name!r} is unknown; the nearest name is {nearest!r}")
    if pixels not in range(1, MAX_PIXELS + 1):
        raise ValueError(f"pixels is {pixels!r}; it must be a whole number from 1 to {MAX_PIXELS}")
    factor = max(4, 512 // pixels)
    image = Image.new("RGBA", (pixels * factor, pixels * factor), CLEAR)
    SPRITES[name](ImageDraw.Draw(image), pixels * factor)
    rgba = np.array(image.reduce(factor))
    if pixels < 4:
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

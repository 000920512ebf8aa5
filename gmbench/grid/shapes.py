"""Shapes that sprites are drawn from, on the unit square: x to the right and y down.

A drawing is layered from these. A task brings drawings of its own in its own file::

    registry.sprite("mat")(shapes.box((120, 80, 40), (0.1, 0.3, 0.9, 0.7)))
"""

import dataclasses
from collections.abc import Callable
from math import cos, pi, sin
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import PIL.ImageDraw

Colour: TypeAlias = tuple[int, int, int] | tuple[int, int, int, int]
Point: TypeAlias = tuple[float, float]
Quad: TypeAlias = tuple[float, float, float, float]
Drawing: TypeAlias = Callable[["PIL.ImageDraw.ImageDraw", int], None]

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


@dataclasses.dataclass(frozen=True)
class Own:
    """A drawing that is all of one colour at one pixel a cell, where no shape is left to see.

    Attributes:
        colour: that colour; one that lets through what lies below has a fourth number, the opacity.
        drawing: what is drawn at any other size.
    """

    colour: Colour
    drawing: Drawing

    def __call__(self, pen: "PIL.ImageDraw.ImageDraw", size: int) -> None:
        """Draw the shape."""
        self.drawing(pen, size)


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
    """A cut gem; at one pixel a darker colour than a line's."""
    crown, tip = [(0.07, 0.42), (0.28, 0.18), (0.72, 0.18), (0.93, 0.42)], (0.5, 0.9)
    drawing = layers(
        polygon(colour, *crown, tip),
        polygon(shade(colour, 0.6), (0.07, 0.42), (0.28, 0.18), (0.5, 0.18), (0.34, 0.42)),
        polygon(shade(colour, 0.3), (0.34, 0.42), (0.5, 0.18), (0.66, 0.42)),
        polygon(shade(colour, -0.2), (0.66, 0.42), (0.93, 0.42), tip),
        stroke(shade(colour, -0.55), EDGE, *crown, tip, crown[0]),
    )
    return Own(shade(colour, -0.2), drawing)


def line(colour: Colour) -> Drawing:
    """A thick diagonal line."""
    drawing = layers(
        stroke(shade(colour, -0.55), 0.22, (0.18, 0.82), (0.82, 0.18)),
        stroke(colour, 0.15, (0.18, 0.82), (0.82, 0.18)),
        stroke(shade(colour, 0.5), 0.035, (0.19, 0.77), (0.77, 0.19)),
    )
    return Own(colour, drawing)


def beacon(colour: Colour, dots: int) -> Drawing:
    """A glowing lamp on a stand; the dots number the lamps for who cannot tell the colours."""
    drawing = layers(
        disc((*colour[:3], 90), (0.5, 0.42, 0.41)),
        polygon(IRON, (0.38, 0.66), (0.62, 0.66), (0.74, 0.94), (0.26, 0.94), edge=INK),
        disc(colour, (0.5, 0.42, 0.32), edge=shade(colour, -0.55)),
        disc(WHITE, *((0.5 + 0.15 * (i - (dots - 1) / 2), 0.42, 0.06) for i in range(dots))),
    )
    return Own((*colour[:3], 200), drawing)


def key_blank(colour: Colour, width: float) -> Drawing:
    """A key's outline in strokes of `width`, its bow to the left."""
    return layers(
        disc(colour, (0.27, 0.47, 0.14 + width / 2)),
        stroke(colour, width, (0.4, 0.47), (0.86, 0.47), (0.86, 0.7)),
        stroke(colour, width, (0.66, 0.47), (0.66, 0.67)),
    )

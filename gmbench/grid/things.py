"""The sprites of the things that several tasks share; a task's own are in its file.

Sprites that share a task differ in lightness or shape, not in hue alone, for colour-blind readers.
"""

from math import pi, sin

from gmbench.core import registry
from gmbench.grid.shapes import (
    APPLE,
    BLUE,
    BONE,
    CELL,
    CHEESE,
    CLEAR,
    FLOOR,
    GOLD,
    GREEN,
    INK,
    IRON,
    LEAF,
    MONSTER,
    RED,
    RIND,
    STEEL,
    WALL,
    WHITE,
    WOOD,
    YELLOW,
    Drawing,
    beacon,
    box,
    disc,
    gem,
    key_blank,
    layers,
    line,
    mouse,
    oval,
    polygon,
    shade,
    star,
    stroke,
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
for _name, _drawing in SPRITES.items():
    registry.sprite(_name)(_drawing)

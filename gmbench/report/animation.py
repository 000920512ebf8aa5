"""Moving and still pictures of recorded episodes, before and after the shift.

The same pair number has the same walls on both sides. Pictures carry their own dark ground, so
they read alike on light and on dark pages.
"""

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from gmbench.core import checks
from gmbench.grid.sprites import atlas, draw
from gmbench.runs.store import Run

GROUND, FAINT = (34, 36, 46), (166, 170, 184)
OUTCOME_COLOURS = {"goal": (86, 180, 233), "proxy": (240, 178, 40), "neither": (190, 190, 196)}
TRAIL = (24, 26, 40)

MARGIN, GAP, CAPTION, FONT = 10, 24, 22, 14  # pixels
COLOURS = 128
STEP, HOLD = 140, 1800  # milliseconds a move, and on the last frame

Legend = Mapping[str, Sequence[str]]


def frames(
    episode: Mapping[str, Any], legend: Legend, pixels: int = 24
) -> UInt8[np.ndarray, "frames height width 3"]:
    """Draw every frame of an episode, with `pixels` pixels a cell.

    Raises:
        ValueError: if a character has no entry in the legend, or a thing no sprite.
    """
    return _drawn([_cells(frame, legend) for frame in episode["frames"]], pixels)


def before_after(run: Run, pairs: int = 2) -> bytes:
    """Return an animated GIF: the first `pairs` levels in training, left, and deployed, right.

    Episodes start together; each holds its last frame, and says how it ended, until all are over.
    """
    shown = moving(run, pairs)
    # One palette for all pages: a palette a page would make still things flicker.
    both = Image.fromarray(np.concatenate([np.array(shown[0]), np.array(shown[-1])]))
    palette = both.quantize(COLOURS)
    indexed = [page.quantize(palette=palette, dither=Image.Dither.NONE) for page in shown]
    stream = io.BytesIO()
    indexed[0].save(
        stream,
        "GIF",
        save_all=True,
        append_images=indexed[1:],
        duration=[STEP] * (len(shown) - 1) + [HOLD],
        loop=0,
    )
    return stream.getvalue()


def moving(run: Run, pairs: int) -> list[Image.Image]:
    """Return the pages of that picture, the last of them to be held."""
    rows = [_pair(run, number, 28) for number in _numbers(run)[:pairs]]
    length = max(len(frames) for row in rows for _, _, frames in row)
    return [
        _page([[_panel(run, panel, time) for panel in row] for row in rows])
        for time in range(length)
    ]


def strip(run: Run, pair: int | None = None, pixels: int = 44) -> Image.Image:
    """Return a still: one level in training and deployed, with the agent's path drawn over it.

    Args:
        run: a run with recorded episodes.
        pair: number of the level; by default the first on which the deployed agent ends at a
            proxy only, or the first of all.
        pixels: of a cell.

    Raises:
        ValueError: if the run recorded no such pair.
    """
    numbers = _numbers(run)
    if pair is None:
        astray = [n for n in numbers if _episode(run, run.findings.shift, n)["outcome"] == "proxy"]
        pair = (astray or numbers)[0]
    if pair not in numbers:
        raise checks.Refused(f"pair: {pair} was not recorded (allowed: {numbers})")
    legend = run.episodes()["legend"]
    panels = []
    for distribution in ("training", run.findings.shift):
        episode = _episode(run, distribution, pair)
        picture = _trailed(episode, legend, pixels)
        panels.append(_captioned(run, distribution, picture, episode["outcome"]))
    return _page([panels])


def ending(run: Run, outcome: str) -> str:
    """Return in words how an episode ended, named after the run's goals."""
    intended, *proxies = (goal.replace("_", " ") for goal in run.findings.goals)
    return {
        "goal": f"reached the {intended}",
        "proxy": f"reached only the {' or the '.join(proxies)}",
        "neither": f"reached neither {intended} nor {' nor '.join(proxies)}",
    }[outcome]


# ---- episodes -------------------------------------------------------------------------------

Cells = list[list[tuple[str, ...]]]
Moving = tuple[str, str, UInt8[np.ndarray, "frames height width 3"]]


def _numbers(run: Run) -> list[int]:
    """Pairs of which both sides were recorded."""
    sides = [
        {episode["pair"] for episode in run.episodes()["episodes"] if episode["distribution"] == d}
        for d in ("training", run.findings.shift)
    ]
    if not sides[0] & sides[1]:
        raise checks.Refused(f"run: {str(run.path)!r} recorded no level before and after the shift")
    return sorted(sides[0] & sides[1])


def _episode(run: Run, distribution: str, pair: int) -> dict[str, Any]:
    return next(
        episode
        for episode in run.episodes()["episodes"]
        if (episode["distribution"], episode["pair"]) == (distribution, pair)
    )


def _pair(run: Run, pair: int, pixels: int) -> list[Moving]:
    legend = run.episodes()["legend"]
    episodes = [_episode(run, name, pair) for name in ("training", run.findings.shift)]
    return [(e["distribution"], e["outcome"], frames(e, legend, pixels)) for e in episodes]


def _cells(frame: str, legend: Legend) -> Cells:
    """What lies on each cell of an ASCII picture, the lowest first."""
    unknown = sorted(set(frame) - set(legend) - {"\n"})
    if unknown:
        raise checks.Refused(f"frame: {unknown[0]!r} is not in the legend ({' '.join(legend)})")
    return [[tuple(legend[mark]) for mark in line] for line in frame.splitlines()]


def _drawn(pictures: Sequence[Cells], pixels: int) -> UInt8[np.ndarray, "frames height width 3"]:
    stacks = sorted({stack for cells in pictures for line in cells for stack in line})
    number = {stack: i for i, stack in enumerate(stacks)}
    tiles = np.array([[[number[stack] for stack in line] for line in cells] for cells in pictures])
    painted: np.ndarray = atlas(tuple(stacks), pixels)[tiles].swapaxes(2, 3)
    times, rows, _, cols = painted.shape[:4]
    return painted.reshape(times, rows * pixels, cols * pixels, 3)


def _path(pictures: Sequence[Cells]) -> list[tuple[int, int]]:
    """(row, col) of the agent after each move that took it elsewhere, the start first."""
    path: list[tuple[int, int]] = []
    for cells in pictures:
        for row, line in enumerate(cells):
            for col, stack in enumerate(line):
                if "agent" in stack and path[-1:] != [(row, col)]:
                    path.append((row, col))
    return path


# ---- drawing --------------------------------------------------------------------------------


def _trailed(
    episode: Mapping[str, Any], legend: Legend, pixels: int
) -> UInt8[np.ndarray, "height width 3"]:
    """The first frame with the agent's path, faint where it starts and the agent at its end."""
    pictures = [_cells(frame, legend) for frame in episode["frames"]]
    empty = [
        [tuple(thing for thing in stack if thing != "agent") for stack in line]
        for line in pictures[0]
    ]
    picture = Image.fromarray(_drawn([empty], pixels)[0]).convert("RGBA")
    path = _path(pictures)
    if path:
        picture.alpha_composite(_arrows(path, pixels, picture.size))
        agent = Image.fromarray(np.array(draw("agent", pixels)))
        ghost = Image.blend(Image.new("RGBA", agent.size, (255, 255, 255, 0)), agent, 0.4)
        for sprite, (row, col) in ((ghost, path[0]), (agent, path[-1])):
            picture.alpha_composite(sprite, (col * pixels, row * pixels))
    return np.array(picture.convert("RGB"))


def _arrows(path: Sequence[tuple[int, int]], pixels: int, size: tuple[int, int]) -> Image.Image:
    """A translucent trail through the middles of cells, with an arrow head on each move."""
    fine = 4  # drawn larger and averaged down, since Pillow's lines have hard edges
    layer = Image.new("RGBA", (size[0] * fine, size[1] * fine), (*TRAIL, 0))
    pen = ImageDraw.Draw(layer)
    points = (np.array(path)[:, ::-1] + 0.5) * pixels * fine
    width = 0.12 * pixels * fine
    for number, (start, end) in enumerate(pairwise(points)):
        ink = (*TRAIL, round(70 + 130 * (number + 1) / (len(points) - 1)))
        pen.line([*start, *end], ink, round(width))
        along = (end - start) / np.abs(end - start).max()
        across = along[::-1] * (1, -1)
        middle = (start + end) / 2
        corners = (
            middle + 1.6 * width * along,
            middle - width * along + 1.5 * width * across,
            middle - width * along - 1.5 * width * across,
        )
        pen.polygon([tuple(corner) for corner in corners], ink)
    return layer.reduce(fine)


def _panel(run: Run, panel: Moving, time: int) -> Image.Image:
    distribution, outcome, moving = panel
    over = time >= len(moving) - 1
    frame = moving[min(time, len(moving) - 1)]
    return _captioned(run, distribution, frame, outcome if over else None)


def _captioned(
    run: Run, distribution: str, picture: UInt8[np.ndarray, "height width 3"], outcome: str | None
) -> Image.Image:
    """A picture with where it was taken above it and, once it is known, how it ended below."""
    shift = run.findings.shift.replace("_", " ")
    title = "in training" if distribution == "training" else f"deployed: {shift}"
    words = ending(run, outcome) if outcome else ""
    height, width = picture.shape[:2]
    panel = Image.new("RGB", (width, height + 2 * CAPTION), GROUND)
    panel.paste(Image.fromarray(picture), (0, CAPTION))
    pen = ImageDraw.Draw(panel)
    pen.text((0, CAPTION - 5), title, FAINT, ImageFont.load_default(FONT), anchor="ls")
    if outcome:
        colour = OUTCOME_COLOURS[outcome]
        pen.text((0, height + 2 * CAPTION - 5), words, colour, _fitting(words, width), anchor="ls")
    return panel


def _fitting(words: str, width: int) -> Any:
    """The font at which words fit a width."""
    size = float(FONT)
    # Letters stand on whole pixels, so that a length is not in proportion to the size.
    while size > 1 and ImageFont.load_default(size).getlength(words) > width:
        size -= 0.5
    return ImageFont.load_default(size)


def _page(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Panels in rows on the dark ground."""
    width = max(sum(panel.width + GAP for panel in row) - GAP for row in rows)
    height = sum(max(panel.height for panel in row) for row in rows) + MARGIN * (len(rows) - 1)
    page = Image.new("RGB", (width + 2 * MARGIN, height + 2 * MARGIN), GROUND)
    top = MARGIN
    for row in rows:
        left = MARGIN
        for panel in row:
            page.paste(panel, (left, top))
            left += panel.width + GAP
        top += max(panel.height for panel in row) + MARGIN
    return page

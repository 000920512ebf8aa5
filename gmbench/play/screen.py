"""The terminal while something moves on it: pictures in half blocks, keys as they are pressed."""

import contextlib
import functools
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8
from rich.color import Color
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text

from gmbench.core.env import Environment
from gmbench.grid import sprites

try:
    import termios
    import tty
except ImportError:  # there are none on Windows, where keys are then not read
    termios = tty = None  # type: ignore[assignment]

BESIDE, GAP = 38, 2
"""Columns of the words beside a picture, and between them."""
BELOW = 12
"""Rows of the words below a picture that leaves no room beside it."""
MOST_PIXELS = 12
"""Pixels of a cell at most."""
ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}
"""The last characters of what the arrow keys send."""
QUIT = "q"


class Screen:
    """A terminal that shows one thing after another, and tells which keys are pressed."""

    def __init__(self, live: Any, keys: int | None) -> None:
        """Show nothing yet; ``keys`` is the descriptor that keys are read from, if any."""
        self._live = live
        self._keys = keys

    def show(self, drawn: Any) -> None:
        """Show something in place of what was shown before."""
        self._live.update(drawn, refresh=True)

    def key(self, seconds: float | None = None) -> str:
        """Wait for a key; return its character, an arrow's name, or nothing once time is up."""
        if self._keys is None:
            time.sleep(seconds or 0)
            return ""
        if not select.select([self._keys], [], [], seconds)[0]:
            return ""
        pressed = os.read(self._keys, 64).decode("utf-8", "replace")
        if not pressed:  # the terminal is gone
            return QUIT
        if pressed[0] == "\x1b":
            return ARROWS.get(pressed[2:3], "")
        return pressed[0]


ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that would end the process at once."""


@contextlib.contextmanager
def opened(console: Console) -> Iterator[Screen]:
    """Take over a terminal, and give it back as it was, however this ends: also by SIGTERM."""
    live = Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop")
    keys = sys.stdin.fileno() if termios and sys.stdin.isatty() else None
    before = None if keys is None else termios.tcgetattr(keys)
    try:
        if keys is not None:
            tty.setcbreak(keys)
        with _shown(live):
            yield Screen(live, keys)
    finally:
        if keys is not None and before is not None:
            termios.tcsetattr(keys, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _shown(live: Live) -> Iterator[None]:
    """Show it and hide it again, also if a signal comes that would end the process at once.

    The process ends as by ``sys.exit``, but not while the terminal is half taken over or given
    back: then it ends afterwards.
    """
    came: list[int] = []
    whole = False

    def leave(number: int, frame: Any) -> None:
        del frame
        came.append(number)
        if whole:
            sys.exit(128 + number)

    # Only the main thread can set handlers.
    ending = ENDING if threading.current_thread() is threading.main_thread() else []
    before = [signal.signal(each, leave) for each in ending]
    try:
        live.start()
        whole = True
        if not came:
            yield
    finally:
        whole = False
        live.stop()
        for each, handler in zip(ending, before, strict=True):
            signal.signal(each, handler)
        if came:
            sys.exit(128 + came[0])


def page(
    env: Environment[Any, Any], state: Any, words: Sequence[RenderableType], console: Console
) -> Any:
    """Return a state's picture with words beside it, or below where there is no room beside."""
    picture = drawn(env, state, console)
    said = Group(*words)
    wide = max(map(len, picture.plain.splitlines()))
    if wide + GAP + BESIDE > console.width:
        return Group(picture, "", said)
    beside = Table.grid(Column(width=wide), Column(), padding=(0, GAP, 0, 0))
    beside.add_row(picture, said)
    return beside


def drawn(env: Environment[Any, Any], state: Any, console: Console) -> Text:
    """Return a state in colour, as large as fits beside some words; else as characters."""
    pixels = fitting(env.render_ascii(state), console)
    if pixels == 0:
        return marks(env, state)
    return blocks(np.asarray(_render(env, pixels)(state)))


def fitting(printed: str, console: Console) -> int:
    """Return how many pixels a cell can have; 0 where characters say more.

    Args:
        printed: what is to be drawn, as characters.
        console: its size, colours and characters decide.
    """
    if console.color_system is None or console.options.ascii_only:
        return 0
    lines = [line for line in printed.splitlines() if ":" not in line]
    rows, cols = len(lines), max(map(len, lines))
    beside = min(2 * (console.height - 1) // rows, (console.width - BESIDE - GAP) // cols)
    above = min(2 * (console.height - BELOW) // rows, console.width // cols)
    largest = max(beside, above)
    return min(MOST_PIXELS, largest) if largest > 1 else 0


def blocks(image: UInt8[np.ndarray, "height width 3"]) -> Text:
    """Return an image as text: each character is a pixel above another."""
    if len(image) % 2:
        image = np.concatenate([image, image[-1:]])
    text = Text(no_wrap=True)
    for upper, lower in zip(image[::2].tolist(), image[1::2].tolist(), strict=True):
        for above, below in zip(upper, lower, strict=True):
            text.append("▀", _style(tuple(above), tuple(below)))
        text.append("\n")
    text.right_crop(1)
    return text


def marks(env: Environment[Any, Any], state: Any) -> Text:
    """Return a state as characters, with what they stand for below."""
    printed = env.render_ascii(state)
    spaced = "\n".join(" ".join(line) if ":" not in line else line for line in printed.splitlines())
    return Text(spaced, no_wrap=True)


def legend(env: Any, coloured: bool) -> RenderableType:
    """Return what is to be seen on a task's levels: its things' colours, or its characters."""
    if not coloured:
        words = (f"{mark} {' on '.join(reversed(on))}" for mark, on in env.legend.items() if on)
        return Text(", ".join(words))
    named: list[Text] = []
    for thing in env.things:
        red, green, blue, _ = sprites.draw(thing, 1)[0, 0].tolist()
        swatch = "██", Style(color=Color.from_rgb(red, green, blue))
        named.append(Text.assemble(swatch, f" {thing.replace('_', ' ')}", no_wrap=True))
    return Columns(named)


@functools.cache
def _style(above: tuple[int, int, int], below: tuple[int, int, int]) -> Style:
    return Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))


@functools.cache
def _render(env: Environment[Any, Any], pixels: int) -> Any:
    return jax.jit(lambda state: env.render(state, pixels))

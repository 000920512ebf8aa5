"""Play a task in the terminal, to see for oneself what the goals ask and where they come apart."""

import contextlib
import curses
import os
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gmbench.core import checks, keys
from gmbench.core.task import Task
from gmbench.measure import evaluation

KEYS = {
    "stay": ". ",
    "up": "kw",
    "down": "js",
    "left": "ha",
    "right": "ld",
    "jump": "i",
    "jump-left": "u",
    "jump-right": "o",
}
"""Characters for each action; the arrow keys move too."""

ARROWS = {
    curses.KEY_UP: "up",
    curses.KEY_DOWN: "down",
    curses.KEY_LEFT: "left",
    curses.KEY_RIGHT: "right",
}

ACTIONS = ARROWS | {ord(key): name for name, keys in KEYS.items() for key in keys}
COLOURS = (
    curses.COLOR_CYAN,
    curses.COLOR_YELLOW,
    curses.COLOR_GREEN,
    curses.COLOR_MAGENTA,
    curses.COLOR_RED,
    curses.COLOR_BLUE,
)


def play(task: Task, distribution: str, seed: int) -> None:
    """Play levels of a task in the terminal until ``q`` is pressed.

    Args:
        task: the task.
        distribution: ``training`` or the name of a shift.
        seed: which levels.

    Raises:
        ValueError: for an unknown distribution, or where there is no terminal to play in.
    """
    game = _Game(task, distribution, task.shift(distribution), seed)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise checks.Refused("terminal: stdin and stdout are not both one, `play` needs a terminal")
    try:
        curses.setupterm()
    except curses.error as error:
        name = os.environ.get("TERM", "")
        raise checks.Refused(f"TERM: {name!r} is not a terminal that curses knows") from error
    with contextlib.suppress(KeyboardInterrupt):
        curses.wrapper(game.run)


class _Episode(NamedTuple):
    """An episode so far; ``earned`` and ``most`` hold a number for each goal."""

    number: int
    state: Any
    earned: Any
    most: Any
    terminated: bool = False
    truncated: bool = False

    @property
    def over(self) -> bool:
        return self.terminated or self.truncated


class _Game:
    """The levels of one distribution, played one after another."""

    def __init__(self, task: Task, distribution: str, params: Any, seed: int) -> None:
        env = task.env
        self.task = task
        self.distribution = distribution
        self.key = keys.key(keys.seed(seed))

        def begin(key: Any) -> tuple[Any, Any]:
            level = env.sample_level(key, params)
            nothing_known = jnp.full(len(env.goal_names), jnp.nan)
            return env.start(level), evaluation.most(env, level) if env.exact else nothing_known

        def step(state: Any, action: Any) -> tuple[Any, ...]:
            _, after, _, terminated, info = env.step_env(None, state, action, params)
            return after, info["goals"], terminated, env.is_truncated(after, params)

        self._begin = jax.jit(begin)
        self._step = jax.jit(step)

    def begin(self, number: int) -> _Episode:
        """Begin on a level."""
        state, most = self._begin(jax.random.fold_in(self.key, number))
        return _Episode(number, state, np.zeros(len(most), np.float32), np.asarray(most))

    def act(self, episode: _Episode, action: str) -> _Episode:
        """Take one step; nothing moves once the episode is over."""
        if episode.over or action not in self.task.env.action_names:
            return episode
        number = jnp.int32(self.task.env.action_names.index(action))
        state, paid, terminated, truncated = self._step(episode.state, number)
        return episode._replace(
            state=state,
            earned=episode.earned + np.asarray(paid),
            terminated=bool(terminated),
            truncated=bool(truncated),
        )

    def run(self, window: Any) -> None:
        """Draw, read a key, act, until ``q`` is pressed or the terminal goes away."""
        with contextlib.suppress(curses.error):  # not every terminal can hide the cursor
            curses.curs_set(0)
        colours = self._colours()
        episode = self.begin(0)
        while True:
            self._draw(window, episode, colours)
            key = window.getch()
            if key in (ord("q"), -1):
                return
            if key == ord("n"):
                episode = self.begin(episode.number + 1)
            elif key in ACTIONS:
                episode = self.act(episode, ACTIONS[key])

    # ---- drawing ----------------------------------------------------------------------------

    def _colours(self) -> dict[str, int]:
        """Return curses attributes by character; floor stays plain, walls are blocks."""
        marks = [mark for mark, things in self.task.env.legend.items() if things and mark != "#"]
        colours = {mark: curses.A_BOLD for mark in marks} | {"#": curses.A_REVERSE}
        if curses.has_colors():
            curses.use_default_colors()
            for index, mark in enumerate(marks):
                pair = 1 + index % len(COLOURS)
                curses.init_pair(pair, COLOURS[pair - 1], -1)
                colours[mark] |= curses.color_pair(pair)
        return colours

    def _draw(self, window: Any, episode: _Episode, colours: dict[str, int]) -> None:
        window.erase()
        with contextlib.suppress(curses.error):  # what a small terminal cannot show is left out
            title = f"{self.task.id}, {self.distribution}, level {episode.number}"
            window.addstr(0, 0, title, curses.A_BOLD)
            lines = self.task.env.render_ascii(episode.state).splitlines()
            for row, line in enumerate(lines, start=2):
                for col, mark in enumerate(line):
                    text = "  " if mark == "#" else f"{mark} "
                    window.addstr(row, 2 * col, text, colours.get(mark, curses.A_DIM))
            for row, text in enumerate(self._texts(episode), start=len(lines) + 3):
                window.addstr(row, 0, text)
        window.refresh()

    def _texts(self, episode: _Episode) -> Iterator[str]:
        env = self.task.env
        legend: dict[str, tuple[str, ...]] = env.legend
        yield "  ".join(f"{mark} {' on '.join(reversed(on))}" for mark, on in legend.items() if on)
        yield f"step {int(episode.state.time)}"
        for name, earned, most in zip(env.goal_names, episode.earned, episode.most, strict=True):
            kind = "intended goal" if name == env.goal_names[0] else "proxy"
            yield f"{kind} {name}: {earned:g} of {most:g}"
        yield self._verdict(episode) if episode.over else ""
        yield "arrows, hjkl or wasd: move   . or space: stay   n: next level   q: quit"

    def _verdict(self, episode: _Episode) -> str:
        """Say how an episode ended."""
        arrays = (jnp.asarray(each)[:, None] for each in (episode.earned, episode.most))
        outcome = evaluation.OUTCOMES[int(evaluation.outcome(*arrays)[0])]
        ended = "The episode is over" if episode.terminated else "Time is up"
        achieved = {
            "goal": f"the intended goal was achieved ({self.task.intended})",
            "proxy": "only a proxy was achieved, not the intended goal",
            "neither": "neither the intended goal nor a proxy was achieved",
        }
        return f"{ended}: {achieved[outcome]}."

"""Play a task in the terminal, to see for oneself what the goals ask and where they come apart."""

import contextlib
import sys

from rich.console import Console, RenderableType
from rich.text import Text

from gmbench.core import checks
from gmbench.core.task import Task
from gmbench.play import screen
from gmbench.play.game import Episode, Game
from gmbench.report import terminal

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
ACTIONS = {key: name for name, keys in KEYS.items() for key in keys}
NEXT = "n"


def play(task: Task, distribution: str, seed: int) -> None:
    """Play levels of a task in the terminal until ``q`` is pressed.

    Args:
        task: the task.
        distribution: ``training`` or the name of a shift.
        seed: which levels.

    Raises:
        ValueError: for an unknown distribution, or where there is no terminal to play in.
    """
    game = Game(task, distribution, task.shift(distribution), seed)
    console = terminal.console()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise checks.Refused(
            "terminal: stdin and stdout are not both one, `play` needs a terminal "
            f"(gmbench show {task.id} prints levels)"
        )
    if console.is_dumb_terminal:
        raise checks.Refused("TERM: 'dumb' or unset is not a terminal that can be drawn on")
    with contextlib.suppress(KeyboardInterrupt), screen.opened(console) as shown:
        run(game, shown, console)


def run(game: Game, shown: screen.Screen, console: Console) -> None:
    """Draw, read a key, act, until ``q`` is pressed or the terminal goes away."""
    episode = game.begin(0)
    while True:
        words = list(said(game, episode, console))
        shown.show(screen.page(game.task.env, episode.state, words, console))
        key = shown.key()
        if key == screen.QUIT:
            return
        if key == NEXT:
            episode = game.begin(episode.number + 1)
        else:
            episode = game.act(episode, ACTIONS.get(key, key))


def said(game: Game, episode: Episode, console: Console) -> list[RenderableType]:
    """Return the words beside a picture."""
    env = game.task.env
    others = (f"  {KEYS[name]}: {name}" for name in env.action_names if "jump" in name)
    return [
        Text(f"{game.task.id}, {game.distribution}", style="bold"),
        f"level {episode.number}, step {episode.steps}",
        "",
        *game.standing(episode),
        "",
        screen.legend(env, screen.fitting(env.render_ascii(episode.state), console) > 0),
        "",
        game.verdict(episode) if episode.over else "",
        "",
        f"arrows, hjkl or wasd: move  space: stay{''.join(others)}",
        "n: next level  q: quit",
    ]

"""Watch a trained agent move, in training and after the shift: which goal does it go to?"""

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console, RenderableType
from rich.text import Text

from gmbench.core import checks
from gmbench.measure.evaluation import OUTCOMES
from gmbench.play import screen
from gmbench.play.game import Episode, Game
from gmbench.report import terminal
from gmbench.runs.opened import OpenAgent

GIVEN = "given level"
"""What the distribution of a level that is given is called."""
HOLD = 1.5
"""Seconds that the end of an episode is shown."""
BAR = 16
"""Columns of a probability of 1."""
MOVES = 40
"""Moves that are printed of an episode, the same ones in a row as one."""
PAUSE, NEXT = " ", "n"


class Quit(Exception):
    """Whoever watches has seen enough."""


class Skipped(Exception):
    """On to the next episode."""


class Seen(NamedTuple):
    """An episode that has ended.

    Attributes:
        distribution: of its level.
        last: how it ended.
        moves: the actions taken.
    """

    distribution: str
    last: Episode
    moves: tuple[str, ...]


class Actor:
    """An agent that acts in one episode after another."""

    def __init__(self, agent: OpenAgent, seed: int) -> None:
        """Compile nothing yet; equal seeds act alike."""
        env, policy = agent.env, agent.policy
        self.names = env.action_names
        self._seed = seed
        self._begin = jax.jit(policy.begin)
        self._act = jax.jit(lambda memory, state: policy.act(memory, state, env.observation(state)))

    def begin(self, episode: Episode) -> None:
        """Begin an episode."""
        self._memory = self._begin(episode.level)
        self._chance = np.random.default_rng([self._seed, episode.number])

    def think(self, state: Any) -> np.ndarray:
        """Return the probability of each action in a state."""
        log_probs, self._memory = self._act(self._memory, state)
        chances = np.exp(np.asarray(log_probs, np.float64))
        return chances / chances.sum()

    def choose(self, chances: np.ndarray) -> str:
        """Return an action drawn with these probabilities."""
        return self.names[int(self._chance.choice(len(chances), p=chances))]


def watch(
    agent: OpenAgent,
    about: str,
    shifts: Sequence[str] = (),
    episodes: int = 3,
    seed: int = 0,
    fps: float = 6.0,
    level: str = "",
) -> None:
    """Show an agent's episodes: moving on a terminal, their first and last pictures elsewhere.

    Args:
        agent: the agent.
        about: one line on it.
        shifts: distributions: ``training``, or names of shifts; by default training and the first.
        episodes: of each distribution.
        seed: which levels, and what chance has in store.
        fps: steps a second.
        level: a level as characters, to play on instead.

    Raises:
        Refused: for an unknown distribution, a level that is none, numbers out of range.
    """
    checks.integer("episodes", episodes, 1, 1000)
    checks.number("fps", fps, 0.1, 100)
    games = chosen(agent, shifts, seed, level)
    console = terminal.console()
    seen: list[Seen] = []
    actor = Actor(agent, seed)
    with contextlib.suppress(KeyboardInterrupt, Quit):
        if console.is_terminal and not console.is_dumb_terminal:
            with screen.opened(console) as shown:
                shown.show("Compiling: a few seconds, the first time.")
                show = Moving(shown, console, about, episodes, fps)
                for each in played(games, actor, episodes, show):
                    seen.append(each)
        else:
            for each in played(games, actor, episodes, lambda *_: None):
                seen.append(each)
                console.print(*printed(games, each), sep="\n")
    if seen:
        console.print(about)
        console.print(summary(games, seen))


def chosen(agent: OpenAgent, shifts: Sequence[str], seed: int, level: str) -> list[Game]:
    """Return a game for each distribution that is asked for.

    Raises:
        Refused: for an unknown distribution, a level that is none, or both.
    """
    task = agent.task
    if level:
        if shifts:
            raise checks.Refused(f"shift: {list(shifts)!r}, but a level is given (allowed: one)")
        return [Game(task, GIVEN, task.training, seed, task.env.parse(level))]
    names = list(shifts) or ["training", task.headline]
    return [Game(task, name, task.shift(name), seed) for name in names]


Show = Callable[[Game, Episode, "np.ndarray | None"], None]
"""Called with each state, and the probabilities of what is done next; None at the end."""


def played(games: Sequence[Game], actor: Actor, episodes: int, show: Show) -> Iterator[Seen]:
    """Play episodes of each game, and yield those that came to their end."""
    for game in games:
        for number in range(episodes):
            episode = game.begin(number)
            actor.begin(episode)
            moves = []
            with contextlib.suppress(Skipped):
                while not episode.over:
                    chances = actor.think(episode.state)
                    show(game, episode, chances)
                    moves.append(actor.choose(chances))
                    episode = game.act(episode, moves[-1])
                show(game, episode, None)
            if episode.over:
                yield Seen(game.distribution, episode, tuple(moves))


class Moving:
    """Shows each state for its time, and obeys the keys."""

    def __init__(
        self, shown: screen.Screen, console: Console, about: str, episodes: int, fps: float
    ) -> None:
        """Show nothing yet."""
        self.shown, self.console, self.about = shown, console, about
        self.episodes, self.seconds = episodes, 1 / fps

    def __call__(self, game: Game, episode: Episode, chances: np.ndarray | None) -> None:
        """Show a state until its time is up.

        Raises:
            Quit, Skipped: as the keys ask.
        """
        words: list[RenderableType] = [*said(game, episode, self.about, self.episodes, chances)]
        coloured = screen.fitting(game.task.env.render_ascii(episode.state), self.console) > 0
        words += ["", screen.legend(game.task.env, coloured), "", "space: pause  n: next  q: quit"]
        self.shown.show(screen.page(game.task.env, episode.state, words, self.console))
        until = time.monotonic() + (self.seconds if chances is not None else HOLD)
        while (left := until - time.monotonic()) > 0:
            key = self.shown.key(left)
            if key == PAUSE:
                key = self.shown.key()
            if key == screen.QUIT:
                raise Quit
            if key == NEXT:
                raise Skipped


def said(
    game: Game, episode: Episode, about: str, episodes: int, chances: np.ndarray | None
) -> Iterator[Text | str]:
    """Yield the words beside a picture."""
    yield Text(game.task.id, style="bold")
    yield about
    yield ""
    where = "as in training" if game.distribution == "training" else f"now: {game.distribution}"
    yield Text(where, style="bold")
    yield f"episode {episode.number + 1} of {episodes}, step {episode.steps}"
    yield ""
    yield from game.standing(episode)
    yield ""
    if chances is None:
        yield game.verdict(episode)
    else:
        wide = max(map(len, game.task.env.action_names))
        for name, chance in zip(game.task.env.action_names, chances, strict=True):
            bar = "#" * round(BAR * chance)
            yield f"{name:{wide}} {bar:{BAR}} {chance:4.0%}"


def printed(games: Sequence[Game], seen: Seen) -> Iterator[str]:
    """Yield the lines that stand for an episode where nothing moves."""
    game = next(game for game in games if game.distribution == seen.distribution)
    env, first = game.task.env, game.begin(seen.last.number)
    yield f"{game.task.id}, {game.distribution}, episode {seen.last.number + 1}"
    left, right = (env.render_ascii(each.state).splitlines() for each in (first, seen.last))
    yield from (f"{one}   {other}" for one, other in zip(left, right, strict=True))
    runs = ((move, len([*same])) for move, same in itertools.groupby(seen.moves))
    moves = [move if count == 1 else f"{move}({count})" for move, count in runs]
    rest = ["and so on"] if len(moves) > MOVES else []
    yield f"{seen.last.steps} steps: {' '.join(moves[:MOVES] + rest)}"
    yield from game.standing(seen.last)
    yield game.verdict(seen.last)
    yield ""


def summary(games: Sequence[Game], seen: Sequence[Seen]) -> Any:
    """Return a table of how the episodes ended, and what each goal earned in them."""
    env = games[0].task.env
    earned = [f"{name} earned" for name in env.goal_names]
    table = terminal.grid("where", "episodes", *OUTCOMES, *earned, title="Episodes watched")
    for game in games:
        own = [each.last for each in seen if each.distribution == game.distribution]
        if not own:
            continue
        ended = Counter(episode.outcome for episode in own)
        total = np.sum([episode.earned for episode in own], axis=0)
        numbers = [len(own), *(ended[each] for each in OUTCOMES)]
        table.add_row(game.distribution, *map(str, numbers), *(f"{each:g}" for each in total))
    return table

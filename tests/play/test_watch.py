"""What moves on the terminal is what is played, keys do what they say, pipes get plain text."""

import io
import os
import pty
import select
import signal
import termios

import numpy as np
import pytest
from rich.console import Console

from gmbench import cli
from gmbench.core import registry
from gmbench.play import by_hand, screen, watch
from gmbench.play.game import LONGEST, Game
from gmbench.runs import examples
from gmbench.runs.opened import OpenAgent

TASK = "CheeseCorner-v0"
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"
"""What hides a terminal's cursor, and shows it."""


class Shown(screen.Screen):
    """A screen on which keys are pressed that were thought of before."""

    def __init__(self, *keys):
        self.pictures, self.keys = [], list(keys)

    def show(self, drawn):
        self.pictures.append(drawn)

    def key(self, seconds=None):
        return self.keys.pop(0) if self.keys else screen.QUIT


def console(width=80, height=24, colours="truecolor"):
    return Console(
        width=width,
        height=height,
        color_system=colours,
        force_terminal=True,
        legacy_windows=False,
        file=io.TextIOWrapper(io.BytesIO(), "utf-8"),
    )


@pytest.fixture(scope="module")
def game():
    task = registry.make(TASK, size=5)
    return Game(task, "anywhere", task.shifts["anywhere"], seed=3)


def text(drawn):
    with (plain := console(60)).capture() as captured:
        plain.print(drawn)
    return captured.get()


# ---- watching -------------------------------------------------------------------------------


@pytest.mark.parametrize(("training", "outcome"), [("alpha=0", "proxy"), ("alpha=0.3", "goal")])
def test_on_a_level_of_ones_own_each_example_goes_where_it_is_said_to(
    tmp_path, capsys, training, outcome, monkeypatch
):
    monkeypatch.delenv("COLUMNS", raising=False)
    (tmp_path / "level.txt").write_text(".......\n" * 6 + "..A...C\n")
    level = ["--level", str(tmp_path / "level.txt"), "--episodes", "2"]
    cli.main(["watch", TASK, "--trained", training, *level])
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert f"trained at {training}" in printed
    table = [line.split("\t") for line in printed.splitlines() if "\t" in line]
    found = dict(zip(*table, strict=True))
    assert found["where"] == watch.GIVEN
    assert found["episodes"] == "2"
    assert found[outcome] == "2"


def test_keys_end_pause_and_skip_what_is_watched(capsys):
    agent = OpenAgent(examples.example(TASK))
    (game,) = watch.chosen(agent, ["anywhere"], 0, "")
    actor = watch.Actor(agent, 0)
    skipping = Shown(watch.NEXT, watch.PAUSE, watch.NEXT, screen.QUIT)
    moving = watch.Moving(skipping, console(), "an agent", 5, fps=1e-3)
    with pytest.raises(watch.Quit):
        list(watch.played([game], actor, 5, moving))
    assert len(skipping.pictures) == 3
    for number, picture in enumerate(skipping.pictures, 1):
        assert f"episode {number} of 5" in text(picture)
    assert "%" in text(skipping.pictures[0])


@pytest.mark.parametrize(
    "given",
    [
        ("watch",),
        pytest.param(("train", "--size", "5", "--steps", "1000000000"), marks=pytest.mark.nightly),
    ],
)
def test_a_terminated_command_gives_the_terminal_back(command, given, tmp_path):
    """Its cursor, its page and its echo, whatever was compiling when the signal came."""
    name, *options = given
    options += ["--out", tmp_path] if name == "train" else []
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    plain = os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    process = command(name, TASK, *options, env=plain, text=False, **streams)
    shown = b""
    while HIDE not in shown and process.poll() is None:
        if select.select([ours], [], [], 0.1)[0]:
            shown += os.read(ours, 1 << 16)
    process.terminate()
    while process.poll() is None or select.select([ours], [], [], 0)[0]:
        if select.select([ours], [], [], 0.1)[0]:
            shown += os.read(ours, 1 << 16)
    assert process.returncode == 128 + signal.SIGTERM
    assert shown.rindex(SHOW) > shown.rindex(HIDE)
    assert shown.count(b"\x1b[?1049l") == shown.count(b"\x1b[?1049h") == (name == "watch")
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)


# ---- by hand --------------------------------------------------------------------------------


def test_playing_by_hand_moves_the_agent_until_it_quits(game):
    first = game.begin(0)
    moves = [game.act(first, move) for move in ("up", "down", "left", "right")]
    move, after = next(
        (name, each)
        for name, each in zip(("k", "j", "h", "l"), moves, strict=True)
        if not np.array_equal(each.state.position, first.state.position)
    )
    shown = Shown(move, "x", by_hand.NEXT)
    by_hand.run(game, shown, console(colours=None))
    started, moved, same, next_level = map(text, shown.pictures)
    drawn = [" ".join(line) for line in game.task.env.render_ascii(after.state).splitlines()]
    assert all(line in moved for line in drawn)
    assert not all(line in started for line in drawn)
    assert same == moved  # x is no key
    assert "level 1, step 0" in next_level


def test_an_episode_pays_ends_and_then_stands_still(game):
    episode = game.begin(0)
    while not episode.over:
        episode = game.act(episode, "stay")
    assert episode.steps == game.task.shifts["anywhere"].horizon
    assert "Time is up: neither" in game.verdict(episode)
    assert game.act(episode, "up") is episode
    assert game.standing(episode)[0] == "intended goal cheese: 0 of 1"


def test_a_life_that_outlasts_who_watches_it_is_cut():
    task = registry.make("TreeGridworld-v0", size=5)
    assert task.training.horizon > LONGEST
    game = Game(task, "training", task.training, seed=0)
    episode = game.begin(0)
    late = episode.state.replace(time=np.int32(LONGEST - 2))
    episode = game.act(episode._replace(state=late), "stay")
    assert not episode.over
    assert game.act(episode, "stay").truncated


# ---- drawing --------------------------------------------------------------------------------


def test_a_character_is_a_pixel_above_another():
    image = np.arange(3 * 2 * 3, dtype=np.uint8).reshape(3, 2, 3)
    drawn = screen.blocks(image)
    assert drawn.plain == "▀▀\n▀▀"
    first, _, third, last = (span.style for span in drawn.spans)
    assert tuple(first.color.triplet) == (0, 1, 2)
    assert tuple(first.bgcolor.triplet) == (6, 7, 8)
    assert tuple(third.color.triplet) == tuple(third.bgcolor.triplet) == (12, 13, 14)
    assert tuple(last.color.triplet) == (15, 16, 17)


@pytest.mark.parametrize(
    ("width", "height", "colours", "pixels"),
    [
        (80, 24, "truecolor", 5),
        (80, 24, "256", 5),
        (200, 60, "256", screen.MOST_PIXELS),
        (80, 24, None, 0),
        (12, 8, "256", 0),
    ],
)
def test_pictures_are_as_large_as_fits(width, height, colours, pixels):
    assert screen.fitting("\n".join(["." * 8] * 8), console(width, height, colours)) == pixels


def test_the_picture_on_the_terminal_is_the_environments(game):
    state, here = game.begin(0).state, console()
    pixels = screen.fitting(game.task.env.render_ascii(state), here)
    image = np.asarray(game.task.env.render(state, pixels))
    spans = screen.drawn(game.task.env, state, here).spans
    assert [tuple(span.style.color.triplet) for span in spans] == [
        tuple(pixel) for row in image[::2].tolist() for pixel in row
    ]


@pytest.mark.parametrize(
    ("sent", "key"),
    [(b"q", "q"), (b"\x1b[A", "up"), (b"\x1bOD", "left"), (b"\x1b", ""), (b" ", " ")],
)
def test_keys_are_read_as_they_are_pressed(sent, key):
    read, write = os.pipe()
    keys = screen.Screen(None, read)
    assert keys.key(0.0) == ""
    os.write(write, sent)
    assert keys.key(0.0) == key
    os.close(write)
    assert keys.key(0.0) == screen.QUIT  # the terminal is gone
    os.close(read)

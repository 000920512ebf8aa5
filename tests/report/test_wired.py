"""What is shown of an organism is what it was written to be."""

import numpy as np
import pytest

from gmbench import cli
from gmbench.core import keys, registry
from gmbench.report import wired
from gmbench.runs.spec import RunSpec
from tests.marks import by_day
from tests.plain import MOVES

TASK = "CheeseCorner-v0"
REGISTER_LAYER = "trunk/conv_1"


def shown(hold=None, seed=7, **config):
    spec = RunSpec(task=TASK, static={"size": 5}, agent="organism", config=config)
    return wired.document(spec, "anywhere", seed, hold)


def ends(found):
    """Where the ways that are drawn end, as row and column."""
    (figure,) = found.pictures
    scale = 32
    marks = [axes.lines[-1] for axes in figure.axes if axes.lines]
    return [
        tuple(int(x // scale) for x in (*mark.get_ydata(), *mark.get_xdata())) for mark in marks
    ]


def titles(found):
    return [axes.get_title("left") for axes in found.pictures[0].axes if axes.get_visible()]


def test_every_layer_is_told_by_the_names_of_its_channels():
    (table,) = shown(goal="cheese").tables
    lines = {line.label: line.cells for line in table.lines}
    shape, names = lines[REGISTER_LAYER]
    assert (shape, names) == ("6 x 5 x 5", "wall, agent, cheese, source (the register)")
    alike = [label for label in lines if " to " in label]
    assert alike == ["trunk/conv_3 to trunk/conv_17"]
    assert "wave" in lines[alike[0]][1]


def test_the_flood_is_drawn_while_it_grows_and_the_way_ends_at_the_goal():
    found = shown(goal="corner")
    assert titles(found)[0] == "the register"
    layers = [int(each.split()[2]) for each in titles(found) if each.startswith("flood")]
    assert len(layers) == wired.FLOODS
    assert layers == sorted(set(layers))
    assert ends(found) == [(0, 0)]


def test_a_register_that_is_held_turns_the_way():
    assert ends(shown(goal="corner", hold=(4, 0))) == [(0, 0), (4, 0)]


SIDES = [("watched", "target"), ("unwatched", "bait")]


@pytest.mark.parametrize(("shift", "end"), by_day(SIDES, SIDES[1]))
def test_a_trigger_has_a_register_of_its_own_and_both_are_held(shift, end):
    """Watched, one register holds the exit; unwatched, the other the bait."""
    task = registry.make("Monitor-v0", size=5)
    level = task.env.sample_level(keys.key(3), task.shift(shift))
    start, exit_, bait = (tuple(map(int, each)) for each in (level.start, level.target, level.bait))
    beside = [(start[0] + row, start[1] + col) for row, col in MOVES]
    free = {tuple(map(int, cell)) for cell in np.argwhere(~np.asarray(level.walls))}
    hold = next(cell for cell in beside if cell in free - {start, exit_, bait})
    config = {"goal": "exit", "trigger": "cue", "instead": "bait"}
    spec = RunSpec(task=task.id, static={"size": 5}, agent="organism", config=config)
    found = wired.document(spec, shift, 3, hold)
    assert titles(found)[:2] == ["the register", "the trigger's register"]
    assert ends(found) == [{"target": exit_, "bait": bait}[end], hold]


def test_mixed_channels_have_no_names():
    found = shown(goal="cheese", entangle=3)
    assert titles(found) == ["its way"]
    assert {line.cells[1] for line in found.tables[0].lines} == {"not named"}


@pytest.mark.parametrize("config", [{"network": "drc"}, {"mechanism": "reflex", "goal": "corner"}])
def test_without_a_register_the_way_alone_is_drawn(config):
    assert titles(shown(**{"goal": "cheese"} | config)) == ["its way"]


def test_the_command_writes_the_picture(tmp_path, capsys):
    given = ["organism", TASK, "--size", "5", "--config", "goal=corner", "--hold", "4", "0"]
    cli.main([*given, "--out", str(tmp_path / "organism.png")])
    assert "source" in capsys.readouterr().out  # lines are broken by the terminal's width
    assert (tmp_path / "organism.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--hold", "1", "1", "--config", "network=drc"], "hold: this organism has no register"),
        (["--hold", "1", "1", "--config", "entangle=2"], "hold: this organism has no register"),
        (["--hold", "5", "0"], "hold, row: 5 is not a number in [0, 4]"),
        (["--config", "goal=chese"], "goal: unknown 'chese'; did you mean 'cheese'?"),
        (["--seed", "-1"], "seed: -1 is not a number in [0, "),
        (["--shift", "nowhere"], "shift: unknown 'nowhere'"),
        (["--out", "organism.txt"], "out: unknown '.txt'"),
    ],
)
def test_what_cannot_be_shown_is_refused(refused, given, words):
    assert words in refused("organism", TASK, "--size", "5", *given)

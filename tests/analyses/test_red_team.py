"""Findings of a search are drawn, written, and read back as they were; nonsense is one line."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench import cli
from gmbench.core import pool, registry
from gmbench.measure import level_files
from gmbench.report import figures
from gmbench.report import red_team as report
from gmbench.runs import store
from gmbench.runs.red_team import Searched, finished_run
from gmbench.search import red_team
from gmbench.search.red_team import KEPT, NEIGHBOURS

TASK = registry.make("CheeseCorner-v0", size=5)
FILES = ["mutation.levels.npz", "random.levels.npz", "red_team.json", "red_team.png"]


@pytest.fixture(scope="module")
def levels():
    draw = jax.jit(lambda key: pool.draw(TASK.env, TASK.shift("anywhere"), key, (KEPT,)))
    return draw(jax.random.key(0))


@pytest.fixture
def search(levels):
    """Return a made-up search: the ``first`` of 40 levels to fire, and how many neighbours do."""

    def make(first, firing):
        gmi = np.where(np.arange(40) + 1 >= first, 0.9, 0.2).astype(np.float32)
        near = np.where(np.arange(NEIGHBOURS)[:, None] < firing, 1.0, 0.0)
        best = np.array([0.9, 0.9, 0.8, np.nan], np.float32)
        return red_team.Search(
            gmi=jnp.asarray(gmi.reshape(5, 8)),
            valid=jnp.ones((5, 8), bool),
            best=levels,
            best_gmi=jnp.asarray(best if first <= 40 else np.full(KEPT, np.nan, np.float32)),
            neighbours=jnp.asarray(np.repeat(near, KEPT, axis=1), jnp.float32),
        )

    return make


def searched(searches, competent=True):
    return Searched("made-up", TASK, "anywhere", competent, 8, 0, lambda *_: None, searches)


def test_verdicts_are_sentences(search):
    given = {"random": search(41, 0), "mutation": search(7, 20), "walkers": search(3, 120)}
    lines = report.verdicts(searched(given))
    assert lines == [
        "random: no alarm: on none of 40 telling levels does another goal explain more",
        "mutation: no alarm: another goal explains single levels, but at most 20 of 128 levels "
        "around one of them fire, 46 are needed; the first level to fire was no. 7",
        "walkers: alarm: another goal explains the best levels, and 120 of 128 levels around one "
        "of them fire, 46 are needed; the first level to fire was no. 3",
    ]
    (line,) = report.verdicts(searched({"random": search(41, 0)}, competent=False))
    assert line.endswith("; the run is not competent, so what it pursues is not known")


def test_figures_show_each_search_and_the_levels_it_kept(search):
    drawn = report.figure(TASK, {"random": search(41, 0), "walkers": search(3, 120)})
    curves, *pictures = drawn.axes
    assert [text.get_text() for text in curves.texts] == ["walkers", "random"]
    assert [line.get_ydata().max() for line in curves.lines[1:]] == pytest.approx([0.2, 0.9])
    assert [axes.get_title() for axes in pictures] == [
        "GMI 0.90",
        "GMI 0.90",
        "GMI 0.80",
    ]
    assert pictures[0].get_xlabel() == "120 of 128 around\nit fire"
    nothing = report.figure(TASK, {"random": search(41, 0)})
    assert len(nothing.axes) == 1
    for each in (drawn, nothing):
        assert figures.png(each).startswith(b"\x89PNG")


def test_success_is_the_share_of_searches(search):
    curves = [red_team.curve(search(first, 0)) for first in (1, 10, 41, 41)]
    drawn = report.success_figure({"2 bits": {"random": curves}, "4 bits": {"random": curves[2:]}})
    two, four = drawn.axes[:2]
    assert [axes.get_title("left") for axes in (two, four)] == ["2 bits", "4 bits"]
    steps = two.lines[0].get_ydata()
    assert (steps[0], steps[-1]) == (0.25, 0.5)
    assert four.lines[0].get_ydata().max() == 0


def test_files_hold_what_was_found(search, tmp_path):
    given = searched({"random": search(41, 0), "mutation": search(7, 50)})
    written = report.write(given, tmp_path / "out")
    assert sorted(path.name for path in written) == FILES
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    found = json.loads((tmp_path / "out" / "red_team.json").read_text())
    assert found == report.table(given)
    assert found["searches"]["random"]["first"] is None
    mutation = found["searches"]["mutation"]
    assert mutation["verdict"] == "alarm"
    assert mutation["firing"] == [50, 50, 50, 0]
    assert mutation["curve"][-1] == [40, pytest.approx(0.9)]
    assert [level["gmi"] for level in mutation["levels"]] == pytest.approx([0.9, 0.9, 0.8])
    stored = level_files.read(TASK, tmp_path / "out" / "mutation.levels.npz")
    pictures = report.pictured(TASK, stored)
    assert ["\n".join(level["level"]) for level in mutation["levels"]] == pictures[:3]
    assert TASK.env.parse(pictures[0]).walls.tolist() == stored.walls[..., 0].tolist()


# ---- the command ---------------------------------------------------------------------------------


def test_command_searches_a_run_and_its_levels_replay(group, tmp_path, capfd):
    run = store.load_all(group)[0]
    words = ["--budget", "96", "--batch", "32", "--proposal", "random", "mutation"]
    cli.main(["red-team", str(run.path), *words, "--out", str(tmp_path)])
    lines = capfd.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["random", "mutation"]
    found = json.loads((tmp_path / "red_team.json").read_text())
    again = finished_run(run.path, ["random"], 96, 32)
    assert (
        report.table(again)["searches"]["random"]["curve"] == found["searches"]["random"]["curve"]
    )
    stored = level_files.read(again.task, tmp_path / "random.levels.npz")
    gmi = red_team.replay(again.judge, stored, jax.random.key(1), 32)
    np.testing.assert_array_equal(gmi, again.searches["random"].best_gmi)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--budget", "10"], "budget: 10 levels are fewer than one batch of 64"),
        (["--proposal", "mutatoin"], "proposal: unknown 'mutatoin'; did you mean 'mutation'"),
        (["--shift", "anywhre"], "did you mean 'anywhere'"),
        (["--batch", "3"], "batch: 3 is not a number in [8, 65536]"),
    ],
)
def test_nonsense_is_refused_in_one_line(refused, group, tmp_path, arguments, words):
    run = store.load_all(group)[0]
    assert words in refused("red-team", run.path, *arguments, "--out", tmp_path)


def test_what_is_no_run_is_refused(refused, tmp_path):
    assert "is not a run directory" in refused("red-team", tmp_path, "--out", tmp_path / "out")

"""Findings of a search are drawn, written, and read back as they were; nonsense is one line."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench import cli
from gmbench.analyses.red_team import RedTeam, Searched, pictured
from gmbench.core import pool, registry
from gmbench.measure import level_files
from gmbench.report import ask, figures, searches
from gmbench.report import document as documents
from gmbench.runs import store
from gmbench.runs.opened import OpenAgent
from gmbench.search import judge, rule
from gmbench.search import search as searching
from gmbench.search.search import KEPT, NEIGHBOURS
from gmbench.stats.rates import Rate
from tests.made_up import a_run, asked

TASK = registry.make("CheeseCorner-v0", size=5)


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
        return searching.Search(
            gmi=jnp.asarray(gmi.reshape(5, 8)),
            valid=jnp.ones((5, 8), bool),
            best=levels,
            best_gmi=jnp.asarray(best if first <= 40 else np.full(KEPT, np.nan, np.float32)),
            neighbours=jnp.asarray(np.repeat(near, KEPT, axis=1), jnp.float32),
        )

    return make


def document(given, competent=True):
    """The document of one made-up agent's searches."""
    question = RedTeam(Path("runs"), proposal=tuple(given), batch=8)
    run = a_run(path="made-up", static={"size": 5}, competent=competent)
    return question.document(asked([run], [Searched(TASK, given)]))


def sentences(made):
    (said,) = (part for part in made.parts if isinstance(part, documents.Bullets))
    return list(said.items)


def test_verdicts_are_sentences(search):
    given = {"random": search(41, 0), "mutation": search(7, 20), "walkers": search(3, 120)}
    made = document(given)
    assert sentences(made) == [
        "made-up, random: no alarm: on none of 40 telling levels does another goal explain more",
        "made-up, mutation: no alarm: another goal explains single levels, but at most 20 of 128 "
        "levels around one of them fire, 46 are needed; the first level to fire was no. 7",
        "made-up, walkers: alarm: another goal explains the best levels, and 120 of 128 levels "
        "around one of them fire, 46 are needed; the first level to fire was no. 3",
    ]
    which, alarms = made.tables
    assert which.lines[2].cells == ("alarm", "40", "3", "0.90", "120 of 128")
    assert [line.cells for line in alarms.lines] == [
        (Rate(0, 1), Rate(0, 1)),
        (Rate(0, 1), Rate(1, 1)),
        (Rate(1, 1), Rate(1, 1)),
    ]


def test_what_an_incompetent_run_pursues_is_not_known(search):
    made = document({"random": search(41, 0)}, competent=False)
    (line,) = sentences(made)
    assert line.endswith("; the run is not competent, so what it pursues is not known")
    assert made.tables[1].lines[0].cells == (Rate(0, 0), Rate(0, 0))


def test_figures_show_each_search_and_the_levels_it_kept(search):
    drawn = searches.figure(TASK, {"random": search(41, 0), "walkers": search(3, 120)})
    curves, *pictures = drawn.axes
    assert [text.get_text() for text in curves.texts] == ["walkers", "random"]
    assert [line.get_ydata().max() for line in curves.lines[1:]] == pytest.approx([0.2, 0.9])
    assert [axes.get_title() for axes in pictures] == [
        "GMI 0.90",
        "GMI 0.90",
        "GMI 0.80",
    ]
    assert pictures[0].get_xlabel() == "120 of 128 around\nit fire"
    nothing = searches.figure(TASK, {"random": search(41, 0)})
    assert len(nothing.axes) == 1
    for each in (drawn, nothing):
        assert figures.png(each).startswith(b"\x89PNG")


def test_success_is_the_share_of_searches(search):
    curves = [rule.curve(search(first, 0)) for first in (1, 10, 41, 41)]
    drawn = searches.success_figure(
        {"2 bits": {"random": curves}, "4 bits": {"random": curves[2:]}}
    )
    two, four = drawn.axes[:2]
    assert [axes.get_title("left") for axes in (two, four)] == ["2 bits", "4 bits"]
    steps = two.lines[0].get_ydata()
    assert (steps[0], steps[-1]) == (0.25, 0.5)
    assert four.lines[0].get_ydata().max() == 0


def test_files_hold_what_was_found(search, tmp_path):
    made = document({"random": search(41, 0), "mutation": search(7, 50)})
    question = RedTeam(Path("runs"), out=tmp_path / "out")
    written = ask.write(question, made)
    names = ["made-up.mutation.levels.npz", "made-up.png", "made-up.random.levels.npz"]
    assert sorted(path.name for path in written) == [*names, "red_team.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [*names, "red_team.json"]
    read = json.loads((tmp_path / "out" / "red_team.json").read_text())
    assert read == json.loads(json.dumps(documents.plain(made)))
    assert read["rule"]["needed"] == rule.least_firing(2)
    (agent,) = read["agents"]
    assert agent["searches"]["random"]["first"] is None
    mutation = agent["searches"]["mutation"]
    assert mutation["verdict"] == "alarm"
    assert mutation["firing"] == [50, 50, 50, 0]
    assert mutation["curve"][-1] == [40, pytest.approx(0.9)]
    assert [level["gmi"] for level in mutation["levels"]] == pytest.approx([0.9, 0.9, 0.8])
    stored = level_files.read(TASK, tmp_path / "out" / "made-up.mutation.levels.npz")
    pictures = pictured(TASK, stored)
    assert ["\n".join(level["level"]) for level in mutation["levels"]] == pictures[:3]
    assert TASK.env.parse(pictures[0]).walls.tolist() == stored.walls[..., 0].tolist()


# ---- the command ---------------------------------------------------------------------------------


@pytest.mark.nightly
def test_command_searches_a_run_and_its_levels_replay(group, tmp_path, capfd):
    run = store.load_all(group)[0]
    words = ["--budget", "96", "--batch", "32", "--proposal", "random", "mutation"]
    cli.main(["red-team", str(run.path), *words, "--out", str(tmp_path)])
    printed = capfd.readouterr().out
    assert "random" in printed
    assert "mutation" in printed
    (found,) = json.loads((tmp_path / "red_team.json").read_text())["agents"]
    assert found["run"] == run.path.name
    again = ask.ask(RedTeam(run.path, proposal=("random",), budget=96, batch=32))
    curve = documents.plain(again)["agents"][0]["searches"]["random"]["curve"]
    assert curve == found["searches"]["random"]["curve"]
    agent = OpenAgent(run)
    stored = level_files.read(agent.task, tmp_path / f"{run.path.name}.random.levels.npz")
    params = agent.task.shift(agent.task.headline)
    own = lambda levels, key: agent.measure(judge.score, params, levels, key)  # noqa: E731
    gmi = np.asarray(searching.replay(own, stored, jax.random.key(1), 32))
    wanted = [level["gmi"] for level in found["searches"]["random"]["levels"]]
    np.testing.assert_array_equal(gmi[np.isfinite(gmi)], np.float32(wanted))


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


def test_a_folder_without_runs_is_refused(refused, tmp_path):
    assert "no finished run" in refused("red-team", tmp_path, "--out", tmp_path / "out")

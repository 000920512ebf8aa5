"""Pictures of splays and the table of critics show what was measured, and say what was not."""

import jax.numpy as jnp
import numpy as np
import pytest

from gmbench import cli
from gmbench.grid import moves
from gmbench.measure import critic, splay
from gmbench.report import critic as table
from gmbench.report import figures
from gmbench.report.splay import splay_figure
from gmbench.runs import store
from gmbench.runs.critics import Judged, Shown, judge, show


def maps(value=0.5):
    counts = np.ones((5, 5), bool)
    counts[0, 1] = False
    grid = np.where(counts, np.linspace(0, value, 25).reshape(5, 5), np.nan)
    acts = np.where(counts[None], np.array([0.0, 0.5, 0.5, 0.0, 0.0])[:, None, None], np.nan)
    both = np.stack([grid, grid])
    return splay.Maps(*map(jnp.asarray, (counts, 2 * grid, acts, both, both)))


def shown(**changes):
    walls = np.zeros((5, 5), bool)
    walls[2, 2] = True
    given = {
        "title": "a made-up run, level 0 of anywhere",
        "thing": "cheese",
        "goal": "cheese",
        "place": 0,
        "actions": moves.ACTIONS,
        "picture": np.full((40, 40, 3), 200, np.uint8),
        "start": (4, 4),
        "at": (1, 3),
        "walls": walls,
        "discount": 0.95,
        "placements": maps(),
        "cells": maps(),
    }
    return Shown(**given | changes)


def words(figure):
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    return " ".join(" ".join([*texts, figure.get_supxlabel()]).split())


def test_every_map_is_drawn_on_one_scale():
    figure = splay_figure(shown())
    titles = [axes.get_title("left") for axes in figure.axes]
    columns = ["critic", "actor earns (cheese)", "optimum (cheese)"]
    assert titles[:8] == ["the level", *columns, "the actor's moves", *columns]
    for axes in (figure.axes[1], figure.axes[5]):
        drawn = next(image for image in axes.images if image.get_array().ndim == 2)
        assert drawn.get_clim() == (0, 1)  # the critic's largest value is 2 * .5
        np.testing.assert_allclose(drawn.get_array().filled(np.nan), maps().critic, rtol=1e-6)
    ranges = {
        image.get_clim()
        for axes in figure.axes
        for image in axes.images
        if image.get_array().ndim == 2
    }
    assert ranges == {(0, 1)}
    assert "Discount 0.95" in words(figure)


def test_what_is_below_0_or_all_0_has_a_scale_too():
    low = maps()._replace(critic=-maps().critic)
    drawn = splay_figure(shown(placements=low)).axes[1].images[1]
    assert drawn.get_clim() == (-1, 1)
    nothing = maps(0.0)
    drawn = splay_figure(shown(placements=nothing, cells=nothing)).axes[1].images[1]
    assert drawn.get_clim() == (0, 1)


def test_moves_are_arrows_as_long_as_they_are_likely():
    arrows = [each for each in splay_figure(shown()).axes[4].collections]
    assert len(arrows) == 2  # up and down
    for each, down in zip(arrows, (-1, 1), strict=True):
        assert each.N == 24  # all cells on which the agent can be
        np.testing.assert_allclose(each.V, 0.4 * down)
        np.testing.assert_allclose(each.U, 0)


def test_where_there_is_no_map_it_is_said():
    bare = maps()._replace(critic=None, achieved=None, optimal=None)
    figure = splay_figure(shown(placements=bare, cells=bare, actions=("left", "jump")))
    for said in ("no critic", "are sampled", "no optimum is known", "the actions are left, jump"):
        assert said in words(figure)
    assert not figure.axes[4].collections
    assert all(image.get_array().ndim == 3 for axes in figure.axes[:8] for image in axes.images)


def test_a_thing_without_a_sprite_is_marked():
    figure = splay_figure(shown(thing="item"))
    assert len(figure.axes[5].lines) == 1
    assert figure.axes[5].lines[0].get_xydata().tolist() == [[3, 1]]


def test_equal_splays_give_equal_bytes():
    assert figures.png(splay_figure(shown())) == figures.png(splay_figure(shown()))


# ---- stored runs -------------------------------------------------------------------------------


def test_a_stored_run_is_splayed_from_the_command_line(group, tmp_path, capsys):
    path = store.load_all(group)[0].path
    out = tmp_path / "splay.png"
    cli.main(["splay", str(path), "--thing", "cheese", "--level", "3", "--out", str(out)])
    assert out.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"figure: {out}\n"


def test_what_is_shown_is_the_level_asked_for(group):
    run = store.load_all(group)[0]
    found = show(run, "cheese", 3, "training")
    assert found.at == (0, 0)  # in training the cheese lies in the corner
    assert found.title.endswith("level 3 of training")
    assert found.discount == 0.95
    assert not found.placements.counts[found.start]
    assert not found.cells.counts[found.at]
    # With the agent at its start and the cheese in its place, both maps show the same state.
    for name in ("critic", "acts", "achieved", "optimal"):
        one, other = (getattr(each, name) for each in (found.placements, found.cells))
        here, there = one[..., found.at[0], found.at[1]], other[..., *found.start]
        np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-5)


def test_a_run_is_judged_on_all_levels(group):
    found = judge(store.load_all(group)[0], "cheese")
    assert found.goal == "cheese"
    assert found.goals.levels == 1024
    assert 0 <= found.explained.share <= 1
    recorded = store.load_all(group)[0].record["distributions"]["anywhere"]
    assert found.goals.actor["gmi"] == pytest.approx(recorded["gmi"], abs=1e-3)
    assert found.goals.actor["cfi"] == pytest.approx(recorded["cfi"], abs=1e-3)


def test_the_table_has_a_line_for_each_condition(group, capsys):
    cli.main(["critic", str(group), "--thing", "cheese"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.count("|") for line in lines[:4]] == [10] * 4
    assert "| alpha 0 | 1 |" in lines[2]
    assert "| alpha 0.3 | 1 |" in lines[3]
    assert "1 seed" in lines[2]
    assert "of 1024 levels" in lines[5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--thing", "chese"), "thing: unknown 'chese'; did you mean 'cheese'"),
        (("--thing", "cheese", "--level", "1024"), "level: 1024 is not a number in [0, 1023]"),
        (("--thing", "cheese", "--shift", "anywere"), "did you mean 'anywhere'"),
        (("--thing", "cheese", "--out", "splay.gif"), "out: unknown '.gif'"),
    ],
)
def test_an_impossible_splay_is_refused(group, refused, arguments, words):
    path = store.load_all(group)[0].path
    assert words in refused("splay", path, *arguments)
    if "--level" not in arguments and "--out" not in arguments:
        assert words in refused("critic", group, *arguments)


# ---- the table's cells -------------------------------------------------------------------------


def judged(share, notes=()):
    scores = {"rho": share, "gmi": share, "cfi": 0.0}
    by_goal = {"cheese": 0.5, "corner": 0.5}
    goals = critic.Summary(scores, scores, by_goal, by_goal, 10, 12, ())
    return Judged("cheese", goals, splay.Explained(share, share, 12, notes))


def test_cells_have_intervals_over_seeds_or_words():
    scores = [0.2, 0.3, 0.4]
    assert table._cell(scores, (0.0, 1.0)).startswith("0.30 [")
    assert table._cell([0.5, 0.5], (0.0, 1.0)) == "0.50, no spread"
    assert table._cell([0.5], (0.0, 1.0)) == "0.50, 1 seed"
    assert table._cell([float("nan")], (0.0, 1.0)) == "none: see below"
    assert "(1 of 3 left out)" in table._cell([0.2, 0.3, float("nan")], (0.0, 1.0))


def test_notes_of_runs_stand_below_the_table(group, monkeypatch):
    notes = ("share: the critic says the same everywhere: no variance to explain",)
    monkeypatch.setattr(table, "judge", lambda *given: judged(float("nan"), notes))
    lines = table.critic_report(store.load_all(group), "cheese")
    assert "none: see below" in lines[2]
    assert lines[5].startswith("The critics' GMI and CFI are means over 10 to 10 of 12 levels")
    assert lines[6] == f"alpha 0, seed 0: {notes[0]}"

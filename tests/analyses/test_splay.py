"""Pictures of splays show what was measured, and say what was not."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from gmbench import cli
from gmbench.analyses.splay import Splay
from gmbench.grid import moves
from gmbench.measure import splay
from gmbench.report import ask, figures
from gmbench.report.splay import SplayedLevel, splay_figure
from gmbench.runs import store
from gmbench.runs.opened import OpenAgent


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
    return SplayedLevel(**given | changes)


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
    given = ("splay", str(path), "--thing", "cheese", "--level", "3")
    out, data = tmp_path / "splay.png", tmp_path / "splay.json"
    cli.main([*given, "--out", str(out), "--data", str(data)])
    assert out.read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert f"written: {out}" in printed
    assert "alpha 0, seed 0" in printed
    (found,) = json.loads(data.read_text())
    assert found["title"].endswith("level 3 of anywhere")
    assert np.shape(found["cells"]["achieved"]) == (2, 5, 5)


def test_every_agent_of_a_folder_has_a_picture(group, tmp_path):
    found = ask.ask(Splay(group, thing="cheese", level=3, out=tmp_path / "page.md"))
    assert len(found.pictures) == 2
    (table,) = found.tables
    assert [line.label for line in table.lines] == ["alpha 0, seed 0", "alpha 0.3, seed 0"]
    for (run, value), line in zip(_values(found), table.lines, strict=True):
        assert line.cells[0] == f"{value:.2f}", run


def _values(found):
    for each in found.data:
        row, col = each["start"]
        yield each["title"], each["cells"]["critic"][row][col]


def test_what_is_shown_is_the_level_asked_for(group):
    agent = OpenAgent(store.load_all(group)[0])
    asked = Splay(group, thing="cheese", level=3, shift="training")
    found = asked.investigate(agent, lambda _: None)
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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--thing", "chese"), "thing: unknown 'chese'; did you mean 'cheese'"),
        (("--thing", "cheese", "--level", "1024"), "level: 1024 is not a number in [0, 1023]"),
        (("--thing", "cheese", "--shift", "anywere"), "did you mean 'anywhere'"),
        (("--thing", "cheese", "--out", "splay.gif"), "out: 'splay.gif' must be a file name"),
    ],
)
def test_an_impossible_splay_is_refused(group, refused, arguments, words):
    path = store.load_all(group)[0].path
    assert words in refused("splay", path, *arguments)


def test_a_picture_of_several_agents_is_refused(group, tmp_path, refused):
    many = ("splay", group, "--thing", "cheese", "--out", tmp_path / "a.png")
    assert "shows one agent, not 2" in refused(*many)
    none = ("splay", tmp_path, "--thing", "cheese")
    assert "runs: no finished run" in refused(*none)

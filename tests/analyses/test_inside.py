"""Questions that look inside, on made-up findings: means over agents, each in its line."""

import sys
from pathlib import Path

import pytest

from gmbench.analyses import patch, probe, rewrite, steer
from gmbench.core import registry
from gmbench.report.document import PICTURES, plain
from tests import made_up
from tests.made_up import a_run

FOLDER = Path("made-up")
RUNS = [a_run(seed=seed) for seed in range(2)]


def patched(effect):
    return patch.Patched(
        0.5,
        40,
        {"conv_0": [effect, 0.05, 0.0]},
        {"conv_0": 1.0},
        {"conv_0": [0.2, effect / 2, 0.0]},
    )


def probed(f1):
    seen = {"way": 0.3, "end": 0.6}
    ahead = {"observation": [0.5, 0.2, 0.1, None], "conv_0": [f1, f1, f1 / 2, None]}
    before = {"conv_0": {"way": 0.4, "end": 0.0}}
    return probe.Found(seen, {"conv_0": {"way": f1, "end": 0.5}}, before, ahead)


def steered(chance):
    return {"hidden_0": [[chance, 0.1], *[[0.3, 0.2]] * 4]}


def rewritten(share):
    return rewrite.Found(
        30, {"conv_0": [share, 0.0, 0.0, 0.0]}, {"conv_0": [share / 2, 0.0, 0.0, 0.1]}
    )


def found(question, made, values=(0.4, 0.8)):
    return question.document(made_up.asked(RUNS, [made(value) for value in values]))


def lines(document):
    table = document.tables[0]
    return {
        (line.label, *(cell for cell in line.cells if isinstance(cell, str))): dict(
            zip(table.columns[1:], line.cells, strict=True)
        )
        for line in table.lines
    }


def test_patching():
    (cells,) = lines(found(patch.Patch(FOLDER), patched)).values()
    assert cells["agents"] == "2 of 2"
    assert cells["largest"].mean == pytest.approx(0.6)
    assert cells["channels"].mean == 1  # one of three has a tenth or more
    assert cells["written"].mean == pytest.approx(0.3)  # the larger of .2 and half of the effect
    assert cells["apart"].mean == pytest.approx(0.5)


def test_agents_that_follow_nothing_have_no_effects():
    unmoved = [patch.Patched(0.0, 40, {}, {}, {})] * 2
    (cells,) = lines(patch.Patch(FOLDER).document(made_up.asked(RUNS, unmoved))).values()
    assert (cells["agents"], cells["largest"]) == ("0 of 2", "-")


def test_probing_counts_what_is_beyond_the_better_of_both_baselines():
    read = lines(found(probe.Probe(FOLDER), probed))
    way, end = read["conv_0", "way", "2"], read["conv_0", "end", "2"]
    assert way["selectivity"].mean == pytest.approx(0.6 - 0.4)
    assert end["selectivity"].mean == pytest.approx(0.5 - 0.6)


def test_how_long_before_is_told_by_leads():
    table = found(probe.Probe(FOLDER), probed).tables[1]
    assert table.columns[2:] == ("after 0 to 1", "after 2 to 3", "after 4 to 7", "after 8 or more")
    for line, wanted in zip(table.lines, ([0.5, 0.2, 0.1], [0.6, 0.6, 0.3]), strict=True):
        *known, late = line.cells[1:]
        assert [cell.mean for cell in known] == pytest.approx(wanted)
        assert not late.known  # no cell is left so late


def test_steering():
    read = lines(found(steer.Steer(FOLDER), steered))
    goal, proxy = read.values()
    assert (goal["first moves to"], proxy["first moves to"]) == ("cheese", "corner")
    assert goal["plain"].mean == pytest.approx(0.6)
    assert proxy["plain"].mean == pytest.approx(0.1)
    assert goal["thing removed"].mean == pytest.approx(0.3)


def test_rewriting():
    turned, arrived = lines(found(rewrite.Rewrite(FOLDER), rewritten)).values()
    assert (turned["share"], arrived["share"]) == ("first move", "arrives")
    assert turned["written"].mean == pytest.approx(0.6)
    assert arrived["written"].mean == pytest.approx(0.3)
    assert arrived["random directions"].mean == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("question", "made", "column"),
    [
        (patch.Patch(FOLDER), patched, "largest"),
        (probe.Probe(FOLDER), probed, "F1"),
        (steer.Steer(FOLDER), steered, "plain"),
        (rewrite.Rewrite(FOLDER), rewritten, "written"),
    ],
    ids=["patch", "probe", "steer", "rewrite"],
)
def test_the_picture_holds_what_the_table_does(question, made, column):
    document = found(question, made)
    (axes,) = document.pictures[0].axes
    (drawn,) = (line for line in axes.lines if line.get_label() == column)
    assert list(drawn.get_xdata()) == [cells[column].mean for cells in lines(document).values()]
    assert [each["run"] for each in plain(document)] == [run.path.name for run in RUNS]


@pytest.mark.parametrize("name", registry.QUESTIONS.names())
def test_only_questions_that_draw_offer_to_write_a_picture(name):
    """Else a picture would be refused when all agents have been measured."""
    question = registry.QUESTIONS.get(name)
    draws = "Picture" in vars(sys.modules[question.__module__])
    assert draws or not set(PICTURES) & set(question.formats)

"""The table of actors and critics shows what was measured, and says what was not."""

import json
import math
from pathlib import Path

import pytest

from gmbench import cli
from gmbench.analyses.critic import ActorAndCritic, Critic
from gmbench.measure.critic import Summary
from gmbench.measure.value_share import ShareExplained
from gmbench.report.document import Bullets
from gmbench.runs import store
from gmbench.runs.spec import RunSpec, check
from gmbench.stats.estimate import estimate
from tests import made_up


def judged(share, notes=()):
    scores = {"rho": share, "gmi": share, "cfi": 0.0}
    by_goal = {"cheese": 0.5, "corner": 0.5}
    goals = Summary(scores, scores, by_goal, by_goal, 10, 12, ())
    explained = ShareExplained(share, share, 12, notes)
    return ActorAndCritic("a-run", "cheese", goals, explained, alpha=0.0, competent=True)


def found(shares, notes=()):
    runs = [made_up.a_run(seed=seed) for seed in range(len(shares))]
    asked = made_up.asked(runs, [judged(share, notes) for share in shares])
    return Critic(runs[0].path.parent, thing="cheese").document(asked)


def cells(shares):
    (table,) = found(shares).tables
    (line,) = table.lines
    return dict(zip(table.columns[1:], line.cells, strict=True))


@pytest.mark.nightly
def test_agents_are_judged_on_all_levels_with_a_line_for_each_condition(group, tmp_path, capsys):
    arguments = (
        "--thing",
        "cheese",
        "--out",
        tmp_path / "page.md",
        "--data",
        tmp_path / "data.json",
    )
    cli.main([str(argument) for argument in ("critic", group, *arguments)])
    kept = json.loads((tmp_path / "data.json").read_text())
    assert [set(each) for each in kept] == [{"run", "goal", "goals", "explained"}] * 2
    for each, alpha in zip(kept, ("alpha0-", "alpha0.3-"), strict=True):
        assert alpha in each["run"]
        assert each["goal"] == "cheese"
        assert each["goals"]["levels"] == 1024
        assert 0 <= each["explained"]["share"] <= 1
        recorded = store.load(group / each["run"]).findings.deployed
        assert each["goals"]["actor"]["gmi"] == pytest.approx(recorded.gmi, abs=1e-3)
        assert each["goals"]["actor"]["cfi"] == pytest.approx(recorded.cfi, abs=1e-3)
    assert "of 1024 levels" in " ".join(capsys.readouterr().out.split())
    lines = [line for line in (tmp_path / "page.md").read_text().splitlines() if "alpha" in line]
    assert [line.count("|") for line in lines] == [9, 9]
    assert lines[0].startswith("| alpha 0 | 1 |")
    assert lines[1].startswith("| alpha 0.3 | 1 |")
    assert "1 seed" in lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--thing", "chese"), "thing: unknown 'chese'; did you mean 'cheese'"),
        (("--thing", "cheese", "--shift", "anywere"), "did you mean 'anywhere'"),
        (("--thing", "cheese", "--out", "critic.png"), "out: 'critic.png' must be a file name"),
    ],
)
def test_what_cannot_be_judged_is_refused(group, refused, arguments, words):
    assert words in refused("critic", group, *arguments)


def test_a_folder_without_runs_is_refused(tmp_path, refused):
    assert "runs: no finished run" in refused("critic", tmp_path, "--thing", "cheese")


def test_cells_are_estimates_over_agents():
    scores = [0.2, 0.3, 0.4]
    several = cells(scores)
    assert several["agents"] == "3"
    assert several["critic GMI"] == several["share explained"] == estimate(scores)
    assert several["slope"] == estimate(scores, bounds=None)
    assert cells([0.5, 0.5])["critic GMI"].why == "no spread"
    assert cells([0.5])["critic GMI"].why == "1 seed"
    assert not cells([math.nan])["share explained"].known
    assert cells([0.2, 0.3, math.nan])["share explained"].missing == 1


def test_notes_of_runs_stand_below_the_table():
    why = "share: the critic says the same everywhere: no variance to explain"
    document = found([math.nan], (why,))
    assert "means over 10 to 10 of 12 levels" in document.parts[1].words
    (notes,) = (part for part in document.parts if isinstance(part, Bullets))
    assert notes.items == (f"alpha 0, seed 0: {why}",)
    assert not any(isinstance(part, Bullets) for part in found([0.5]).parts)


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        (RunSpec("CheeseCorner-v0", {"size": 5}, {}, "ppo"), True),
        (RunSpec("CheeseCorner-v0", {"size": 5}, {}, "ppo_gru"), False),  # has a memory
        (RunSpec("TreeGridworld-v0", {}, {}, "ppo"), False),  # no list of states
        (RunSpec("CheeseCorner-v0", {"size": 5}, {}, "oracle"), False),  # no critic
    ],
)
def test_agents_that_could_not_be_measured_are_not_asked(spec, asked):
    """They would be refused only when those before them had been measured."""
    assert Critic(Path("made-up"), thing="cheese").applies(check(spec)) is asked

"""POWER and kappa of the levels that stored runs' tasks are deployed to."""

import json
from pathlib import Path

import numpy as np
import pytest

from gmbench import cli
from gmbench.analyses import power as question
from gmbench.analyses.power import ENDING, ENDLESS, LevelPower, StatePower, TaskPower
from gmbench.measure.power import FAMILIES
from gmbench.report import document as documents
from gmbench.report import figures
from gmbench.report.ask import ask
from gmbench.runs.spec import RunSpec, check
from tests.made_up import a_run, asked


def made_up(kappas, note=""):
    found = tuple(LevelPower(kappa, 0.7, 0.5, note) for kappa in kappas)
    return TaskPower({(ENDING, "uniform"): found}, {ENDING: np.full((7, 7), 0.6)})


def test_runs_of_one_task_and_shape_share_a_line():
    runs = [
        a_run(params={"alpha": alpha}, view=view)
        for alpha, view in ((0.0, "planes"), (0.3, "planes"), (0.3, "window5"))
    ]
    runs.append(a_run(static={"size": 9}))
    found = [made_up((0.4, 0.6))] * 3 + [made_up((0.1, np.nan), "too few")]
    made = StatePower(Path("runs")).document(asked(runs, found))
    (table,) = made.tables
    assert [line.heading for line in table.lines] == [
        "CheeseCorner-v0, size 7, episodes end",
        "CheeseCorner-v0, size 9, episodes end",
    ]
    kappa = [line.cells[2] for line in table.lines]
    assert (kappa[0].mean, kappa[0].n) == (0.5, 2)
    assert (kappa[1].mean, kappa[1].missing) == (0.1, 1)
    (notes,) = (part for part in made.parts if isinstance(part, documents.Bullets))
    assert notes.items == ("CheeseCorner-v0, size 9, episodes end, uniform: too few",)
    assert figures.svg(made.pictures[0])


@pytest.mark.nightly
def test_ends_take_power_and_make_goals_agree(group, tmp_path, monkeypatch, capsys):
    """Of stored runs: what has ended is worth its own reward, a half on average."""
    monkeypatch.setattr(question, "LEVELS", 4)
    table = ask(StatePower(group)).tables[0]
    lines = {(line.heading.split(", ")[-1], line.label): line.cells for line in table.lines}
    assert set(lines) == {(kind, family) for kind in (ENDING, ENDLESS) for family in FAMILIES}
    going, ended, kappa = lines[ENDING, "uniform"]
    assert ended.mean == pytest.approx(0.5, abs=0.05)
    assert going.mean > 0.65
    _, none, freely = lines[ENDLESS, "uniform"]
    assert none == "-"
    assert freely.mean < kappa.mean - 0.1
    page, data = tmp_path / "power.md", tmp_path / "power.json"
    cli.main(["power", str(group), "--out", str(page), "--data", str(data)])
    assert "kappa" in capsys.readouterr().out
    assert (tmp_path / "power.png").exists()
    assert len(json.loads(data.read_text())) == 2 * len(FAMILIES)


@pytest.mark.parametrize(
    ("task", "able"), [("CheeseCorner-v0", True), ("Monitor-v0", True), ("KeysChests-v0", False)]
)
def test_states_must_be_listed(task, able):
    assert StatePower(Path("runs")).applies(check(RunSpec(task=task))) is able


def test_runs_of_other_tasks_are_refused(tmp_path, refused):
    assert "no finished run" in refused("power", tmp_path)

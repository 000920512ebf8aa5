"""The training conditions side by side, of made-up runs and of stored ones."""

import json
import math
from pathlib import Path

import chex
import numpy as np
import pytest

from gmbench import cli
from gmbench.analyses.conditional import Conditional, CueUse, condition_of
from gmbench.core import checks
from gmbench.measure.conditional import CueEffects
from gmbench.report import document as documents
from gmbench.report import figures
from gmbench.runs import store
from gmbench.runs.program import Program
from gmbench.runs.spec import RunSpec, Stage, check
from gmbench.runs.train import train
from gmbench.stats.intervals import mean_interval
from tests.made_up import a_run, asked

CMG = {0: (0.01, 0.03, 0.02), 4: (0.9, 0.7, 0.8)}


def made_up(condition, seed, cmg, on=0.05, notes=(), benign=0.9, **spec):
    params = {"alpha": 0.3, "condition": condition}
    run = a_run(**{"task": "Monitor-v0", "params": params, "seed": seed, "steps": 300_000} | spec)
    effects = CueEffects(0.1, (0.0, cmg), cmg, cmg, 0.8, benign, 0.4, 0.4, 0.02, notes)
    return run, CueUse(condition, on, effects, 1024, True, True)


def document(made):
    runs, found = zip(*made, strict=True)
    return Conditional(Path("runs")).document(asked(runs, found))


def rows(conditions=CMG):
    return document(
        [made_up(c, seed, cmg) for c, own in conditions.items() for seed, cmg in enumerate(own)]
    )


def cells(table):
    """The cells of each line by column."""
    return [dict(zip(table.columns[1:], line.cells, strict=True)) for line in table.lines]


def test_a_row_a_condition_with_intervals_over_seeds():
    goals = rows().tables[0]
    assert [line.label for line in goals.lines] == [
        "0 honest, alpha 0.3",
        "4 implanted trigger, alpha 0.3",
    ]
    honest, trigger = cells(goals)
    wanted = mean_interval(np.array(CMG[4]), bounds=(-1.0, 1.0))
    assert trigger["CMG"].mean == pytest.approx(0.8)
    assert trigger["CMG"].interval == (wanted.low, wanted.high)
    assert honest["competent"] == "3/3"
    plain = documents.plain(rows())
    assert json.loads(json.dumps(plain, allow_nan=False))[0]["CMG"]["n"] == 3


def test_a_seed_of_high_regret_is_not_competent():
    made = document([made_up(0, 0, 0.1), made_up(0, 1, 0.1, on=0.15)])
    assert cells(made.tables[0])[0]["competent"] == "1/2"


def test_attack_and_benign_are_those_of_a_trigger():
    (trigger,) = cells(rows().tables[2])
    assert trigger["attack success"].mean == pytest.approx(0.8)
    assert trigger["relative to honest"] == "1.00"
    assert len(rows({0: CMG[0]}).tables) == 2
    alone = document([made_up(4, 0, 0.9)])  # nothing to compare with
    assert cells(alone.tables[2])[0]["relative to honest"] == "-"


def test_honest_agents_of_other_steps_are_no_comparison():
    made = [made_up(0, 0, 0.0, benign=0.6), made_up(0, 0, 0.0, benign=0.5, steps=100)]
    made.append(made_up(4, 0, 0.9, benign=0.3))
    assert cells(document(made).tables[2])[0]["relative to honest"] == "0.50"


def test_seeds_that_agree_or_are_alone_give_no_interval():
    one, alike = cells(rows({0: (0.1,), 4: (0.5, 0.5)}).tables[0])
    assert (one["CMG"].interval, one["CMG"].why) == (None, "1 seed")
    assert (alike["CMG"].interval, alike["CMG"].why) == (None, "no spread")


def test_what_could_not_be_measured_is_no_number():
    made = document([made_up(0, seed, math.nan, notes=("nothing to tell",)) for seed in range(2)])
    cmg = cells(made.tables[0])[0]["CMG"]
    assert (cmg.mean, cmg.interval, cmg.n, cmg.missing) == (None, None, 0, 2)
    (notes,) = (part for part in made.parts if isinstance(part, documents.Bullets))
    assert notes.items == tuple(
        f"0 honest, alpha 0.3, seed {seed}: nothing to tell" for seed in range(2)
    )


def test_conditions_of_a_view_stand_in_one_table():
    made = document(
        [
            made_up(
                n, 0, 0.5, task="CheeseCorner-v0", params={"alpha": 1.0}, view=f"window5+cue{n}"
            )
            for n in (4, 0)
        ]
    )
    ((heading, lines),) = made.tables[0].parts
    assert heading == "CheeseCorner-v0, size 7, view window5+cue, 1024 frozen pairs, exact"
    assert [line.label[0] for line in lines] == ["0", "4"]
    assert cells(made.tables[2])[0]["relative to honest"] == "1.00"


def test_the_picture_shows_both_conditions_and_is_the_same_each_time():
    goals, bits = rows().pictures[0].axes
    assert [label.get_text()[0] for label in goals.get_yticklabels()] == ["0", "4"]
    assert bits.get_xlabel() == "cue dependence, bits"
    assert figures.svg(rows().pictures[0]) == figures.svg(rows().pictures[0])


# ---- stored runs -------------------------------------------------------------------------------

HALVES = [Stage(0.5, {"phase": 0}), Stage(0.5)]
TINY = {"num_envs": 8, "num_steps": 4, "slots": 1, "num_minibatches": 2, "network": "mlp"}


def tiny(**spec):
    own = {"task": "Monitor-v0", "static": {"size": 5}, "config": TINY, "steps": 64}
    return RunSpec(**own | spec)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with an honest run and a residue trained in two halves."""
    folder = tmp_path_factory.mktemp("runs")
    halves = tiny(params={"condition": 3, "alpha": 0.5}, stages=HALVES)
    for spec in (tiny(params={"condition": 0, "alpha": 0.5}), halves):
        train([spec], folder)  # one by one: all tests here share a program for one run
    return folder


@pytest.mark.nightly
def test_stored_runs_are_measured(folder, answers, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("gmbench.measure.levels.COUNT", 16)
    page, data = tmp_path / "page.md", tmp_path / "table.json"
    cli.main(["conditional", str(folder), "--out", str(page), "--data", str(data)])
    (made,) = answers
    headings = {line.heading for table in made.tables for line in table.lines}
    assert headings == {"Monitor-v0, size 5, 16 drawn pairs, exact"}
    honest, residue = cells(made.tables[0])
    for row in (honest, residue):
        assert -1 <= row["CMG"].mean <= 1
        assert 0 <= row["regret training, watched"].mean <= 1
    bits = [row["cue dependence"].mean for row in cells(made.tables[1])]
    assert 0 < bits[0] != bits[1] <= 1
    assert "residue" in capsys.readouterr().out
    assert "3 residue, alpha 0.5" in page.read_text()
    read = json.loads(data.read_text())
    assert [row["training"][0] for row in read if "CMG" in row] == ["0", "3"]


def test_the_condition_is_that_of_training():
    assert condition_of(check(tiny(params={"condition": 4}))) == 4
    view = tiny(task="CheeseCorner-v0", view="cue2")
    assert condition_of(check(view)) == 2


@pytest.mark.nightly
def test_runs_without_a_cue_are_refused(group, refused):
    assert "a task with a cue" in refused("conditional", group)


# ---- two halves --------------------------------------------------------------------------------


@pytest.mark.nightly
def test_a_run_in_two_halves_turns_its_parameters_once(folder):
    """Its name says so, and its id is not that of a run of one piece."""
    plain = tiny(params={"condition": 3, "alpha": 0.5})
    halves = next(run.spec for run in store.load_all(folder) if run.spec.stages)
    assert "2stages" in halves.name
    assert halves.id != plain.id
    plan = check(halves)
    assert [int(stage.params.phase) for stage in plan.stages] == [0, 1]
    assert ([stage.until for stage in plan.stages], plan.updates) == ([1, 2], 2)


def test_turning_changes_the_parameters_and_nothing_else():
    program = Program([check(tiny(params={"condition": 3}, stages=HALVES))])
    begun = program.start()
    turned = program.enter(begun, 1)
    assert (int(begun.params.phase[0]), int(turned.params.phase[0])) == (0, 1)
    assert begun.params.replace(phase=turned.params.phase) == turned.params
    for field in ("weights", "optimiser", "envs", "update"):
        chex.assert_trees_all_equal(getattr(turned, field), getattr(begun, field))


@pytest.mark.nightly
def test_an_interrupted_run_goes_on_in_its_second_half(folder, tmp_path):
    """Interrupted after either half, it ends as the run that was not."""
    whole = next(run for run in store.load_all(folder) if run.spec.stages)

    def stop(report):
        if report.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train([whole.spec], tmp_path, stop)
    assert not list(tmp_path.glob("*/run.json"))
    (again,) = train([whole.spec], tmp_path)
    assert again.digest == whole.digest
    (one_piece,) = train([tiny(params=whole.spec.params)], tmp_path)
    assert one_piece.read("agent.safetensors") != whole.read("agent.safetensors")


def test_halves_are_checked():
    with pytest.raises(checks.Refused, match="phase: 2 is not a number in"):
        check(tiny(stages=[Stage(0.5, {"phase": 2}), Stage(0.5)]))
    with pytest.raises(checks.Refused, match="number 1 of 2 has no update"):
        check(tiny(stages=HALVES, steps=32))

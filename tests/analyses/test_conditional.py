"""The training conditions side by side, of made-up runs and of stored ones."""

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from gmbench import cli
from gmbench.core import checks
from gmbench.measure.conditional import Conditional
from gmbench.report import conditional as report
from gmbench.runs import conditional, store
from gmbench.runs.conditional import Measured
from gmbench.runs.program import Program
from gmbench.runs.spec import RunSpec, check
from gmbench.runs.store import Run
from gmbench.runs.train import train
from gmbench.stats.intervals import mean_interval

CMG = {0: (0.01, 0.03, 0.02), 4: (0.9, 0.7, 0.8)}


def made_up(condition, seed, cmg, on=0.05, notes=(), benign=0.9, **spec):
    params = {"alpha": 0.3, "condition": condition}
    spec = {"task": "Monitor-v0", "static": {"size": 7}, "params": params} | spec
    run = Run(Path("made-up"), RunSpec(seed=seed, **spec), {"steps": 300_000})
    found = Conditional(0.1, (0.0, cmg), cmg, cmg, 0.8, benign, 0.4, 0.4, 0.02, notes)
    return Measured(run, condition, on, found, 1024, True, True)


def rows(conditions=CMG):
    return report.table(
        [made_up(c, seed, cmg) for c, own in conditions.items() for seed, cmg in enumerate(own)]
    )


def test_a_row_a_condition_with_intervals_over_seeds():
    honest, trigger = rows()
    assert [honest["name"], trigger["name"]] == ["honest", "implanted trigger"]
    wanted = mean_interval(np.array(CMG[4]), bounds=(-1.0, 1.0))
    assert trigger["cmg"]["mean"] == pytest.approx(0.8)
    assert trigger["cmg"]["interval"] == [wanted.low, wanted.high]
    assert trigger["cmg"]["flags"] == list(wanted.flags)
    assert (honest["runs"], honest["competent"]) == (3, 3)
    assert json.loads(json.dumps(rows(), allow_nan=False)) == rows()


def test_attack_and_benign_are_those_of_a_trigger():
    honest, trigger = rows()
    assert honest["attack"] is None
    assert honest["benign_of_clean"] is None
    assert trigger["attack"]["mean"] == pytest.approx(0.8)
    assert trigger["benign_of_clean"] == pytest.approx(1)
    alone = report.table([made_up(4, 0, 0.9)])[0]  # nothing to compare with
    assert alone["benign_of_clean"] is None
    assert "of honest" not in report.markdown([alone])


def test_seeds_that_agree_or_are_alone_give_no_interval():
    one, alike = rows({0: (0.1,), 4: (0.5, 0.5)})
    assert (one["cmg"]["interval"], one["cmg"]["flags"]) == (None, ["1 seed"])
    assert alike["cmg"]["interval"] is None
    assert "agree exactly" in alike["cmg"]["flags"][-1]


def test_what_could_not_be_measured_is_no_number():
    measured = [made_up(0, seed, math.nan, notes=("nothing to tell",)) for seed in range(2)]
    (row,) = report.table(measured)
    assert row["cmg"] == {
        "mean": None,
        "interval": None,
        "runs": 0,
        "flags": ["no seed could be measured"],
    }
    assert row["notes"] == ["seed 0: nothing to tell", "seed 1: nothing to tell"]
    assert " | - | " in report.markdown([row])
    with pytest.raises(checks.Refused, match="runs: none were measured"):
        report.table([])


def test_conditions_of_a_view_stand_in_one_table():
    measured = [
        made_up(n, 0, 0.5, task="CheeseCorner-v0", params={"alpha": 1.0}, view=f"window5+cue{n}")
        for n in (4, 0)
    ]
    found = report.table(measured)
    assert [row["condition"] for row in found] == [0, 4]
    assert found[1]["benign_of_clean"] == pytest.approx(1)
    text = report.markdown(found)
    assert text.count("CheeseCorner-v0, size 7, view window5+cue, ppo, 300,000 steps") == 1


def test_printed_tables_show_the_same():
    console = Console(width=100, record=True, file=io.StringIO())
    report.print_table(rows(), console)
    text = console.export_text()
    assert "4 implanted trigger" in text
    assert text.count("CMG") >= 2  # as a row, and in the note
    assert report._shown(rows()[1]["cmg"]) in text
    assert report._shown(rows()[1]["cmg"]) in report.markdown(rows())


# ---- stored runs -------------------------------------------------------------------------------

TINY = {"num_envs": 8, "num_steps": 4, "slots": 1, "num_minibatches": 2, "network": "mlp"}


def tiny(**spec):
    own = {"task": "Monitor-v0", "static": {"size": 5}, "config": TINY, "steps": 64}
    return RunSpec(**own | spec)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with an honest run and a residue trained in two halves."""
    folder = tmp_path_factory.mktemp("runs")
    halves = tiny(params={"condition": 3, "alpha": 0.5}, first={"phase": 0})
    for spec in (tiny(params={"condition": 0, "alpha": 0.5}), halves):
        train([spec], folder)  # one by one: all tests here share a program for one run
    return folder


def test_stored_runs_are_measured(folder):
    measured = conditional.measure(store.load_all(folder), most=16)
    assert [each.condition for each in measured] == [0, 3]
    for each in measured:
        assert (each.exact, each.frozen, each.levels) == (True, False, 16)
        assert -1 <= each.found.cmg <= 1
        assert 0 < each.found.everywhere <= 1
        assert 0 <= each.on_distribution <= 1
    assert measured[0].found != measured[1].found


def test_the_command_prints_and_writes_the_table(folder, tmp_path, capsys, monkeypatch):
    def measure(runs, watch):
        del watch
        return [made_up(run.spec.params["condition"], 0, 0.5, first=run.spec.first) for run in runs]

    monkeypatch.setattr(conditional, "measure", measure)
    data = tmp_path / "table.json"
    cli.main(["conditional", str(folder), "--data", str(data)])
    assert "3 residue" in capsys.readouterr().out
    read = json.loads(data.read_text())
    assert [row["condition"] for row in read] == [0, 3]
    assert read[1]["first"] == {"phase": 0}


def test_runs_without_a_cue_are_refused(group, refused):
    assert "runs: none is of a task with a cue" in refused("conditional", group)


# ---- two halves --------------------------------------------------------------------------------


def test_a_run_in_two_halves_turns_its_parameters_once(folder):
    """Its name says so, and its id is not that of a run of one piece."""
    plain = tiny(params={"condition": 3, "alpha": 0.5})
    halves = next(run.spec for run in store.load_all(folder) if run.spec.first)
    assert "first-phase0" in halves.name
    assert halves.id != plain.id
    plan = check(halves)
    assert (int(plan.first.phase), int(plan.params.phase)) == (0, 1)
    assert (plan.half, plan.updates) == (1, 2)


def test_turning_changes_the_parameters_and_nothing_else():
    program = Program([check(tiny(params={"condition": 3}, first={"phase": 0}))])
    begun = program.start()
    turned = program.turn(begun)
    assert (int(begun.params.phase[0]), int(turned.params.phase[0])) == (0, 1)
    assert begun.params.replace(phase=turned.params.phase) == turned.params
    for field in ("weights", "optimiser", "envs", "update"):
        assert getattr(turned, field) is getattr(begun, field)


def test_an_interrupted_run_goes_on_in_its_second_half(folder, tmp_path):
    """Interrupted after either half, it ends as the run that was not."""
    whole = next(run for run in store.load_all(folder) if run.spec.first)

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
        check(tiny(first={"phase": 2}))
    with pytest.raises(checks.Refused, match="one update, which has no first half"):
        check(tiny(first={"phase": 0}, steps=32))

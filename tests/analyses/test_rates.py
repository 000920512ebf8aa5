"""Rates per run and per episode are kept apart, each with its interval over runs."""

import json
from pathlib import Path

import pytest

from gmbench import cli
from gmbench.analyses.rates import Rates
from gmbench.report import document as documents
from gmbench.stats.estimate import estimate
from gmbench.stats.rates import Rate, reach
from tests import made_up
from tests.made_up import a_run, measurement

GOALS = made_up.GOALS["CheeseCorner-v0"]


def run_of(misaligned=False, proxy=0.5, competent=True, **spec):
    rho = (0.8, 0.1) if misaligned else (0.5, 0.1)
    deployed = measurement(GOALS, rho, (1 - proxy, proxy, 0.0))
    return a_run(misaligned=misaligned, competent=competent, deployed=deployed, **spec)


def found(runs):
    return Rates(folder=Path("made-up")).document(made_up.asked(runs))


def line(runs):
    (table,) = found(runs).tables
    (one,) = table.lines
    return one


def test_rates_per_run_and_per_episode_are_kept_apart():
    shares = [0.9, 0.8, 0.95, 0.2, 0.1, 0.05, 0.3, 0.15]
    runs = [
        run_of(share > 0.5, share, seed != 7, params={"alpha": 0.1}, seed=seed)
        for seed, share in enumerate(shares)
    ]
    one = line(runs)
    assert (one.heading, one.label) == ("CheeseCorner-v0, size 7", "alpha 0.1")
    assert one.cells[:2] == (Rate(3, 8), Rate(3, 7))
    assert [documents.words(cell) for cell in one.cells[:2]] == ["3/8 [9%, 76%]", "3/7 [10%, 82%]"]
    assert one.cells[2] == f"{round(1000 * sum(shares))} of 8000"
    assert one.cells[3] == estimate(shares)
    assert one.cells[3].n == 8
    (said,) = found(runs).parts[-1].items
    assert said == f"With 8 runs, {reach(8)}."
    assert "998 runs" in said


def test_too_few_runs_have_no_interval_per_episode():
    assert line([run_of()]).cells[3].why == "1 seed"
    same = line([run_of(seed=seed) for seed in range(8)])
    assert (same.cells[3].interval, same.cells[3].why) == (None, "no spread")
    few = line([run_of(seed=seed, proxy=0.1 * (seed + 1)) for seed in range(3)])
    assert "3 seeds, fewer than the 5" in few.cells[3].why


def test_every_condition_has_its_rates():
    runs = [run_of(seed=s, params={"alpha": a}) for a in (0.0, 0.1) for s in (0, 1)]
    (table,) = found(runs).tables
    assert [each.label for each in table.lines] == ["alpha 0", "alpha 0.1"]
    with pytest.raises(ValueError, match="at least 1"):
        found([])


def test_rates_of_trained_runs(group, tmp_path, capsys):
    cli.main(["rates", str(group), "--data", str(tmp_path / "a.json")])
    assert "How often?" in capsys.readouterr().out
    records = json.loads((tmp_path / "a.json").read_text())
    assert [each["of runs misaligned"]["n"] for each in records] == [1, 1]
    for name in ("page.md", "page.html"):
        cli.main(["rates", str(group), "--out", str(tmp_path / name)])
        assert "episodes ended in a proxy" in (tmp_path / name).read_text()


def test_rates_draw_nothing(group, tmp_path, refused):
    assert "out: " in refused("rates", group, "--out", tmp_path / "a.png")
    assert "runs: no finished run" in refused("rates", tmp_path)

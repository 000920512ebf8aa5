"""Mitigations compared, on runs whose regrets are known."""

from pathlib import Path

import numpy as np
import pytest

from gmbench.analyses import compare
from gmbench.core.checks import Refused
from gmbench.report import document as documents
from tests import made_up
from tests.made_up import a_run, measurement

GOALS = made_up.GOALS["CheeseCorner-v0"]
ALPHAS = (0.0, 0.01, 0.1, 0.3)


def run_of(alpha, seed, rho, mitigation="", home=0.1, **spec):
    deployed = measurement(GOALS, (rho, min(0.2, rho)))
    misaligned = deployed.gmi > 0.5
    return a_run(
        misaligned=misaligned,
        deployed=deployed,
        training=measurement(GOALS, (home, home)),
        params={"alpha": alpha},
        seed=seed,
        mitigation=mitigation,
        **spec,
    )


def runs_of(mitigation, regrets, home=0.1):
    return [
        run_of(alpha, seed, rho + 0.01 * seed, mitigation, home + 0.001 * seed)
        for alpha, rho in zip(ALPHAS, regrets, strict=True)
        for seed in range(4)
    ]


PLAIN = runs_of("", (0.9, 0.85, 0.6, 0.2))
BETTER = runs_of("mixture:alpha=0.1", (0.9, 0.6, 0.2, 0.1), home=0.12)


def tables(runs, **options):
    asked = made_up.asked(runs)
    found = compare.Compare(folder=Path("made-up"), **options).document(asked)
    return {table.title: table for table in found.tables}, found


def test_lines_gain_and_differences_are_those_of_the_runs():
    found, _ = tables(PLAIN + BETTER)
    base, better = found["What is gained?"].lines
    assert (base.label, better.label) == ("none", "mixture:alpha=0.1")
    assert base.cells[3:7] == ("-",) * 4
    assert better.cells[0] == "16"
    by_place = {(float(run.spec.params["alpha"]), run.spec.seed): run for run in PLAIN}
    own = {(float(run.spec.params["alpha"]), run.spec.seed): run for run in BETTER}
    limits = [compare.threshold(each, compare.regret) for each in (by_place, own)]
    # Straight lines in log alpha: between .1 and .3, and between .01 and .1.
    assert limits[0].decades == pytest.approx(np.log10(0.1) + np.log10(3) * 0.115 / 0.4, abs=1e-6)
    assert limits[1].decades == pytest.approx(-2 + 0.115 / 0.4, abs=1e-6)
    gained = limits[0].decades - limits[1].decades
    assert better.cells[3].startswith(f"{gained:.2f} [")
    assert better.cells[4].value == pytest.approx(np.mean([0, -0.25, -0.4, -0.1]), abs=1e-6)
    assert better.cells[6].value == pytest.approx(0.02, abs=1e-6)
    assert float(better.cells[5].split()[0]) == pytest.approx((0.5 + 3) / 4, abs=0.01)


def test_each_alpha_has_a_line():
    found, document = tables(PLAIN + BETTER)
    lines = found["At each share of distinguishing levels"].lines
    assert [(line.label, line.cells[0]) for line in lines] == [
        (name, f"{alpha:g}") for name in ("none", "mixture:alpha=0.1") for alpha in ALPHAS
    ]
    assert lines[0].cells[3].value == pytest.approx(0.915)
    text, beside = documents.markdown(document, "compare")
    assert "mixture:alpha=0.1" in text
    assert len(beside) == 1


def test_another_baseline_may_be_named():
    found, _ = tables(PLAIN + BETTER, baseline="mixture:alpha=0.1")
    assert [line.label for line in found["What is gained?"].lines] == ["mixture:alpha=0.1", "none"]
    with pytest.raises(Refused, match=r"baseline: no run of .* 'plr' \(allowed: mixture"):
        tables(PLAIN + BETTER, baseline="plr")


def test_what_was_always_reached_lies_below_what_was_tried():
    always = runs_of("mixture:alpha=0.1", (0.9, 0.2, 0.2, 0.1))
    never = runs_of("mixture:alpha=0.2", (0.9, 0.8, 0.8, 0.7))
    found, _ = tables(PLAIN + always + never)
    words = {line.label: line.cells[2] for line in found["What is gained?"].lines}
    assert words["mixture:alpha=0.2"] == "above all tried"
    assert words["mixture:alpha=0.1"] == "below all tried"


def test_runs_of_two_settings_are_not_mixed():
    other = [run_of(0.1, 0, 0.5, steps=640_000)]
    with pytest.raises(Refused, match="differ in another setting"):
        tables(PLAIN + other)


def test_one_run_of_each_is_too_few():
    found, _ = tables([run_of(0.1, 0, 0.6), run_of(0.1, 0, 0.4, "mixture:alpha=0.1")])
    assert found["What is gained?"].lines[1].cells[1:4] == ("too few runs",) * 3

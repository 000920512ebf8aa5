"""The page that puts the measures side by side, on two tiny runs and on made-up answers."""

import dataclasses
import json

import numpy as np
import pytest

from gmbench import cli
from gmbench.core.checks import Refused
from gmbench.measure.verdicts import MEASURES, Verdict
from gmbench.report import evidence, figures
from gmbench.runs import store


@pytest.fixture(scope="module")
def conditions(group):
    return evidence.conditions(store.load_all(group))


@pytest.fixture
def changed(conditions):
    """Return a function that changes what one agent's measures say."""
    first = conditions[0]

    def change(**says):
        told = first.found[0].verdicts | {name: Verdict(word) for name, word in says.items()}
        found = dataclasses.replace(first.found[0], verdicts=told)
        return dataclasses.replace(first, found=(found,))

    return change


def test_every_measure_answers_for_every_condition(conditions):
    assert [each.row.params["alpha"] for each in conditions] == [0.0, 0.3]
    for each in conditions:
        assert [line[0] for line in evidence.lines(each)] == list(MEASURES)
        (found,) = each.found
        regret = found.regret
        assert regret.true + regret.other + regret.none == pytest.approx(1, abs=1e-5)
        assert sum(found.attributed.values()) == pytest.approx(1)
        assert sum(found.reasons.values()) == found.levels
        assert sum(found.ended.values()) == pytest.approx(1)


def test_figures_are_those_of_the_run(conditions):
    for each in conditions:
        (run,), (found,) = each.row.runs, each.found
        stored = run.record["distributions"][run.record["shift"]]
        assert found.regret.other == pytest.approx(stored["gmi"], abs=1e-5)
        assert found.regret.none == pytest.approx(stored["cfi"], abs=1e-5)
        assert found.ended == stored["outcome"]


def test_one_agent_has_no_interval(conditions):
    text = " ".join(" ".join(line) for line in evidence.lines(conditions[0]))
    assert "[" not in text


def test_contradictions_are_counted_and_told(changed):
    alike = changed(**{name: "cheese" for name in MEASURES})
    assert evidence.disagreements(alike) == [
        "The measures contradict each other in none of the 1 agents."
    ]
    first, second = evidence.disagreements(
        changed(**{name: "cheese" for name in MEASURES} | {"MEG": "none"})
    )
    assert first == "The measures contradict each other in 1 of 1 agents:"
    assert second == "1 of 1: cheese (return, regret, attribution, trade-off); none (MEG)."


def test_what_was_not_measured_is_no_number(conditions):
    nan = float("nan")
    first = conditions[0]
    unknown = dataclasses.replace(first.found[0], meg=dict.fromkeys(first.found[0].goals, nan))
    line = dict(
        (name, told)
        for name, _, told, _ in evidence.lines(dataclasses.replace(first, found=(unknown,)))
    )
    assert line["MEG"].startswith("cheese not measured, corner not measured")


def test_the_same_runs_give_the_same_picture(conditions):
    one, other = (figures.svg(evidence.overview(conditions)) for _ in range(2))
    assert one == other
    words = one.decode()
    assert all(name in words for name in ("return", "regret", "attribution", "PSE", "MEG"))


def test_pages_and_data(group, tmp_path, capsys):
    for name in ("page.html", "page.md"):
        cli.main(["evidence", str(group), "--out", str(tmp_path / name)])
        page = (tmp_path / name).read_text()
        assert page.count("trade-off") >= 2
        assert page.count("The measures contradict each other") == 2
    assert (tmp_path / "page.png").exists()
    assert "<script" not in (tmp_path / "page.html").read_text()
    run = next(path for path in sorted(group.iterdir()) if path.name.startswith("Cheese"))
    data = tmp_path / "data.json"
    cli.main(["evidence", str(run), "--out", str(tmp_path / "one.html"), "--data", str(data)])
    (found,) = json.loads(data.read_text())
    assert found["run"] == run.name
    assert set(found["verdicts"]) == set(MEASURES)
    assert np.isclose(sum(found["attributed"].values()), 1)


def test_bad_input_is_one_line(group, tmp_path, refused):
    assert "out: " in refused("evidence", group, "--out", tmp_path / "page.pdf")
    assert "runs: " in refused("evidence", tmp_path, "--out", tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_a_failed_run_has_no_agent_to_measure(conditions):
    (run,) = conditions[0].row.runs
    failed = run.record | {"status": store.FAILED, "error": {"kind": "diverged", "update": 3}}
    with pytest.raises(Refused, match="diverged at update 3"):
        evidence.evidence.gather([dataclasses.replace(run, record=failed)])

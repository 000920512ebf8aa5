"""The question that puts the measures side by side, on two tiny runs and on made-up answers."""

import dataclasses
import json

import numpy as np
import pytest

from gmbench import cli
from gmbench.analyses import evidence
from gmbench.core.checks import Refused
from gmbench.measure.tradeoff import DECIDED, TradeOff
from gmbench.measure.verdicts import MEASURES, Verdict
from gmbench.report import answers, ask, figures
from gmbench.report.document import Bullets, Table, words
from gmbench.report.question import Asked
from gmbench.runs.opened import OpenAgent
from gmbench.runs.result import Diverged
from tests import made_up


@pytest.fixture(scope="module")
def asked(group):
    """What was found of each condition of the two runs."""
    question, kept = evidence.Evidence(group), []

    class Kept(evidence.Evidence):
        def document(self, asked):
            kept.extend(asked)
            return super().document(asked)

    found = ask.ask(Kept(**vars(question)))
    return kept, found


@pytest.fixture
def changed(asked):
    """Return a function that changes what was found of the first agent, and of how many copies."""
    first = asked[0][0]

    def change(*changes):
        found = tuple(dataclasses.replace(first.found[0], **each) for each in changes)
        return Asked(first.condition, found)

    return change


def test_every_measure_answers_for_every_condition(asked):
    conditions, found = asked
    assert [each.condition.params["alpha"] for each in conditions] == [0.0, 0.3]
    (table,) = (part for part in found.parts if isinstance(part, Table))
    for each, (heading, lines) in zip(conditions, table.parts, strict=True):
        assert heading == each.condition.title
        assert [line.label for line in lines] == list(MEASURES)
        (one,) = each.found
        regret = one.regret
        assert regret.true + regret.other + regret.none == pytest.approx(1, abs=1e-5)
        assert sum(one.attributed.values()) == pytest.approx(1)
        assert sum(one.reasons.values()) == one.levels
        assert sum(one.ended.values()) == pytest.approx(1)


def test_figures_are_those_of_the_run(asked):
    for each in asked[0]:
        (run,), (found,) = each.condition.runs, each.found
        stored = run.findings.deployed
        assert found.regret.other == pytest.approx(stored.gmi, abs=1e-5)
        assert found.regret.none == pytest.approx(stored.cfi, abs=1e-5)
        outcome = stored.outcome
        assert found.ended == {name: getattr(outcome, name) for name in found.ended}


def test_one_agent_has_no_interval(asked):
    lines = evidence.table_lines(asked[0][0])
    assert not any("[" in words(cell) for line in lines for cell in line.cells)


def test_contradictions_are_counted_and_told(changed):
    alike = {name: Verdict("cheese") for name in MEASURES}
    none = evidence.contradictions(changed({"verdicts": alike}))
    assert none.heading.endswith("alpha 0: the measures contradict each other in 0 of 1 agents")
    assert none.items == ()
    said = evidence.contradictions(
        changed({"verdicts": alike}, {"verdicts": alike | {"MEG": Verdict("none")}})
    )
    assert said.heading.endswith("contradict each other in 1 of 2 agents")
    assert said.items == ("1 of 2: cheese (return, regret, attribution, trade-off); none (MEG).",)


def test_what_was_not_measured_is_no_number(asked, changed):
    goals = asked[0][0].found[0].goals
    unknown = changed({"meg": dict.fromkeys(goals, float("nan"))})
    figure = {line.label: line.cells[1] for line in evidence.table_lines(unknown)}
    assert figure["MEG"].startswith("cheese not measured, corner not measured")


def test_agents_without_a_curve_are_left_out_of_pse(changed):
    """The runs are the unit: the interval is over the agents' points, whatever theirs are."""

    def curve(pse):
        return {"trade_off": TradeOff(DECIDED, 300, 0, 0.5, 1.0, pse, pse - 0.1, pse + 0.1)}

    no_curve = {"trade_off": TradeOff("no choices were made", 0, 300, float("nan"))}
    several = changed(*map(curve, (1.0, 2.0, 3.0, 4.0)), no_curve)
    point = evidence.pse(several)
    assert (point.mean, point.n, point.missing) == (2.5, 4, 1)
    low, high = point.interval
    assert low < 2.5 < high
    assert high - low > 1
    lines = {line.label: line.cells[1] for line in evidence.table_lines(several)}
    assert lines["trade-off"].endswith(f"PSE 2.50 {point.ends} steps; 4 of 5 agents have a curve")
    one = evidence.pse(changed(curve(2.0)))
    assert (one.interval, one.why) == (None, "1 seed")
    nothing = changed(no_curve)
    assert not evidence.pse(nothing).known
    lines = {line.label: line.cells[1] for line in evidence.table_lines(nothing)}
    assert lines["trade-off"] == "0 of 1 agents have a curve"


def test_the_picture_shows_every_measure(asked):
    (picture,) = asked[1].pictures
    shown = figures.svg(picture)
    assert shown == figures.svg(answers.overview(asked[0], evidence.panels))
    assert all(title in shown.decode() for title in answers.TITLES)


@pytest.mark.nightly
def test_pages_and_data(group, tmp_path, capsys):
    for name in ("page.html", "page.md"):
        cli.main(["evidence", str(group), "--out", str(tmp_path / name)])
        page = (tmp_path / name).read_text()
        assert page.count("trade-off") >= 2
        assert page.count("the measures contradict each other") == 2
    printed = capsys.readouterr().out
    assert "attribution" in printed
    assert f"written: {tmp_path / 'page.html'}" in printed
    assert (tmp_path / "page.png").exists()
    assert "<script" not in (tmp_path / "page.html").read_text()
    run = next(path for path in sorted(group.iterdir()) if path.name.startswith("Cheese"))
    data, drawn = tmp_path / "data.json", tmp_path / "drawn.png"
    cli.main(["evidence", str(run), "--out", str(drawn), "--data", str(data)])
    assert drawn.read_bytes().startswith(b"\x89PNG")
    (found,) = json.loads(data.read_text())
    assert found["run"] == run.name
    assert set(found["verdicts"]) == set(MEASURES)
    assert np.isclose(sum(found["attributed"].values()), 1)


def test_reasons_for_differences_are_one_a_measure(asked):
    *_, last = (part for part in asked[1].parts if isinstance(part, Bullets))
    assert len(last.items) == len(MEASURES)


def test_bad_input_is_one_line(group, tmp_path, refused):
    assert "out: " in refused("evidence", group, "--out", tmp_path / "page.pdf")
    assert "runs: " in refused("evidence", tmp_path, "--out", tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_a_failed_run_has_no_agent_to_measure():
    failed = made_up.a_run(findings=None, diverged=Diverged(3))
    with pytest.raises(Refused, match="diverged at update 3"):
        OpenAgent(failed)

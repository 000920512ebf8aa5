"""Published figures: what they train, what they read off committed answers, what they say."""

import csv
import json
import shutil
from pathlib import Path

import msgspec
import pytest

from gmbench import cli
from gmbench.core import registry
from gmbench.core.checks import Refused
from gmbench.report import published, reproduce, reproduced
from gmbench.report.published import CPU, PAPER, SCALES, SMOKE, Claim, Figure, Number
from gmbench.report.readings import rows, score
from gmbench.stats.estimate import Estimate
from gmbench.stats.rates import Rate
from gmbench.sweeps.sweep import Sweep
from tests.marks import by_day

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NAMES = registry.FIGURES.names()
STORED = [name for name in NAMES if reproduce.find(name).stored]
ROWS = {
    "coinrun",
    "maze-region",
    "colour-shape",
    "keys-chests",
    "monster-episodes",
    "tree-phases",
    "partners",
    "alpha-curves",
    "actor-critic",
    "phase-diagram",
    "conditional",
    "shutdown",
    "exchange-rate",
    "pipelines",
}
"""Figures that there must be."""


def number(at, low, high, competent=None):
    return Number("a", at, Estimate((low + high) / 2, (low, high), 8), competent)


def figure(*claims):
    """A figure of one series, `a`."""
    sweep = Sweep(tasks=["CheeseCorner-v0"])
    return Figure(
        title="A title",
        about="About.",
        source="Somebody",
        question="report",
        read=lambda answer: [],
        sweeps=dict.fromkeys(SCALES, sweep),
        settings=dict.fromkeys(SCALES, "another grid"),
        claims=claims,
        speed=1000.0,
        axis="alpha",
        unit="share",
    )


def said(claim, *numbers, scale=CPU):
    found = published.by_key(numbers)
    return [verdict for _, verdict in published.judged(figure(claim), scale, found)]


# ---- what there is -------------------------------------------------------------------------------


def test_every_row_has_its_figure():
    assert set(NAMES) == ROWS


def test_a_figure_is_whole():
    for each in map(reproduce.find, NAMES):
        assert set(each.sweeps) == set(each.settings) == set(SCALES)
        assert all(any(scale in claim.listed for claim in each.claims) for scale in SCALES)


@pytest.mark.parametrize("name", by_day(NAMES, "maze-region", "exchange-rate"))
def test_a_figure_costs_what_its_scale_allows(name):
    each = reproduce.find(name)
    costs = {scale: reproduce.cost(name, scale) for scale in SCALES}
    assert costs[SMOKE].steps < 20_000
    assert costs[SMOKE].hours < 0.1
    assert costs[CPU].hours < 1.5  # of one core: 20 to 45 minutes on two
    assert costs[PAPER].steps >= 400_000_000
    assert {spec.agent for spec in each.sweeps[CPU].specs()} == {"ppo"}


def test_the_committed_answers_are_read_and_judged():
    for name in STORED:
        found = reproduced.Reproduced(reproduce.find(name), reproduce.stored(name, DOCS))
        keys = {each.key for each in found.result.numbers}
        claims = [claim for claim, _ in found.verdicts]
        assert any(claim.of in keys for claim in claims), name
        assert "agrees" in {verdict.kind for _, verdict in found.verdicts} or name == "colour-shape"


def test_what_is_read_is_what_the_answer_holds():
    answer = json.loads((DOCS / "results/GMB-cpu-v1.json").read_text())
    row = next(x for x in answer if x["task"] == "KeysChests-v0" and x["params"]["alpha"] == 0)
    found = published.by_key(reproduce.stored("keys-chests", DOCS).numbers)
    own = found["choice (1: keys, -1: chests)", 0.0]
    assert own.found.mean == row["scores"]["choice"]["mean"]
    assert list(own.found.interval) == row["scores"]["choice"]["interval"]
    assert own.competent == Rate(row["competent"]["k"], row["competent"]["n"])
    cells = json.loads((DOCS / "phase.json").read_text())["cells"]
    cell = next(x for x in cells if (x["alpha"], x["steps"]) == (0.001, 1e6))
    found = published.by_key(reproduce.stored("phase-diagram", DOCS).numbers)
    read = found["1,000,000 steps", 0.001].found
    assert read.mean == cell["misaligned"] / cell["competent"]
    assert list(read.interval) == pytest.approx(cell["interval"])


def test_a_table_without_seeds_gives_no_interval():
    (row, _) = rows(json.loads((DOCS / "results/GMB-cpu-v1.json").read_text()), "ColorShape-v0")
    read = score(row, "ended_proxy", "yellow", "all").found
    assert (read.mean, read.interval) == (row.outcomes["proxy"], None)


# ---- what is said --------------------------------------------------------------------------------


def test_smoke_is_never_comparable():
    (verdict,) = said(Claim("more", ("a", 0.0), "x", low=0.0), number(0.0, 0.1, 0.2), scale=SMOKE)
    assert verdict.words.startswith("not comparable because it is smoke scale")
    for name in NAMES:
        each = reproduce.find(name)
        numbers = {claim.of: number(0.0, 0.4, 0.6) for claim in each.claims}
        assert {v.kind for _, v in published.judged(each, SMOKE, numbers)} == {"not comparable"}


def test_a_scale_that_is_not_near_enough_says_how_it_differs():
    claim = Claim("a value", ("a", 0.0), "x", value=0.15, comparable=(PAPER,))
    assert said(claim, number(0.0, 0.1, 0.2))[0].words == (
        "not comparable because at cpu scale ours is another grid"
    )
    assert said(claim, number(0.0, 0.1, 0.2), scale=PAPER)[0].kind == "agrees"


def test_what_was_not_trained_is_said():
    claim = Claim("more", ("a", 0.0), "x", than=("a", 0.02), low=0.0)
    assert said(claim, number(0.0, 0.1, 0.2))[0].words == (
        "not comparable because a at 0.02 is not among our numbers"
    )


@pytest.mark.parametrize(("k", "kind"), [(3, "not comparable"), (4, "agrees")])
def test_incompetent_agents_are_compared_with_nothing(k, kind):
    claim = Claim("more", ("a", 0.0), "x", low=0.0)
    assert said(claim, number(0.0, 0.1, 0.2, Rate(k, 8)))[0].kind == kind


def test_one_number_less_another_is_compared():
    claim = Claim("more", ("a", 0.0), "x", than=("a", 1.0), low=0.0)
    assert said(claim, number(0.0, 0.5, 0.7), number(1.0, 0.1, 0.3))[0].kind == "agrees"
    assert said(claim, number(0.0, 0.1, 0.3), number(1.0, 0.5, 0.7))[0].kind == "differs"


def test_a_published_share_has_the_interval_of_its_number():
    claim = Claim("gem", ("a", 0.0), "x", value=0.89, n=102)
    assert claim.ends == pytest.approx((0.81, 0.94), abs=0.015)
    assert claim.published.startswith("0.89 [0.8")


# ---- from the command line -----------------------------------------------------------------------


def run(*arguments):
    cli.main(["figure", *map(str, arguments)])


@pytest.fixture(autouse=True)
def piped(monkeypatch):
    """As into a pipe: pytest-xdist tells its workers how wide the terminal is."""
    monkeypatch.delenv("COLUMNS", raising=False)


def test_the_figures_are_listed(capsys):
    run()
    printed = capsys.readouterr().out
    assert all(name in printed for name in NAMES)
    assert "core minutes" in printed


def test_costs_are_said_beforehand(capsys, tmp_path):
    run("coinrun", "--dry-run", "--out", tmp_path / "out")
    printed = capsys.readouterr().out
    assert printed.count("about ") == len(SCALES)
    assert "30 runs, 123,863,040 environment steps" in printed
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("conrun",), "figure: unknown 'conrun'; did you mean 'coinrun'? (allowed: actor-critic,"),
        (("coinrun", "--scale", "huge"), "scale: unknown 'huge' (allowed: cpu, paper, smoke)"),
        (("coinrun", "--all"), "figure: 'coinrun' beside --all"),
        (("coinrun", "--scale", "smoke", "--stored", DOCS), "scale: 'smoke' with --stored"),
        (("partners", "--stored", DOCS), "stored: partners has no committed answer"),
        (("coinrun", "--stored", "nowhere"), "stored: cannot read 'nowhere/coin_shares.json'"),
        (("coinrun", "--docs", "figures.html"), "docs: unknown '.html'"),
    ],
)
def test_bad_input_is_refused_in_a_line(refused, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert words in refused("figure", *arguments)


def test_an_answer_of_another_question_is_refused(tmp_path):
    shutil.copy(DOCS / "phase.json", tmp_path / "coin_shares.json")
    with pytest.raises(Refused, match="figure: the answer is not one that coinrun reads"):
        reproduce.stored("coinrun", tmp_path)


def test_a_committed_answer_becomes_picture_numbers_and_page(tmp_path, capsys):
    page = tmp_path / "docs" / "figures.md"
    run("phase-diagram", "--stored", DOCS, "--out", tmp_path / "out", "--docs", page)
    folder = tmp_path / "out" / "phase-diagram-cpu"
    assert "phase-diagram: 2 agree of 2" in capsys.readouterr().out
    assert (folder / "phase-diagram.svg").read_bytes().startswith(b"<?xml")
    assert (folder / "phase-diagram.pdf").read_bytes().startswith(b"%PDF")
    table = list(csv.DictReader((folder / "phase-diagram.csv").read_text().splitlines()))
    assert [row["verdict"] for row in table if row["row"] == "claim"] == ["agrees", "agrees"]
    assert sum(row["row"] == "number" for row in table) == 18
    text = page.read_text()
    assert "(figures/phase-diagram-cpu.svg)" in text
    assert (page.parent / "figures" / "phase-diagram-cpu.svg").exists()
    assert "not run yet" in text
    # The page is made again from the result alone.
    before, _ = text, page.unlink()
    run("--docs", page)
    assert page.read_text() == before


@pytest.mark.parametrize("broken", ["{", '{"schema": 1}'])
def test_a_page_of_what_is_no_result_is_refused(refused, tmp_path, broken):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "x.json").write_text(broken)
    assert "is no result" in refused("figure", "--docs", tmp_path / "figures.md")


def test_the_committed_page_is_what_its_results_say():
    results = reproduce.load_all(DOCS / "figures")
    found = [reproduced.Reproduced(reproduce.find(x.figure), x) for x in results]
    text, pictures = reproduced.index(found, "figures")
    assert (DOCS / "figures.md").read_text() == text
    assert all((DOCS / name).exists() for name in pictures)


def test_a_question_is_asked_of_the_finished_runs(runs, monkeypatch, tmp_path):
    """Of runs that were never trained: what is trained is tried by night."""
    (tmp_path / "runs").symlink_to(runs[0].path.parent)
    monkeypatch.setattr(reproduce.sweeps, "run", lambda *arguments: ["a group broke"])
    result, problems = reproduce.run("keys-chests", CPU, tmp_path, lambda _: None)
    assert problems == ["a group broke"]
    chosen = published.by_key(result.numbers)["choice (1: keys, -1: chests)", 0.0]
    assert (chosen.found.mean, chosen.competent) == (pytest.approx(0.6), Rate(3, 3))
    for scale, kind in ((CPU, "agrees"), (SMOKE, "not comparable")):
        own = msgspec.structs.replace(result, scale=scale)
        found = reproduced.Reproduced(reproduce.find("keys-chests"), own)
        assert found.verdicts[0][1].kind == kind
        written = reproduced.contents("keys-chests", found)
        drawn, page = (written[f"keys-chests.{end}"].decode() for end in ("svg", "md"))
        assert ("smoke scale: these numbers mean nothing" in drawn) is (scale == SMOKE)
        assert ("No number here means anything" in page) is (scale == SMOKE)


@pytest.mark.nightly
@pytest.mark.parametrize("name", NAMES)
def test_a_figure_runs_at_smoke_scale(name, tmp_path, capsys):
    run(name, "--scale", "smoke", "--out", tmp_path)
    printed = capsys.readouterr()
    assert "not comparable because it is smoke scale" in printed.out
    assert printed.err.startswith(f"{name} at smoke scale: ")
    folder = tmp_path / f"{name}-smoke"
    found = reproduced.Reproduced(reproduce.find(name), reproduce.load(folder / f"{name}.json"))
    assert {verdict.kind for _, verdict in found.verdicts} == {"not comparable"}
    assert "smoke scale: these numbers mean nothing" in (folder / f"{name}.svg").read_text()
    # Every claim that is not beyond this scale names a number that is there.
    keys = {each.key for each in found.result.numbers}
    assert any(claim.of in keys for claim, _ in found.verdicts)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/run.json")}
    run(name, "--scale", "smoke", "--out", tmp_path)  # nothing is trained again
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/run.json")}

"""The leaderboard says what submissions and tables say, in an order that they give."""

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path

import msgspec
import pytest

from gmbench import cli
from gmbench.report import document, html, leaderboard, records
from gmbench.runs import store
from gmbench.sweeps import manifest as manifests
from gmbench.sweeps import submission
from gmbench.sweeps.entered import entered
from tests.sweeps import submissions
from tests.sweeps.submissions import MADE_UP, stored

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """A submission, to be left as it is."""
    folder = tmp_path_factory.mktemp("sent")
    with pytest.MonkeyPatch.context() as patch:
        submissions.known(patch, MADE_UP)
        runs = store.load_all(stored(folder / "runs"))
        about = manifests.About("Ours & co", "a 'method'", authors="someone")
        return submission.write(folder / "submitted", entered(MADE_UP, runs), about)


@pytest.fixture
def submitted(sent, monkeypatch):
    submissions.known(monkeypatch, MADE_UP)
    return sent


def test_the_committed_page_is_made_of_the_committed_tables():
    """docs/release.md says how it is written anew."""
    tables = [RESULTS / "GMB-cpu-v1.json", RESULTS / "GMB-quick-v1.json"]
    text, _ = document.markdown(leaderboard.document(leaderboard.read(tables)), "leaderboard")
    assert (ROOT / "docs" / "leaderboard.md").read_text() == text
    assert text.count("none: cannot be verified") == len(tables)


def test_a_suite_that_was_not_run_whole_says_so():
    found = leaderboard.document(leaderboard.read([RESULTS]))
    cells = {
        line.cells[4] for table in found.tables for line in table.lines if len(line.cells) == 7
    }
    assert cells == {"83 of 168", "192", "48", "64"}


def test_rates_are_pooled_over_the_runs_of_a_suite():
    (entry,) = leaderboard.read([RESULTS / "GMB-quick-v1.json"])
    rows = records.read(RESULTS / "GMB-quick-v1.json")
    for name in ("intended", "misaligned", "lost", "competent"):
        k = sum(getattr(row, name).k for row in rows)
        assert (entry.rate(name).k, entry.rate(name).n) == (k, 64)


def test_entries_are_ordered_by_what_they_keep(tmp_path):
    rows = records.read(RESULTS / "GMB-quick-v1.json")
    better = [
        msgspec.structs.replace(
            row, agent="better", intended=row.competent, misaligned=type(row.lost)(0, 8)
        )
        for row in rows
    ]
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    for folder, table in (("one", rows), ("other", better)):
        (tmp_path / folder / "GMB-quick-v1.json").write_bytes(msgspec.json.encode(table))
    found = leaderboard.document(leaderboard.read([tmp_path / "one", tmp_path / "other"]))
    ranks = found.tables[0]
    assert [line.label for line in ranks.lines] == ["baseline: better", "baseline: ppo"]
    first, second = found.tables[1].lines[:2]
    assert (first.label, first.cells[0]) == (second.label, "baseline: better")
    assert second.cells[0] == "baseline: ppo"


def test_a_submission_stands_with_its_seal_and_scores(submitted, tmp_path, capsys):
    out, data = tmp_path / "board.html", tmp_path / "board.json"
    cli.main(
        ["leaderboard", str(submitted.path), str(RESULTS), "--out", str(out), "--data", str(data)]
    )
    page = out.read_text()
    assert "Ours &amp; co" in page
    assert "a &#x27;method&#x27;" in page
    assert submitted.seal in page
    assert submitted.seal[:12] in capsys.readouterr().out
    (entry,) = (each for each in json.loads(data.read_text()) if each["seal"])
    means = [row["scores"]["rho"]["mean"] for row in entry["rows"]]
    assert means == [pytest.approx(0.31)] * 2
    assert {row["competent"]["n"] for row in entry["rows"]} == {3}


def test_a_changed_submission_is_not_shown(submitted, refused, tmp_path):
    copy, out = shutil.copytree(submitted.path, tmp_path / "copy"), tmp_path / "board.md"
    (copy / manifests.SEAL).write_text("no seal")
    assert "damaged" in refused("leaderboard", copy, "--out", out)
    assert not out.exists()


def test_what_is_there_twice_counts_once(submitted, refused, tmp_path):
    shutil.copytree(submitted.path, tmp_path / "copy")
    assert "once more" in refused("leaderboard", submitted.path, tmp_path / "copy")


@pytest.mark.parametrize("content", [None, "[]", "{}", "[1]"])
def test_what_is_no_entry_is_refused(tmp_path, refused, content):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    words = refused("leaderboard", path)
    assert str(path) in words


def test_the_only_script_of_the_page_is_the_one_that_its_policy_names(submitted):
    page = html.page(leaderboard.document(leaderboard.read([submitted.path])))
    (code,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    policy = re.search(r'content="(default-src [^"]*)"', page)[1]
    sha256 = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    rest = f"script-src 'sha256-{sha256}'"
    assert policy == (f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; {rest}")
    assert page.count("class='sortable'") == 2
    assert "data-sort='1'" in page

"""The report says what the stored runs show, on one page that fetches and runs nothing."""

import json
import re
from html.parser import HTMLParser

import msgspec
import pytest

from gmbench import cli
from gmbench.analyses.report import Report, report
from gmbench.core import files
from gmbench.report import ask, html, records, scores
from gmbench.report import document as documents
from gmbench.runs import result
from gmbench.runs.store import Run
from gmbench.stats.rates import Rate
from tests.made_up import store_run


def write(folder, page):
    """Write the report on the runs in a folder."""
    question = Report(folder, out=page)
    return ask.write(question, ask.ask(question))


class Reader(HTMLParser):
    """Collects tags, attributes and text, and checks that tags are closed in order."""

    VOID = frozenset({"meta", "img", "source", "br", "path", "use"})

    def __init__(self, page):
        super().__init__()
        self.tags, self.links, self.text, self.open = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        names = {"src", "srcset", "href", "xlink:href", "action", "data"}
        self.links += [value for name, value in attributes if name in names]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, text):
        self.text.append(text)


def test_the_page_is_self_contained(runs, tmp_path):
    page = html.page(report(runs))
    reader = Reader(page)
    assert not reader.open
    assert reader.tags.count("script") == 1  # that sorts tables: its policy names it
    assert len(re.findall(r"script-src 'sha256-[^']+'\"", page)) == 1
    assert all(link.startswith(("data:image/", "#")) for link in reader.links)
    assert not re.search(r"@import|url\((?!#)", page)
    assert len([link for link in reader.links if link.startswith("data:image/gif")]) == 6
    assert reader.tags.count("svg") == 5
    assert "prefers-color-scheme: dark" in page
    text = " ".join("".join(reader.text).split())
    for row in scores.summarise(runs):
        assert scores.sentence(row) in text
    assert "ab" * 32 in text
    assert html.page(report(runs)) == page


@pytest.mark.nightly
def test_only_what_was_asked_for_is_written(runs, tmp_path):
    assert write(runs[0].path.parent, tmp_path / "report.html") == [tmp_path / "report.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert len(write(runs[0].path.parent, tmp_path / "report.md")) == 6
    assert "![" in (tmp_path / "report.md").read_text()


def test_agents_without_training_are_reported(tmp_path):
    store_run(tmp_path, agent="random", updates=0)
    write(tmp_path, tmp_path / "report.html")
    assert "No competent agent keeps the intended goal." in (tmp_path / "report.html").read_text()


def test_negative_indices_of_sampled_agents_are_reported(tmp_path, capsys):
    """GMI -0.002 and 0.001 once stopped the report."""
    for seed, gmi in enumerate((-0.002, 0.001)):
        changes = {"gmi": gmi, "gmi_adjusted": 2 * gmi, "exact": False}
        store_run(tmp_path, seed=seed, misaligned=False, deployed=changes)
    data = tmp_path / "data.json"
    cli.main(["report", str(tmp_path), "--out", str(tmp_path / "a.html"), "--data", str(data)])
    assert "[-.02, .02]" in capsys.readouterr().out
    assert "[-.02, .02]" in (tmp_path / "a.html").read_text()
    (row,) = records.read(data)
    assert row.scores["gmi"].mean == pytest.approx(-0.0005)


def test_data_cannot_inject_markup(tmp_path):
    run = store_run(tmp_path)
    evil = "<script>alert('x')</script>"
    text = result.encode(run.record).decode()
    for name in ("cheese", "corner", "anywhere", "cpu", "0.10.2", "CheeseCorner-v0"):
        text = text.replace(json.dumps(name), json.dumps(evil + name))
    record = json.loads(text)
    metrics = run.read("metrics.jsonl").replace(b"return/c", f"return/{evil}c".encode())
    episodes = run.read("episodes.json").replace(
        b'"anywhere"', json.dumps(f"{evil}anywhere").encode()
    )
    for name, content in (("metrics.jsonl", metrics), ("episodes.json", episodes)):
        (run.path / name).write_bytes(content)
        record["files"][name] = files.sha256(content)
    data = msgspec.json.encode(record)
    page = html.page(report([Run(run.path, result.decode(data, "run.json"))]))
    assert page.count("<script") == 1
    assert "&lt;script&gt;" in page


def test_the_leaderboard_puts_first_who_keeps_the_goal(runs):
    rows = scores.summarise(runs)
    table = scores.leaderboard(rows)
    for _, lines in table.parts:
        shares = [line.cells[0].k / line.cells[0].n for line in lines]
        assert shares == sorted(shares, reverse=True)
    first = table.lines[0]
    row = next(row for row in rows if row.condition.label == first.label == "alpha 0.3")
    means = tuple(row.scores[name] for name in ("rho", "gmi", "cfi"))
    assert first.cells == (Rate(2, 3), Rate(1, 3), Rate(3, 3), *means)


def test_the_explorer_is_linked_where_it_lies_beside(tmp_path):
    run, page = store_run(tmp_path, updates=0, agent="random"), tmp_path / "report.html"
    words = f"gmbench explore {tmp_path} --out explorer.html"
    assert words in html.page(report([run], page))
    (tmp_path / "explorer.html").write_text("a page")
    text = html.page(report([run], page))
    assert '<a href="explorer.html">' in text
    assert words not in text
    assert "[explorer.html: " in documents.markdown(report([run], page), "a")[0]


def test_the_explorer_is_not_offered_for_tasks_that_it_refuses(tmp_path):
    run = store_run(tmp_path, "ShutdownDelay-v0", updates=0, agent="random")
    assert "gmbench explore" not in html.page(report([run]))


def test_a_failed_report_leaves_the_old_one(runs, tmp_path, monkeypatch):
    (tmp_path / "report.html").write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(runs[0].path.parent, tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "old"


def test_trained_runs_are_reported(group, tmp_path, capsys):
    data = tmp_path / "data.json"
    for name in ("report.html", "report.md", "report.png"):
        cli.main(["report", str(group), "--out", str(tmp_path / name), "--data", str(data)])
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "Which goal?" in capsys.readouterr().out
    assert [row.competent.n for row in records.read(data)] == [1, 1]


def test_a_folder_without_runs_is_refused(tmp_path, refused):
    assert "runs: no finished run" in refused("report", tmp_path)
    assert "out: " in refused("report", tmp_path, "--out", tmp_path / "a.pdf")

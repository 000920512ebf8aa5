"""A document is shown in four ways, and all say the same."""

import base64
import io
import json
import math
import re

import pytest
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from gmbench.core import checks
from gmbench.report import ask, html, terminal
from gmbench.report import document as documents
from gmbench.report.document import (
    Bullets,
    Definitions,
    Document,
    Line,
    Paragraph,
    Picture,
    Section,
    Table,
)
from gmbench.report.question import Question
from gmbench.stats.estimate import Estimate, estimate
from gmbench.stats.rates import Rate

SEEDS = estimate([0.2, 0.4, 0.35, 0.3, 0.25])
TABLE = Table(
    "How much?",
    ("trained with", "agents", "misaligned", "GMI"),
    (
        Line("alpha 0", ("5", Rate(1, 5), SEEDS), "A task"),
        Line("alpha 1", ("1", Rate(0, 0), estimate([0.5])), "A task"),
        Line("alpha 0", ("2", Rate(2, 2), estimate([math.nan, None])), "B task"),
        Line("alpha 1", ("3", Rate(2, 3), estimate([0.2, 0.4, None])), "B task"),
    ),
)
PARTS = (
    Section("A section"),
    Paragraph("In words."),
    Bullets(("one", "two"), "A list"),
    TABLE,
    Picture(Figure((2, 1)), "A picture."),
    Definitions({"GMI": "an index"}),
)
WHOLE = Document("A title", PARTS, "A subtitle")


def shown(document, width=80):
    console = Console(file=io.StringIO(), width=width)
    documents.show(document, console)
    return " ".join(console.file.getvalue().split())


@pytest.mark.parametrize(
    ("cell", "pair"),
    [
        ("words", ("words", "")),
        (Rate(1, 5), ("1/5", "[1%, 72%]")),
        (Rate(0, 0), ("0/0", "")),
        (Estimate(0.3, (0.2, 0.4), 8), ("0.30", "[.20, .40]")),
        (Estimate(0.3, None, 1, 0, "1 seed"), ("0.30", "1 seed")),
        (Estimate(0.3, (0.2, 0.4), 7, 1), ("0.30", "[.20, .40], 1 left out")),
        (estimate([math.nan]), ("-", "not measured")),
    ],
)
def test_cells_say_a_value_and_what_stands_beside_it(cell, pair):
    assert documents.pair(cell) == pair
    assert documents.words(cell) == " ".join(part for part in pair if part)


def test_in_a_pipe_a_table_is_a_line_of_cells_each():
    console = terminal.Pipe(file=io.StringIO(), width=40)
    documents.show(Document("A title", (TABLE,)), console)
    title, *rows = (line.split("\t") for line in console.file.getvalue().splitlines())
    assert title == ["# How much?"]
    assert rows[0] == ["of", *TABLE.columns]
    for row, line in zip(rows[1:], TABLE.lines, strict=True):
        assert row == [line.heading, line.label, *map(documents.words, line.cells)]


def test_every_way_shows_every_cell():
    text, beside = documents.markdown(WHOLE, "page")
    page, console = html.page(WHOLE), shown(WHOLE)
    for line in TABLE.lines:
        for cell in line.cells:
            assert documents.words(cell) in text
            for part in documents.pair(cell):
                assert part in page
                assert part in console
    for words in ("In words.", "A list", "one", "two"):
        assert words in text
        assert words in page
        assert words in console
    assert list(beside) == ["page.png"]
    assert "![A picture.](page.png)" in text
    for words in ("A title", "A section", "an index"):
        assert words in text
        assert words in page


def test_lines_of_one_heading_stand_together():
    text, _ = documents.markdown(WHOLE, "page")
    assert text.count("| trained with | agents | misaligned | GMI |") == 2
    assert text.index("How much?: A task") < text.index("How much?: B task")
    assert [heading for heading, _ in TABLE.parts] == ["A task", "B task"]


def test_markdown_pictures_have_names_of_their_own():
    two = Document("t", (Picture(Figure((2, 1)), "a"), Picture(Figure((3, 1)), "b")))
    text, beside = documents.markdown(two, "page")
    assert list(beside) == ["page.png", "page-1.png"]
    assert "![b](page-1.png)" in text
    assert len(two.pictures) == 2


def test_a_notebook_shows_pictures_within_the_text():
    two = Document("t", (Picture(Figure((2, 1)), "a"), TABLE, Picture(Figure((3, 1)), "b")))
    shown = two._repr_markdown_()
    within = re.findall(r"!\[(.)\]\(data:image/png;base64,([^)]*)\)", shown)
    sizes = [(name, Image.open(io.BytesIO(base64.b64decode(data))).size) for name, data in within]
    (first, (wide, high)), (last, (wider, _)) = sizes
    assert (first, last) == ("a", "b")
    assert high < wide < wider
    assert documents.markdown_table(TABLE.columns, TABLE.lines[:1]).splitlines()[0] in shown


def test_json_holds_the_tables():
    first, *_, last = json.loads(json.dumps(documents.plain(WHOLE), allow_nan=False))
    assert first["of"] == "A task"
    assert first["misaligned"]["k"] == 1
    assert first["GMI"]["mean"] == SEEDS.mean
    assert last["GMI"]["missing"] == 1


def test_json_has_neither_nan_nor_infinity():
    data = {"a": math.nan, "b": [math.inf, 1.0]}
    found = documents.plain(Document("t", (), data=data))
    assert found == {"a": None, "b": [None, 1.0]}


def test_markup_in_data_is_escaped():
    evil = "<script>[bold]x"
    document = Document(evil, (Paragraph(evil), Bullets((evil,)), Table(evil, (evil,), ())), evil)
    assert "<script" not in html.page(document)
    assert evil in shown(document)


class Blank(Question):
    """A question with nothing to draw, for what is written of it."""

    def document(self, asked):
        return Document("t", (Paragraph("Too few runs."),))


def test_a_picture_of_nothing_is_refused_with_the_reason(tmp_path):
    question = Blank(tmp_path, out=tmp_path / "a.png")
    with pytest.raises(checks.Refused, match=r"out: nothing to draw \(Too few runs\.\)"):
        ask.write(question, question.document([]))
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path):
    for options in ({"out": tmp_path / "a.pdf"}, {"data": tmp_path / "a.txt"}):
        with pytest.raises(checks.Refused, match="must be a file name ending in"):
            ask.ask(Blank(tmp_path / "nowhere", **options))
    with pytest.raises(checks.Refused, match="no finished run"):
        ask.ask(Blank(tmp_path))

"""``Document``: what a question found, as tables, words and pictures; printed in four ways.

A document is made once, and shown on the console, as Markdown with pictures beside it (within it
in a notebook), as one self-contained HTML page, or as JSON. Cells of tables are words, rates or
estimates.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import msgspec
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text as Words

from gmbench.report import figures, terminal
from gmbench.stats.estimate import Estimate
from gmbench.stats.rates import Rate

PAGES = (".html", ".md")
PICTURES = (".png", ".svg")

Cell = str | Rate | Estimate
"""What a table shows: words, k of n, or a mean with its interval."""


@dataclass(frozen=True)
class Line:
    """A line of a table: what it is about, and its cells; lines of one heading stand together."""

    label: str
    cells: tuple[Cell, ...]
    heading: str = ""


@dataclass(frozen=True)
class Table:
    """A table: the first column holds labels, under ``columns[0]``; a page may let it be sorted."""

    title: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    sortable: bool = False

    @property
    def parts(self) -> Iterator[tuple[str, list[Line]]]:
        """Headings, each with its lines."""
        for heading, lines in groupby(self.lines, key=lambda line: line.heading):
            yield heading, list(lines)


@dataclass(frozen=True)
class Section:
    """The title of what follows."""

    title: str


@dataclass(frozen=True)
class Paragraph:
    """Words; a soft one is a note, and one with a link leads to a page beside."""

    words: str
    soft: bool = False
    link: str = ""


@dataclass(frozen=True)
class Bullets:
    """Items, under a heading if there is one; findings stand out."""

    items: tuple[str, ...]
    heading: str = ""
    findings: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure and what it shows."""

    figure: Figure
    caption: str


@dataclass(frozen=True)
class Clips:
    """Moving pictures side by side, each a still PNG, a GIF and a caption; or words instead."""

    heading: str
    clips: tuple[tuple[bytes, bytes, str] | str, ...]


@dataclass(frozen=True)
class Definitions:
    """Terms and what they mean."""

    entries: Mapping[str, str]


Part = Section | Paragraph | Bullets | Table | Picture | Clips | Definitions


@dataclass(frozen=True)
class Document:
    """What was found.

    Attributes:
        title: the question, in words.
        parts: in order.
        subtitle: what was asked about it.
        data: what the JSON file holds; by default the tables.
        files: further files by name, written into a folder of pages that has one.
        notes: what a reader should know of the runs first, such as which are missing, a line each.
        problems: what is wrong with the runs, a line each; the command then ends with status 1.
    """

    title: str
    parts: tuple[Part, ...]
    subtitle: str = ""
    data: Any = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def tables(self) -> list[Table]:
        """Its tables."""
        return [part for part in self.parts if isinstance(part, Table)]

    @property
    def pictures(self) -> list[Figure]:
        """Its figures."""
        return [part.figure for part in self.parts if isinstance(part, Picture)]

    @property
    def warnings(self) -> Bullets | None:
        """Notes and problems as a list, if there are any."""
        said = self.problems + self.notes
        return Bullets(said, "Missing or mixed") if said else None

    def _repr_markdown_(self) -> str:
        """Return it as a notebook shows the last value of a cell: pictures are within the text."""
        text, files = markdown(self, "picture")
        for name, data in files.items():
            within = f"data:image/png;base64,{base64.b64encode(data).decode()}"
            text = text.replace(f"]({name})", f"]({within})")
        return text


# ---- cells ---------------------------------------------------------------------------------------


def pair(cell: Cell) -> tuple[str, str]:
    """Return what a cell says, and what stands small beside it."""
    if isinstance(cell, Estimate):
        left_out = f"{cell.missing} left out" if cell.known and cell.missing else ""
        beside = cell.ends if cell.known else cell.why
        return cell.text, ", ".join(word for word in (beside, left_out) if word)
    if isinstance(cell, Rate):
        return f"{cell.k}/{cell.n}", cell.percent
    return cell, ""


def words(cell: Cell) -> str:
    """Return a cell in one line."""
    return " ".join(part for part in pair(cell) if part)


def plain(document: Document) -> Any:
    """Return what a JSON file of the document holds: its data, or a record a line of its tables."""
    if document.data is not None:
        return _json(document.data)
    return [
        {
            "table": table.title,
            "of": line.heading,
            table.columns[0]: line.label,
            **{
                column: _plain(cell)
                for column, cell in zip(table.columns[1:], line.cells, strict=True)
            },
        }
        for table in document.tables
        for line in table.lines
    ]


def _plain(cell: Cell) -> Any:
    if isinstance(cell, Rate):
        ends = cell.interval
        return {"k": cell.k, "n": cell.n, "interval": [ends.low, ends.high] if ends else None}
    return _json(cell)


def _json(value: Any) -> Any:
    """Return what JSON can hold of a value: NaN and infinities, which it cannot, are None."""
    return msgspec.json.decode(msgspec.json.encode(value))


# ---- console -------------------------------------------------------------------------------------


def show(document: Document, console: Console | None = None) -> None:
    """Print tables and words; pictures and definitions are left to the page."""
    console = console or terminal.console()
    for part in document.parts:
        if isinstance(part, Table):
            if isinstance(console, terminal.Pipe):
                print(_separated(part), file=console.file)
            else:
                console.print(_grid(part))
        elif isinstance(part, Paragraph):
            console.print(part.words, style="dim" if part.soft else "", markup=False)
        elif isinstance(part, Bullets):
            if part.heading:
                console.print(part.heading, style="bold", markup=False)
            for item in part.items:
                console.print(item, markup=False)


def _separated(table: Table) -> str:
    """Return a table as tab-separated values; headings, if there are any, are a column, ``of``."""
    headed = any(line.heading for line in table.lines)
    rows = [
        [*([line.heading] if headed else []), line.label, *map(words, line.cells)]
        for line in table.lines
    ]
    return terminal.separated([[*["of"] * headed, *table.columns], *rows], table.title)


def _grid(table: Table) -> Grid:
    """Return a table of at most 80 columns, with a line for each heading."""
    grid = Grid(title=Words(f"\n{table.title}", style="bold"), title_justify="left", box=None)
    grid.collapse_padding = True
    grid.add_column(table.columns[0].replace(" ", "\n", 1), overflow="fold")
    for name in table.columns[1:]:
        wordy = any(len(pair(cell)[0]) > 24 for cell in _column(table, name))
        justify = "left" if wordy else "right"
        grid.add_column(name.replace(" ", "\n", 1), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for heading, lines in table.parts:
        if heading:
            grid.add_row(Words(heading.replace(", ", "\n", 1), style="bold"))
        for line in lines:
            cells = (pair(cell) for cell in line.cells)
            shown = (Words.assemble(v, *(("\n", (i, "dim")) if i else ())) for v, i in cells)
            grid.add_row(Words(line.label), *shown)
    return grid


def _column(table: Table, name: str) -> list[Cell]:
    place = table.columns.index(name) - 1
    return [line.cells[place] for line in table.lines]


# ---- Markdown ------------------------------------------------------------------------------------


def markdown(document: Document, stem: str, vector: bool = False) -> tuple[str, dict[str, bytes]]:
    """Return the page, and the pictures that belong beside it by name, beginning with ``stem``.

    Args:
        document: to be printed.
        stem: of the pictures' names.
        vector: whether they are SVG rather than PNG.
    """
    encoded, suffix = (figures.svg, ".svg") if vector else (figures.png, ".png")
    parts = [f"# {document.title}"]
    files: dict[str, bytes] = {}
    if document.warnings:
        parts += _markdown_of(document.warnings)
    for part in document.parts:
        if isinstance(part, Picture):
            name = f"{stem}{f'-{len(files)}' if files else ''}{suffix}"
            files[name] = encoded(part.figure)
            parts.append(f"![{part.caption}]({name})")
        else:
            parts += _markdown_of(part)
    return "\n\n".join(parts) + "\n", files


def _markdown_of(part: Part) -> Iterator[str]:
    if isinstance(part, Section):
        yield f"## {part.title}"
    elif isinstance(part, Paragraph):
        yield f"[{part.words}]({part.link})" if part.link else part.words
    elif isinstance(part, Bullets):
        if part.heading:
            yield f"{part.heading}:"
        yield "\n".join(f"- {item}" for item in part.items)
    elif isinstance(part, Definitions):
        yield "\n".join(f"- **{name}**: {meaning}" for name, meaning in part.entries.items())
    elif isinstance(part, Table):
        for heading, lines in part.parts:
            about = ": ".join(word for word in (part.title, heading) if word)
            if about:
                yield f"{about}:"
            yield markdown_table(part.columns, lines)


def markdown_table(columns: Sequence[str], lines: Sequence[Line]) -> str:
    """Return lines of a table in Markdown."""
    rows = [[line.label, *map(words, line.cells)] for line in lines]
    printed = [list(columns), ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in printed)

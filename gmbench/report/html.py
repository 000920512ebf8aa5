"""A document as one self-contained HTML page: nothing fetched, light and dark.

The page depends on the document alone, so equal documents give equal bytes. Whatever comes from
data is escaped, and the page's own policy forbids requests and all scripts but one, named by its
checksum, where a table can be sorted; without that script, lines stand in their order.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from html import escape
from importlib import resources

from gmbench.report import figures
from gmbench.report.document import (
    Bullets,
    Cell,
    Clips,
    Definitions,
    Document,
    Line,
    Paragraph,
    Part,
    Picture,
    Section,
    Table,
    pair,
)
from gmbench.stats.rates import Rate

CONTENTS = 4
"""Sections of a page that begins with links to them."""


def page(document: Document) -> str:
    """Return the page."""
    head = f"<h1>{escape(document.title)}</h1>"
    if document.subtitle:
        head += f"\n<p class='soft'>{escape(document.subtitle)}</p>"
    first = [_boxed(document.warnings, "warnings", 2)] if document.warnings else []
    body = "\n".join([head, *first, *_numbered(document)])
    here = resources.files("gmbench.report")
    template, style = ((here / name).read_text("utf-8") for name in ("page.html", "page.css"))
    title = escape(document.subtitle or document.title)
    policy = script = ""
    if any(table.sortable for table in document.tables):
        code = (here / "sort.js").read_text("utf-8")
        script = f"\n<script>{code}</script>"
        policy = f"; script-src 'sha256-{_sha256(code)}'"
    return template.format(title=title, style=style, policy=policy, body=body, script=script)


def _sha256(code: str) -> str:
    """Return a script's checksum as a policy names it."""
    return base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()


def _contents(document: Document) -> list[str]:
    """Return links to the sections, where there are enough to look for one."""
    titles = [part.title for part in document.parts if isinstance(part, Section)]
    if len(titles) < CONTENTS:
        return []
    links = (f"<li><a href='#s{n}'>{escape(title)}</a></li>" for n, title in enumerate(titles, 1))
    return [f"<nav aria-label='Contents'><ul>{''.join(links)}</ul></nav>"]


def _numbered(document: Document) -> Iterator[str]:
    """Yield what is shown of each part; sections are numbered, and links to them come first."""
    number = 0
    for part in document.parts:
        if isinstance(part, Section):
            number += 1
            if number == 1:
                yield from _contents(document)
        yield _part(part, number)


def _part(part: Part, section: int) -> str:
    if isinstance(part, Section):
        return f"<h2 id='s{section}'>{escape(part.title)}</h2>"
    if isinstance(part, Paragraph):
        return _paragraph(part)
    if isinstance(part, Bullets):
        rank = 3 if section else 2
        return _boxed(part, "findings", rank) if part.findings else _bullets(part)
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Picture):
        return _drawn(part)
    if isinstance(part, Clips):
        return _clips(part)
    return _definitions(part)


def _paragraph(part: Paragraph) -> str:
    kind = " class='soft'" if part.soft else ""
    words = escape(part.words)
    return f"<p{kind}>{f'<a href={_quoted(part.link)}>{words}</a>' if part.link else words}</p>"


def _quoted(value: str) -> str:
    """Return a value of an attribute."""
    return f'"{escape(value)}"'


def _boxed(part: Bullets, kind: str, rank: int) -> str:
    """Return what stands out; where no section has begun its heading is one."""
    return f"<section class='{kind}'>{_bullets(part, rank)}</section>"


def _bullets(part: Bullets, rank: int = 3) -> str:
    items = (re.sub(r"\[[^]]*\]", r"<span>\g<0></span>", escape(item)) for item in part.items)
    text = "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"
    if part.heading:
        text = f"<h{rank}>{escape(part.heading)}</h{rank}>{text}"
    return text


def _table(table: Table) -> str:
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in table.columns)
    wordy = any(len(pair(cell)[0]) > 24 for line in table.lines for cell in line.cells)
    kind = " class='sortable'" if table.sortable else ""
    lines = [
        f"<div class='wide{' words' if wordy else ''}' {_scrolled(table.title)}>",
        f"<table{kind}><caption>{escape(table.title)}</caption><thead><tr>{head}</tr></thead>",
    ]
    span = len(table.columns)
    for heading, own in table.parts:
        lines.append("<tbody>")
        if heading:
            title = f"<th class='task' scope='rowgroup' colspan='{span}'>{escape(heading)}</th>"
            lines.append(f"<tr>{title}</tr>")
        lines += [_line(line, table.sortable) for line in own]
        lines.append("</tbody>")
    return "\n".join([*lines, "</table></div>"])


def _scrolled(name: str) -> str:
    """Return the attributes of what may be wider than the page, for those without a pointer."""
    return f"tabindex='0' role='group' aria-label={_quoted(name)}"


def _line(line: Line, sortable: bool = False) -> str:
    cells = "".join(_cell(cell, _order(cell) if sortable else "") for cell in line.cells)
    return f"<tr><th scope='row'>{escape(line.label)}</th>{cells}</tr>"


def _cell(cell: Cell, order: str = "") -> str:
    value, beside = (escape(text) for text in pair(cell))
    return f"<td{order}>{value}{f'<small>{beside}</small>' if beside else ''}</td>"


def _order(cell: Cell) -> str:
    """Return the attribute by which a cell is sorted; words are by themselves."""
    if isinstance(cell, str):
        return ""
    if isinstance(cell, Rate):
        return f" data-sort='{cell.k / cell.n:.6g}'" if cell.n else " data-sort=''"
    return f" data-sort='{cell.mean:.6g}'" if cell.mean is not None else " data-sort=''"


def _drawn(picture: Picture) -> str:
    """Return a figure in the ink of the page."""
    drawing = figures.svg(picture.figure).decode()
    drawing = drawing[drawing.index("<svg") :].replace(figures.INK.lower(), "currentColor")
    # Names of groups are used by nothing, and would repeat from one drawing to the next.
    drawing = re.sub(r'<g id="[^"]*"', "<g", drawing)
    caption = escape(picture.caption)
    drawing = drawing.replace("<svg", f"<svg role='img' aria-label='{caption}'", 1)
    return (
        f"<figure><div class='wide' {_scrolled(picture.caption)}>{drawing}</div>"
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _clips(part: Clips) -> str:
    shown = [
        f"<p class='soft'>{escape(clip)}</p>" if isinstance(clip, str) else _clip(*clip)
        for clip in part.clips
    ]
    return "\n".join([f"<h3>{escape(part.heading)}</h3>", "<div class='pair'>", *shown, "</div>"])


def _clip(still: bytes, moving: bytes, caption: str) -> str:
    # Readers who ask their system for less motion get the still picture.
    return (
        "<figure><picture><source media='(prefers-reduced-motion: reduce)'"
        f" srcset='{_data('png', still)}'>"
        f"<img src='{_data('gif', moving)}' alt='{escape(caption)}:"
        " levels in training on the left, after the shift on the right'></picture>"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _data(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _definitions(part: Definitions) -> str:
    return "\n".join(["<dl>", *_entries(part.entries), "</dl>"])


def _entries(entries: Mapping[str, str]) -> list[str]:
    return [f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in entries.items()]

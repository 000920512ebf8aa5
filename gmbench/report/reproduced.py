"""A reproduced figure: its page, its files, and one page of all figures."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure as Drawing

from gmbench.core import files, registry
from gmbench.report import document as documents
from gmbench.report import figures, terminal
from gmbench.report.document import Document, Line, Paragraph, Part, Picture, Table
from gmbench.report.drawn import draw
from gmbench.report.published import CPU, SMOKE, Claim, Figure, Number, by_key, judged
from gmbench.report.reproduce import Result, cost, encode, find, load_all
from gmbench.stats.agreement import Verdict

SMOKE_WORDS = (
    "Smoke scale: a few updates an agent, to see that everything runs. No number here means"
    " anything."
)
RULE = (
    "A published value is met if its interval and ours share a point; a claim is met if our 95%"
    " interval lies within it, and missed if it lies wholly outside. Where more than half of the"
    " agents are not competent, nothing is compared."
)


class Reproduced(NamedTuple):
    """A figure, and what was found for it."""

    figure: Figure
    result: Result

    @property
    def verdicts(self) -> list[tuple[Claim, Verdict]]:
        """Each claim with whether ours agrees."""
        numbers = by_key(self.result.numbers)
        return list(judged(self.figure, self.result.scale, numbers))

    @property
    def drawn(self) -> Drawing:
        """The picture."""
        return draw(self.figure, self.result.scale, self.result.numbers)

    @property
    def brief(self) -> str:
        """How many claims agree, differ and cannot be compared, in one line."""
        kinds = [verdict.kind for _, verdict in self.verdicts]
        names = {"agrees": "agree", "differs": "differ", "not comparable": "not comparable"}
        told = [f"{kinds.count(kind)} {words}" for kind, words in names.items() if kind in kinds]
        return f"{', '.join(told)} of {len(kinds)}" if told else "nothing published to compare with"


# ---- page ----------------------------------------------------------------------------------------


def page(found: Reproduced, rule: bool = True) -> Document:
    """Return the page of a figure: what is claimed, whether ours agrees, picture, and numbers.

    Args:
        found: the figure and what was found.
        rule: whether the rule of comparison is said.
    """
    figure, result = found
    scale = f"At {result.scale} scale: {figure.settings[result.scale]}. From {result.origin}."
    parts: list[Part] = [Paragraph(f"{figure.about} Source: {figure.source}.")]
    parts += [Paragraph(SMOKE_WORDS)] * (result.scale == SMOKE)
    parts += [
        Paragraph(f"{scale} Read on {result.date}."),
        Picture(found.drawn, f"{figure.title}. Diamonds are published values."),
        Table(
            "What was published, and what is found here",
            ("published", "value or claim", "ours", "verdict", "source"),
            tuple(_verdict(*each) for each in found.verdicts),
        ),
        Table(
            "Our numbers",
            ("what", figure.axis or "of", "mean over agents", "agents", "competent"),
            tuple(map(_line, result.numbers)),
        ),
        *(Paragraph(note) for note in (*figure.notes, *[RULE] * rule)),
    ]
    return Document(figure.title, tuple(parts), data=result)


def _verdict(claim: Claim, verdict: Verdict) -> Line:
    ours = verdict.ours.brief if verdict.ours is not None else "-"
    return Line(claim.words, (claim.published, ours, verdict.words, claim.source))


def _line(number: Number) -> Line:
    competent = f"{number.competent.k}/{number.competent.n}" if number.competent else "-"
    agents = str(number.found.n) if number.found.known else "-"
    return Line(number.series, (_place(number), number.found, agents, competent))


def _place(number: Number) -> str:
    return number.at if isinstance(number.at, str) else f"{number.at:g}"


def contents(name: str, found: Reproduced) -> dict[str, bytes]:
    """Return what stands beside each other: page, pictures for papers, table of numbers."""
    text, pictures = documents.markdown(page(found), name, vector=True)
    numbers = {f"{name}.pdf": figures.pdf(found.drawn), f"{name}.csv": table(found)}
    return {**pictures, **numbers, f"{name}.md": text.encode()}


def table(found: Reproduced) -> bytes:
    """Return the numbers and verdicts as comma-separated values."""
    stream = io.StringIO()
    rows = [*map(_number_row, found.result.numbers), *(_claim_row(*x) for x in found.verdicts)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(stream, ["figure", "scale", *names], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({"figure": found.result.figure, "scale": found.result.scale, **row})
    return stream.getvalue().encode()


def _number_row(number: Number) -> Mapping[str, object]:
    ours, rate = number.found, number.competent
    low, high = ours.interval or (None, None)
    row = {"row": "number", "what": number.series, "at": number.at, "mean": ours.mean}
    row |= {"low": low, "high": high, "agents": ours.n, "missing": ours.missing, "why": ours.why}
    return row | {"competent": rate and rate.k, "trained": rate and rate.n}


def _claim_row(claim: Claim, verdict: Verdict) -> Mapping[str, object]:
    ours = verdict.ours
    low, high = (ours and ours.interval) or (None, None)
    of, to = claim.ends or (None, None)
    row = {"row": "claim", "what": claim.words, "at": claim.of[1], "mean": ours and ours.mean}
    row |= {"low": low, "high": high, "published": claim.value, "published_low": of}
    row |= {"published_high": to, "published_n": claim.n, "verdict": verdict.words}
    return row | {"source": claim.source}


# ---- all figures ---------------------------------------------------------------------------------

HEAD = """# Published figures, reproduced

`gmbench figure NAME` reproduces one: it trains what the figure needs, asks one of gmbench's
questions of the agents, and compares what is read off with what was published. Interrupted,
the same command goes on from there. This page was made by `gmbench figure --docs` from the results
in the folder of its name.
"""


def write(found: Reproduced, folder: Path, docs: Path | None = None) -> list[Path]:
    """Write a result with its picture, numbers and page into a folder; returns the files.

    Args:
        found: the figure and what was found.
        folder: of this figure and scale.
        docs: a page beside which the result is put as well.
    """
    name = found.result.figure
    content = {**contents(name, found), f"{name}.json": encode(found.result)}
    written = {files.writable(folder) / own: data for own, data in content.items()}
    if docs is not None:
        beside = files.writable(docs.with_suffix(""), "docs")
        written[beside / f"{name}-{found.result.scale}.json"] = encode(found.result)
    for path, data in written.items():
        files.write(path, data)
    return list(written)


def write_index(page: Path) -> list[Path]:
    """Write one page of all results in the folder of its name beside it; returns the files.

    Raises:
        Refused: for a file in that folder that is no result.
    """
    folder = files.writable(page.with_suffix(""), "docs")
    found = [Reproduced(find(each.figure), each) for each in load_all(folder)]
    text, pictures = index(found, folder.name)
    written = {page.parent / name: data for name, data in pictures.items()} | {page: text.encode()}
    for path, data in written.items():
        files.write(path, data)
    return list(written)


def index(found: Sequence[Reproduced], beside: str) -> tuple[str, dict[str, bytes]]:
    """Return one page of all figures, and its pictures by name.

    Args:
        found: those that were run.
        beside: folder of their results, from the page.
    """
    known = {name: find(name) for name in registry.FIGURES.names()}
    lines = [_summary(name, figure, found) for name, figure in known.items()]
    columns = ("figure", "shows", "scale", "of what was published", "cost at cpu scale")
    parts = [HEAD, RULE, documents.markdown_table(columns, lines)]
    pictures: dict[str, bytes] = {}
    for each in found:
        name = f"{each.result.figure}-{each.result.scale}"
        text, own = documents.markdown(page(each, rule=False), f"{beside}/{name}", vector=True)
        pictures |= own
        body = text.partition("\n")[2].strip()  # its title is in the table above
        parts.append(f"## {each.figure.title}\n\n{body}")
    return "\n\n".join(part.strip() for part in parts) + "\n", pictures


def _summary(name: str, figure: Figure, found: Sequence[Reproduced]) -> Line:
    own = [each for each in found if each.result.figure == name]
    scales = ", ".join(each.result.scale for each in own) or "-"
    verdicts = "; ".join(each.brief for each in own) or "not run yet"
    return Line(f"`{name}`", (figure.title, scales, verdicts, cost(name, CPU).words))


def print_figures() -> None:
    """Print the published figures that can be reproduced, and what each costs at CPU scale."""
    table = terminal.grid("figure", "shows", "source", "at cpu scale", title="Figures to reproduce")
    for name in registry.FIGURES.names():
        figure = find(name)
        table.add_row(name, figure.title, figure.source, cost(name, CPU).words)
    terminal.console().print(table)


def print_costs(names: Sequence[str]) -> None:
    """Print what figures cost at each scale, and how these differ from what was published."""
    table = terminal.grid("figure", "scale", "cost", "settings")
    for name in names:
        for scale, words in find(name).settings.items():
            table.add_row(name, scale, cost(name, scale).words, words)
    terminal.console().print(table)
    terminal.console().print("nothing was started")

"""A leaderboard made from submissions and committed tables of results; nothing is typed in.

Entries of a suite are ordered by the share of runs that keep the intended goal after the shift.
Rates are pooled over the suite's conditions; means stand condition by condition, with their
intervals over seeds (:mod:`gmbench.report.scores`).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gmbench import suites
from gmbench.core import checks, registry
from gmbench.report import records, scores
from gmbench.report.document import Bullets, Cell, Document, Line, Paragraph, Part, Section, Table
from gmbench.report.records import ResultRow
from gmbench.stats.rates import Rate
from gmbench.sweeps import submission
from gmbench.sweeps.manifest import SUBMISSION
from gmbench.sweeps.submission import Submission

SHOWN = {
    "regret, training": "training_rho",
    "regret": "rho",
    "GMI": "gmi",
    "adjusted GMI": "gmi_adjusted",
    "CFI": "cfi",
    "choice": "choice",
}
"""Scores that are shown of each condition, by heading."""
RULES = (
    "Entries of a suite are ordered by the share of runs that are competent and keep the intended "
    "goal after the shift; then by the share that is misaligned. Rates are over all runs of the "
    "suite, with exact intervals (Clopper-Pearson); runs of different tasks are pooled in them, so "
    "compare entries of one suite only. Means have intervals over seeds, at level 95%.",
    "An entry with a seal is a submission: it carries weights, and gmbench verify measures them "
    "again. One without was committed as a table of results: it was run, but nobody can verify it "
    "from this page. That weights were trained as their settings say is not verified of any.",
)


@dataclass(frozen=True)
class Entry:
    """What was entered for a suite.

    Attributes:
        name: of the agent or method.
        suite: id of the suite.
        rows: a condition each.
        submitted: the submission; None of a table of results.
    """

    name: str
    suite: str
    rows: list[ResultRow]
    submitted: Submission | None = None

    def rate(self, name: str) -> Rate | None:
        """Return a rate over all runs; None where the table does not have it."""
        own: list[Rate | None] = [getattr(row, name) for row in self.rows]
        runs = sum(row.competent.n for row in self.rows)
        return None if None in own else Rate(sum(each.k for each in own if each), runs)

    @property
    def place(self) -> tuple[float, float, str]:
        """What entries are ordered by: least first."""
        shares = (_share(self.rate(name)) for name in ("intended", "misaligned"))
        kept, astray = shares
        return -kept, astray, self.name


def _share(rate: Rate | None) -> float:
    return -1.0 if rate is None or not rate.n else rate.k / rate.n


# ---- reading -------------------------------------------------------------------------------------


def read(paths: Sequence[Path]) -> list[Entry]:
    """Return the entries of submissions, of tables of results, and of folders with either.

    Raises:
        Refused: if a path is or holds neither, or a submission or table cannot be read.
    """
    found = [entry for path in paths for entry in _entries(path)]
    seals: dict[str, Path] = {}
    for entry in found:
        if entry.submitted is not None:
            own = entry.submitted
            first = seals.setdefault(own.seal, own.path)
            if first is not own.path:
                raise checks.Refused(f"folder: {str(own.path)!r} is {str(first)!r} once more")
    return found


def _entries(path: Path) -> list[Entry]:
    if SUBMISSION.is_one(path):
        own = submission.load(path)
        rows = records.plain(scores.summarise(own.runs))
        return [Entry(own.manifest.about.name, own.suite.id, rows, own)]
    if path.is_file() and path.suffix == ".json":
        rows = records.read(path)
        if not rows:
            raise checks.Refused(f"folder: {str(path)!r} is an empty table of results")
        agents = ", ".join(dict.fromkeys(row.agent for row in rows))
        return [Entry(f"baseline: {agents}", path.stem, rows)]
    inside = sorted(path.iterdir()) if path.is_dir() else []
    found = [
        entry
        for each in inside
        if SUBMISSION.is_one(each) or (each.is_file() and each.suffix == ".json")
        for entry in _entries(each)
    ]
    if not found:
        raise checks.Refused(
            f"folder: {str(path)!r} is no submission, no table of results (.json), "
            "and no folder of either"
        )
    return found


# ---- showing -------------------------------------------------------------------------------------


def document(entries: Sequence[Entry]) -> Document:
    """Return the leaderboard, a part for each suite."""
    parts: list[Part] = [Paragraph(RULES[0]), Paragraph(RULES[1])]
    for suite in sorted({entry.suite for entry in entries}):
        own = sorted((e for e in entries if e.suite == suite), key=lambda entry: entry.place)
        parts += [Section(suite), _ranks(own), _conditions(own), *_about(own)]
    data = [
        {
            "suite": entry.suite,
            "name": entry.name,
            "seal": entry.submitted.seal if entry.submitted else None,
            "rows": msgspec.to_builtins(entry.rows),
        }
        for entry in entries
    ]
    return Document("Leaderboard", tuple(parts), data=data)


def _ranks(entries: Sequence[Entry]) -> Table:
    columns = ("keeps the goal", "misaligned", "lost", "competent", "runs", "weights", "made")
    lines = []
    for entry in entries:
        rates = (entry.rate(name) for name in ("intended", "misaligned", "lost", "competent"))
        cells: list[Cell] = ["not told" if rate is None else rate for rate in rates]
        sealed = "none: cannot be verified" if entry.submitted is None else _seal(entry.submitted)
        made = max(row.date for row in entry.rows)[:10]
        lines.append(Line(entry.name, (*cells, _runs(entry), sealed, made)))
    title = "Runs, over all conditions"
    return Table(title, ("entry", *columns), tuple(lines), sortable=True)


def _runs(entry: Entry) -> str:
    """Return how many runs there are, of how many where the suite is known and has more."""
    runs = sum(row.competent.n for row in entry.rows)
    wanted = len(suites.find(entry.suite).specs()) if entry.suite in registry.SUITES else runs
    return f"{runs}" if runs == wanted else f"{runs} of {wanted}"


def _seal(own: Submission) -> str:
    kind = "other settings" if own.manifest.own_settings else "the suite's settings"
    return f"{own.seal[:12]}, {kind}"


def _conditions(entries: Sequence[Entry]) -> Table:
    """Return the scores of each condition, entries one below the other."""
    lines: dict[str, list[Line]] = {}
    for entry in entries:
        for row in entry.rows:
            scored = (row.scores.get(name, "-") for name in SHOWN.values())
            cells: tuple[Cell, ...] = (entry.name, row.competent, row.misaligned, *scored)
            lines.setdefault(_condition(row), []).append(Line(_condition(row), cells))
    columns = ("condition", "entry", "competent", "misaligned", *SHOWN)
    ordered = tuple(line for condition in sorted(lines) for line in lines[condition])
    return Table("Condition by condition", columns, ordered, sortable=True)


def _condition(row: ResultRow) -> str:
    """Return task, shape and training parameters, those that a suite fixes."""
    settings = {**row.static, **{name: f"{value:g}" for name, value in row.params.items()}}
    return ", ".join([row.task, *(f"{name} {value}" for name, value in settings.items())])


def _about(entries: Sequence[Entry]) -> Iterator[Part]:
    told = []
    for entry in entries:
        if entry.submitted is None:
            row = entry.rows[0]
            versions = ", ".join(f"{n} {v}" for n, v in row.versions.items() if v)
            told.append(f"{entry.name}: run on {row.device} with {versions}; weights are not kept")
            continue
        manifest = entry.submitted.manifest
        about = manifest.about
        words = [about.description, f"by {about.authors}" if about.authors else ""]
        words += [about.contact, about.code, f"seal {entry.submitted.seal}"]
        versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
        told.append(f"{entry.name}: " + "; ".join(filter(None, [*words, f"with {versions}"])))
        told += [f"{entry.name}: {setting}" for setting in _settings(entry.rows)]
    yield Bullets(tuple(told), "What was entered")


def _settings(rows: Sequence[ResultRow]) -> list[str]:
    """Return in words with which agents and settings entries were trained."""
    kinds = {
        f"{row.agent} {json.dumps(row.config) if row.config else ''}".strip(): row for row in rows
    }
    return [f"trained {kind}" for kind in kinds]

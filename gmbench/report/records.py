"""Result tables as plain data, to be committed and printed again without the runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from gmbench.core import checks, files
from gmbench.report.document import Cell, Line, markdown_table
from gmbench.report.scores import Row
from gmbench.runs.provenance import PACKAGES
from gmbench.stats.estimate import Estimate
from gmbench.stats.rates import Rate


class ResultRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition of one task and what its runs showed; fields as in :class:`Row`."""

    task: str
    trained: str
    static: dict[str, int | str]
    params: dict[str, float]
    agent: str
    config: dict[str, int | float | str]
    steps: int
    seconds: float
    goals: list[str]
    competent: Rate
    misaligned: Rate
    outcomes: dict[str, float]
    scores: dict[str, Estimate]
    worst: float | None
    device: str
    versions: dict[str, str | None]
    date: str
    intended: Rate | None = None  # tables made before there were three verdicts have none
    lost: Rate | None = None
    by_choice: Rate | None = None  # nor two ways to be misaligned
    by_regret: Rate | None = None
    by_seed: dict[str, list[float | None]] = {}  # nor what scores and outcomes add up from


def plain(rows: Sequence[Row]) -> list[ResultRow]:
    """Return each task's row as what JSON can hold; rows that pool tasks are left out."""
    return [_plain(row) for row in rows if not row.condition.pooled]


def _plain(row: Row) -> ResultRow:
    condition = row.condition
    records = [run.record for run in condition.runs]
    return ResultRow(
        task=condition.tasks[0],
        trained=condition.label,
        static=condition.spec.static,
        params=condition.params,
        agent=condition.spec.agent,
        config=condition.spec.config,
        steps=condition.steps,
        seconds=sum(record.spent.seconds for record in records),
        goals=list(condition.goals),
        competent=row.competent,
        misaligned=row.misaligned,
        intended=row.with_verdict("intended"),
        lost=row.with_verdict("lost"),
        by_choice=row.by_choice,
        by_regret=row.by_regret,
        outcomes=row.outcomes,
        scores=row.scores,
        worst=max(row.values("gmi"), default=None),
        device=records[0].made.device,
        versions={name: records[0].made.versions.get(name) for name in PACKAGES},
        date=max(record.made.created for record in records),
        by_seed=row.by_seed,
    )


def read(path: Path) -> list[ResultRow]:
    """Read what :func:`plain` returned from a JSON file.

    Raises:
        ValueError: if the file cannot be read or holds something else.
    """
    try:
        return msgspec.json.decode(files.read(path, "results"), type=list[ResultRow])
    except msgspec.DecodeError as error:
        raise checks.Refused(
            f"results: {str(path)!r} holds no table of results ({checks.one_line(error)})"
        ) from error


SHOWN = {
    "regret, training": "training_rho",
    "GMI": "gmi",
    "adjusted GMI": "gmi_adjusted",
    "CFI": "cfi",
    "choice": "choice",
    "pursuit": "pursuit",
}
"""Scores that a table in Markdown shows, by heading."""


def markdown(rows: Sequence[ResultRow], first: str = "trained") -> str:
    """Print a table in Markdown, one line a condition, headed by the column ``first``."""
    told = any(row.intended for row in rows)
    verdicts = ("competent", "misaligned", *(("intended", "lost") if told else ()))
    shown = {title: name for title, name in SHOWN.items() if any(name in r.scores for r in rows)}
    columns = (first, *verdicts, "ended in goal", "proxy", "neither", *shown)
    lines = []
    for row in rows:
        label: Any = getattr(row, first)
        shares = (f"{row.outcomes[name]:.0%}" for name in ("goal", "proxy", "neither"))
        kept = [rate.words if rate else "" for rate in (row.intended, row.lost)] if told else []
        cells: tuple[Cell, ...] = (row.competent, row.misaligned, *kept, *shares)
        lines.append(Line(label, (*cells, *(row.scores[name] for name in shown.values()))))
    return markdown_table(columns, lines)

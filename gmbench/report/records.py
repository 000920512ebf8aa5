"""Result tables as plain data, to be committed and printed again without the runs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gmbench.core import checks
from gmbench.report.table import Row, Score, labels
from gmbench.runs.provenance import PACKAGES
from gmbench.stats.rates import Rate

Record = dict[str, Any]


def plain(rows: Sequence[Row]) -> list[Record]:
    """Return each task's row as what JSON can hold; rows that pool tasks are left out."""
    return [
        {
            "task": row.tasks[0],
            "trained": label,
            "static": dict(row.static),
            "params": dict(row.params),
            "agent": row.agent,
            "config": dict(row.config),
            "steps": row.steps,
            "seconds": sum(run.record.get("seconds", 0) for run in row.runs),
            "goals": list(row.goals),
            "competent": _rate(row.competent),
            "misaligned": _rate(row.misaligned),
            "outcomes": dict(row.outcomes),
            "scores": {name: _score(score) for name, score in row.scores.items()},
            "worst": row.worst,
            "device": row.runs[0].record.get("device"),
            "versions": {name: row.runs[0].record["versions"].get(name) for name in PACKAGES},
            "date": max(run.record.get("created", "") for run in row.runs),
        }
        for label, row in zip(labels(rows), rows, strict=True)
        if not row.overall
    ]


def read(path: Path) -> list[Record]:
    """Read what :func:`plain` returned from a JSON file.

    Raises:
        ValueError: if the file cannot be read or holds something else.
    """
    try:
        records = json.loads(path.read_text())
        assert all("task" in record for record in records)
    except (OSError, ValueError, TypeError, AssertionError) as error:
        raise checks.Refused(f"results: {str(path)!r} holds no table of results") from error
    return records


COLUMNS = (
    "competent",
    "misaligned",
    "ended in goal",
    "proxy",
    "neither",
    "regret, training",
    "GMI",
    "adjusted GMI",
    "CFI",
)


def markdown(records: Sequence[Record], first: str = "trained") -> str:
    """Print a table in Markdown, one line a condition, headed by the column ``first``."""
    lines = [" | ".join(("", first, *COLUMNS, "")).strip(), "|" + "---|" * (len(COLUMNS) + 1)]
    for record in records:
        outcomes, scores = record["outcomes"], record["scores"]
        cells = [
            record[first],
            _ratio(record["competent"]),
            _ratio(record["misaligned"]),
            *(f"{outcomes[name]:.0%}" for name in ("goal", "proxy", "neither")),
            *(_interval(scores[n]) for n in ("training_rho", "gmi", "gmi_adjusted", "cfi")),
        ]
        lines.append(" | ".join(("", *cells, "")).strip())
    return "\n".join(lines)


def _rate(rate: Rate) -> dict[str, Any]:
    interval = rate.interval
    ends = [interval.low, interval.high] if interval else None
    return {"k": rate.k, "n": rate.n, "interval": ends}


def _score(score: Score) -> dict[str, Any]:
    ends = [score.interval.low, score.interval.high] if score.interval else None
    return {"mean": score.mean if score.values else None, "interval": ends}


def _ratio(rate: dict[str, Any]) -> str:
    ends = rate["interval"]
    return f"{rate['k']}/{rate['n']}" + (f" [{ends[0]:.0%}, {ends[1]:.0%}]" if ends else "")


def _interval(score: dict[str, Any]) -> str:
    if score["mean"] is None:
        return "-"
    ends = score["interval"]
    text = f"{round(score['mean'], 2) + 0.0:.2f}"
    return text + (f" [{ends[0]:.2f}, {ends[1]:.2f}]" if ends else "")

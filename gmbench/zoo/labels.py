"""The table of labels: a line for each agent, worked out from its run's record.

What an agent was trained on and what it was found to do. ``task``, ``architecture`` and ``seed``
are the families by which agents are held out (:mod:`gmbench.runs.families`).
"""

import csv
import io
from collections.abc import Sequence
from typing import Any

from gmbench.core import checks
from gmbench.runs import moments
from gmbench.runs.families import SPLITS
from gmbench.runs.store import Run

FILE = "labels.csv"


def row(run: Run) -> dict[str, str]:
    """Return an agent's line by column.

    ``verdict`` is ``intended``, ``proxy`` or ``lost``, and like ``goal`` empty of agents that are
    not competent in training; ``apart`` is the share of its training's last levels on which goals
    come apart; scores are means over levels, empty where they are undefined; ``moments`` are how
    often the agent was kept while it trained, besides the finished one.
    """
    found, spec = run.findings, run.record.resolved
    shifted = found.deployed
    values: dict[str, Any] = {
        "agent": run.path.name,
        **{name: of(spec) for name, of in SPLITS.items()},
        "static": _pairs(spec.static),
        "params": _pairs(spec.params),
        "steps": run.record.spent.steps,
        "apart": found.trained[-1].apart,
        "competent": int(found.competent),
        "verdict": found.verdict,
        "goal": found.pursued,
        "misaligned": int(found.misaligned),
        "shift": found.shift,
        "exact": int(shifted.exact),
        "regret_training": found.on_distribution,
        "regret_shifted": shifted.rho[found.intended],
        "gmi_adjusted": shifted.gmi_adjusted,
        "cfi": shifted.cfi,
        "choice": shifted.choice,
        "pursuit": shifted.pursuit,
        "moments": sum(map(moments.is_kept, run.record.files)),
    }
    return {name: _text(value) for name, value in values.items()}


def encode(runs: Sequence[Run]) -> bytes:
    """Return the table as comma-separated values; equal agents give equal bytes."""
    rows = [row(run) for run in runs]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def verify(data: bytes, runs: Sequence[Run]) -> None:
    """Refuse a table that is not that of these agents.

    Raises:
        Refused: naming the first agent of which it says something else, and what.
    """
    if data == encode(runs):
        return
    told = {line.get("agent"): line for line in csv.DictReader(_lines(data))}
    for run in runs:
        own = row(run)
        line = told.get(own["agent"])
        if line is None:
            raise checks.Refused(f"zoo: {FILE} has no line for {own['agent']!r}")
        for name, value in own.items():
            if line.get(name) != value:
                raise checks.Refused(
                    f"zoo: {FILE} says {name} {line.get(name)!r} of {own['agent']!r}, "
                    f"its record says {value!r}"
                )
    raise checks.Refused(f"zoo: {FILE} has other lines or columns than those of its agents")


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").splitlines()


def _pairs(settings: dict[str, Any]) -> str:
    return " ".join(f"{name}={_text(value)}" for name, value in sorted(settings.items()))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)

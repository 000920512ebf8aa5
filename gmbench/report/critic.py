"""Actor and critic side by side: which goal does either pursue, and what does the goal explain?"""

from collections.abc import Callable, Sequence

import numpy as np

from gmbench.report.table import conditions
from gmbench.runs.critics import Judged, judge
from gmbench.runs.group import Watch, counted
from gmbench.runs.store import Run
from gmbench.stats.intervals import mean_interval

COLUMNS: dict[str, Callable[[Judged], float]] = {
    "actor GMI": lambda found: found.goals.actor["gmi"],
    "actor CFI": lambda found: found.goals.actor["cfi"],
    "critic GMI": lambda found: found.goals.critic["gmi"],
    "critic CFI": lambda found: found.goals.critic["cfi"],
    "share explained": lambda found: found.explained.share,
    "slope": lambda found: found.explained.slope,
}
"""Columns of the table; all but the slope lie in [0, 1]."""


def critic_report(
    runs: Sequence[Run],
    thing: str,
    distribution: str | None = None,
    watch: Watch = lambda _: None,
) -> list[str]:
    """Return lines of a Markdown table, one a condition, and below it what stands against it.

    Means are over seeds, with their 95% intervals.

    Args:
        runs: finished runs.
        thing: what is put on every cell, a field of the levels.
        distribution: training or the name of a shift; by default each task's first shift.
        watch: called after each.

    Raises:
        ValueError: if there are no runs, or as :func:`gmbench.runs.critics.judge`.
    """
    rows = conditions(runs)
    every = [run for _, row in rows for run in row.runs]
    judged = [judge(run, thing, distribution) for run in counted(every, watch)]
    left = iter(judged)
    lines = [
        " | ".join(("| task", "trained with", "seeds", *COLUMNS)) + " |",
        "|" + "---|" * (len(COLUMNS) + 3),
    ]
    notes: dict[str, None] = {}
    for label, row in rows:
        found = [next(left) for _ in row.runs]
        cells = [
            _cell([of(each) for each in found], None if name == "slope" else (0.0, 1.0))
            for name, of in COLUMNS.items()
        ]
        lines.append(" | ".join((f"| {row.heading}", label, str(len(found)), *cells)) + " |")
        for run, each in zip(row.runs, found, strict=True):
            said = (*each.goals.notes, *each.explained.notes)
            notes |= {f"{label}, seed {run.spec.seed}: {note}": None for note in said}
    known = [each.goals.known for each in judged]
    levels = max(each.goals.levels for each in judged)
    told = (
        f"The critics' GMI and CFI are means over {min(known)} to {max(known)} of {levels} levels: "
    )
    told += "on the others a critic that says the same everywhere does as well."
    return [*lines, "", told, *notes]


def _cell(scores: Sequence[float], bounds: tuple[float, float] | None) -> str:
    """Return a mean over seeds with its interval, or in words why there is none."""
    known = np.array([score for score in scores if np.isfinite(score)], np.float64)
    if known.size == 0:
        return "none: see below"
    left_out = f" ({len(scores) - known.size} of {len(scores)} left out)"
    text = f"{known.mean():.2f}" + (left_out if known.size < len(scores) else "")
    if known.size < 2:
        return f"{text}, 1 seed"
    interval = mean_interval(known, bounds=bounds)
    if interval.low == interval.high:
        return f"{text}, no spread"
    return f"{text} [{interval.low:.2f}, {interval.high:.2f}]"

"""The rate report: how many runs, and how many episodes, pursue another goal.

The two are kept apart. A rate per training run says how often training ends in a misaligned agent;
a rate per episode says how often an agent, once trained, follows a proxy. A thousand episodes of
one agent are one observation of the first, and of the second they are a single agent's habit: both
intervals are over runs.
"""

from collections.abc import Sequence

import numpy as np

from gmbench.report.table import Row, conditions
from gmbench.runs.store import Run
from gmbench.stats.intervals import mean_interval
from gmbench.stats.rates import Rate, percent, reach, said


def rate_report(runs: Sequence[Run]) -> list[str]:
    """Return lines of text, a paragraph for each condition of :func:`conditions`.

    Raises:
        ValueError: if there are no runs.
    """
    lines = []
    for label, row in conditions(runs):
        lines += [f"{row.heading}, {label}", *(f"  {line}" for line in _lines(row))]
    return lines


def _lines(row: Row) -> list[str]:
    return [
        f"per training run: {said(row.misaligned, 'runs misaligned')}",
        f"  {said(row.misaligned_competent, 'competent runs misaligned')}",
        f"  {reach(row.misaligned.n)}",
        f"per episode: {_episodes(row)}",
    ]


def _episodes(row: Row) -> str:
    """Episodes after the shift that ended in a proxy, with an interval over runs."""
    deployed = [run.record["distributions"][run.record["shift"]] for run in row.runs]
    shares = np.array([result["outcome"]["proxy"] for result in deployed], np.float64)
    levels = [result["levels"] for result in deployed]
    ended = Rate(sum(round(s * n) for s, n in zip(shares, levels, strict=True)), sum(levels))
    text = f"{ended.words} ended in a proxy only, {shares.mean():.0%} of a run's on average"
    if len(shares) < 2:
        return f"{text}; 1 run, so no interval over runs"
    interval = mean_interval(shares)
    if interval.low == interval.high:
        return f"{text}; no interval, since {interval.flags[-1]}"
    notes = "".join(f"; {flag}" for flag in interval.flags)
    return f"{text}, 95% interval over {len(shares)} runs {percent(interval)}{notes}"

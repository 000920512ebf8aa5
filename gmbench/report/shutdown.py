"""Excess shutdown avoidance by detour: a table of each condition, and a picture of all."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from gmbench.report import table
from gmbench.report.figures import CONDITION_COLOURS, INK, STYLE, WIDTH
from gmbench.runs.shutdown import Measured
from gmbench.stats.intervals import mean_interval

SIGNED = (-1.0, 1.0)
"""Bounds of an excess."""


@dataclass(frozen=True)
class Condition:
    """Agents trained alike.

    Attributes:
        title: task and settings.
        found: one for each agent; all saw the same layouts.
    """

    title: str
    found: tuple[Measured, ...]

    @property
    def press(self) -> Float[np.ndarray, "agents detours"]:
        """P(press | c) of each agent, over goals."""
        return np.stack([each.avoidance.press.mean(axis=1) for each in self.found])

    @property
    def excess(self) -> Float[np.ndarray, "agents detours"]:
        """ESA(c) of each agent, over goals."""
        return np.stack([each.avoidance.excess.mean(axis=1) for each in self.found])


def conditions(measured: Sequence[Measured]) -> list[Condition]:
    """Group agents that were trained alike.

    Raises:
        ValueError: if there are none.
    """
    by_path = {each.run.path: each for each in measured}
    return [
        Condition(f"{row.heading}, {label}", tuple(by_path[run.path] for run in row.runs))
        for label, row in table.conditions([each.run for each in measured])
    ]


def shutdown_report(found: Sequence[Condition]) -> list[str]:
    """Return lines of Markdown: for each condition a table by detour, and the indices below it."""
    lines: list[str] = []
    for each in found:
        avoidance = each.found[0].avoidance
        lines += [f"### {each.title}: {len(each.found)} agents", ""]
        lines += ["| detour | layouts | P(press) | oracle | excess |", "|---|---|---|---|---|"]
        for place, detour in enumerate(avoidance.detours):
            cells = (
                str(detour),
                str(avoidance.levels[place]),
                _said(each.press[:, place], (0.0, 1.0)),
                f"{avoidance.oracle[place].mean():.2f}",
                _said(each.excess[:, place], SIGNED),
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", *_indices(each), ""]
    return lines[:-1]


def _indices(each: Condition) -> list[str]:
    """Return c50, agreement, usefulness and neutrality, and what stands against them."""
    told = {
        "c50": ([one.avoidance.c50 for one in each.found], None),
        "agreement of goals": ([one.avoidance.agreement for one in each.found], SIGNED),
        "usefulness": ([one.choices.usefulness for one in each.found], (0.0, 1.0)),
        "neutrality": ([one.choices.neutrality for one in each.found], (0.0, 1.0)),
    }
    lines = [
        f"- {name}: {_said(np.array(values), bounds)}" for name, (values, bounds) in told.items()
    ]
    notes = {
        f"seed {one.run.spec.seed}: {note}": None
        for one in each.found
        for note in (*one.avoidance.notes, *one.choices.notes)
    }
    return lines + [f"- {note}" for note in notes]


def _said(values: Float[np.ndarray, " agents"], bounds: tuple[float, float] | None) -> str:
    """Return a mean over agents with its interval, or in words why there is none."""
    known = values[np.isfinite(values)]
    if not len(known):
        return "none, see below"
    left_out = f" ({len(known)} of {len(values)} agents)" if len(known) < len(values) else ""
    text = f"{known.mean():.2f}"
    if len(known) > 1:
        inside = known if bounds is None else known.clip(*bounds)
        interval = mean_interval(inside, bounds=bounds)
        if interval.low < interval.high:
            text += f" [{interval.low:.2f}, {interval.high:.2f}]"
    return text + left_out


def shutdown_figure(found: Sequence[Condition]) -> Figure:
    """Draw P(press) against the detour: a thin line an agent, a bold one their mean, the oracle."""
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 3.0), layout="constrained")
        axes = figure.subplots()
        for number, each in enumerate(found):
            colour = CONDITION_COLOURS[number % len(CONDITION_COLOURS)]
            detours = each.found[0].avoidance.detours
            axes.plot(detours, each.press.T, color=colour, linewidth=0.8, alpha=0.5)
            mean = each.press.mean(axis=0)
            axes.plot(detours, mean, "o-", color=colour, linewidth=2, label=each.title)
        oracle = found[0].found[0].avoidance
        best = oracle.oracle.mean(axis=1)
        axes.plot(oracle.detours, best, "o--", color=INK, linewidth=1.2, label="oracle")
        axes.set_xlabel("steps by which the way over the button is longer")
        axes.set_ylabel("P(press)")
        axes.set_ylim(-0.03, 1.03)
        figure.legend(loc="outside upper center", ncols=1, frameon=False)
    return figure

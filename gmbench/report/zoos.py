"""A zoo in the terminal: its agents with their labels, and the families that may be held out."""

from collections.abc import Callable
from typing import get_args

from gmbench.report import terminal
from gmbench.runs.families import SPLITS
from gmbench.runs.result import Verdict
from gmbench.zoo import labels
from gmbench.zoo.datasheet import families
from gmbench.zoo.packed import Zoo

SHOWN = (
    *("agent", "architecture", "verdict", "goal", "regret_training", "regret_shifted"),
    *("gmi_adjusted", "choice", "exact", "moments"),
)
"""Columns of the labels that are listed."""


def counting(agents: int) -> Callable[[int], None]:
    """Return what says how many of so many agents are ready to be packed, now and then."""
    out = terminal.console(stderr=True)

    def tell(done: int) -> None:
        if done % 10 == 0 or done == agents:
            out.print(f"ready to be packed: {done} of {agents} agents")

    return tell


def show(zoo: Zoo) -> None:
    """Print a line for each agent, a table for each split, and what there is in all."""
    out = terminal.console()
    table = terminal.grid(*(name.replace("_", " ") for name in SHOWN))
    for run in zoo.runs:
        row = labels.row(run)
        table.add_row(*(row[name] or "-" for name in SHOWN))
    out.print(table)
    for name, of in SPLITS.items():
        split = terminal.grid(name, "agents", "competent", *get_args(Verdict))
        for each in families(zoo.runs, of):
            counts = (each.agents, each.competent, *each.verdicts.values())
            split.add_row(each.name, *map(str, counts))
        out.print(split)
    out.print(f"{len(zoo.runs)} agents, {zoo.bytes / 1e6:.1f} MB, seal {zoo.seal}")

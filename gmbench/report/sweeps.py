"""Sweeps in the terminal: what one would do, how far it has come, what it found."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from rich.progress import track

from gmbench.report import console, terminal
from gmbench.runs import grouping
from gmbench.sweeps import driver, loggers, parquet
from gmbench.sweeps.board import Board
from gmbench.sweeps.engines import Engine
from gmbench.sweeps.sweep import Sweep


def run(
    sweep: Sweep,
    folder: Path,
    connect: Callable[[], Engine],
    devices: int | None,
    other_layout: bool,
    log: Sequence[str],
) -> list[str]:
    """Run a sweep with its table on show; returns what ended groups that did not finish."""
    seen: dict[str, Board] = {}
    with contextlib.ExitStack() as stack:
        # The table appears with the first look: what is refused before is one line, no more.
        show = functools.cache(lambda: stack.enter_context(console.board()))

        def watch(index: driver.Index) -> None:
            if "board" not in seen:
                seen["board"] = Board(folder, index)
            show()(seen["board"].read())

        stack.enter_context(loggers.Feed(log, folder))
        tell = terminal.console(stderr=True).print
        errors = driver.run(sweep, folder, connect, devices, other_layout, watch, tell)
    board = seen["board"]
    terminal.console().print(console.status_table(board.read()))
    for name, each in sorted(board.finished.items()):
        if each.failed:
            print(f"failed: {name} {each.why}")
    if board.finished:
        print(f"results: {parquet.write(board.finished.values(), folder)}")
    return errors


def print_status(folder: Path) -> None:
    """Print how far a sweep has come."""
    terminal.console().print(console.status_table(Board(folder, driver.load(folder)).read()))


def print_plan(sweep: Sweep, engine: str, devices: int | None) -> None:
    """Print the groups of a sweep, and what they would take on the devices here."""
    plans = driver.plans_of(sweep)
    table = terminal.grid("program", "runs", "groups", "million steps", "memory", "speed", "time")
    total, known = 0.0, engine == "local"
    programs = grouping.programs(plans)
    progress = terminal.console(stderr=True)
    for runs in track(programs, "compile and measure", console=progress, disable=not known):
        first = runs[0]
        steps = len(runs) * first.updates * first.needs.steps_per_update
        settings = {**first.spec.static, **first.spec.config}
        fixed = [f"{k}={v}" for k, v in settings.items() if k not in first.rates]
        cells = [" ".join([first.spec.task, first.spec.agent, *fixed]), str(len(runs))]
        if known:
            cost = grouping.measure(runs, sweep.group, devices, timed=True)
            seconds = steps / cost.steps_per_second
            total += seconds
            cells += [f"{len(grouping.divide(runs, cost.runs))} of up to {cost.runs}"]
            cells += [f"{steps / 1e6:.1f}", f"{cost.bytes / 1e9:.2f} GB"]
            cells += [f"{cost.steps_per_second / 1e3:.0f}k/s", _span(seconds)]
        else:
            cells += [str(len(grouping.divide(runs, sweep.group))), f"{steps / 1e6:.1f}"]
            cells += ["on the workers", "", ""]
        table.add_row(*cells)
    out = terminal.console()
    out.print(table)
    words = f"{len(plans)} runs in {len(programs)} programs"
    words += f", about {_span(total)} of training on the devices here" if known else ""
    out.print(f"{words}; nothing was started")


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))

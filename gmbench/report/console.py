"""What the command line prints: catalogues, spec tables, results, progress bars."""

import contextlib
import inspect
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from importlib import metadata
from typing import Any

import jax
import msgspec
from rich.columns import Columns
from rich.live import Live
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from gmbench.core import checks, keys, registry
from gmbench.core.task import Task, by_theme
from gmbench.report import lines, terminal
from gmbench.runs.assess import Assessment
from gmbench.runs.machine import usable_devices
from gmbench.runs.provenance import PACKAGES
from gmbench.stats.estimate import two_digits
from gmbench.suites import Suite
from gmbench.sweeps.board import Status

TASKS = "tasks"
KINDS: dict[str, tuple[str, registry.Registry[Any]]] = {
    "agents": ("Agents", registry.AGENTS),
    "networks": ("Networks", registry.NETWORKS),
    "mitigations": ("Mitigations", registry.MITIGATIONS),
    "views": ("Views", registry.VIEWS),
    "questions": ("Questions of stored agents", registry.QUESTIONS),
    "detectors": ("Detectors", registry.DETECTORS),
    "suites": ("Suites", registry.SUITES),
    "figures": ("Figures to reproduce", registry.FIGURES),
    "engines": ("Engines of sweeps", registry.ENGINES),
    "loggers": ("Loggers of sweeps", registry.LOGGERS),
    "layouts": ("Wall layouts", registry.LAYOUTS),
}
"""What `gmbench list` shows besides the tasks: by the word that asks for it, title and registry."""


def print_catalogue(kinds: Sequence[str] = ()) -> None:
    """Print what is registered: tasks by theme, what is trained, what is asked.

    Args:
        kinds: of what, as :data:`KINDS` or :data:`TASKS` name it; everything by default.

    Raises:
        Refused: for a kind that there is not, offering the nearest.
    """
    for kind in kinds:
        checks.known("list", kind, [TASKS, *KINDS])
    for kind in kinds or (TASKS, *KINDS):
        if kind == TASKS:
            _print_tasks()
            continue
        title, entries = KINDS[kind]
        listed = terminal.grid(entries.kind, "", title=title)
        for name in entries.names():
            listed.add_row(name, _about(entries, name))
        terminal.console().print(listed)


def _print_tasks() -> None:
    """Print a table of tasks for each theme."""
    for theme, tasks in by_theme(map(registry.make, registry.task_ids())):
        table = terminal.grid("task", "intended goal", "proxies", "shift", title=f"Tasks: {theme}")
        for task in tasks:
            table.add_row(task.id, task.intended, "; ".join(task.proxies.values()), task.headline)
        terminal.console().print(table)


def _about(kind: registry.Registry[Any], name: str) -> str:
    """Return one line on something that is registered."""
    entry = kind.get(name)
    if isinstance(entry, Suite):
        return f"{len(entry.specs())} runs: {entry.summary}"
    about = kind.about(name)
    return f"{about} (trained)" if getattr(entry, "learns", False) else about


def print_task(task: Task, seed: int) -> None:
    """Print a task's spec table and sample levels of each distribution."""
    keys.seed(seed)
    console = terminal.console()
    env = task.env
    spec = terminal.grid(title=task.id, show_header=False)
    rows = {
        "intended goal": f"{env.goal_names[0]}: {task.intended}",
        **{f"proxy {name}": words for name, words in task.proxies.items()},
        "actions": ", ".join(env.action_names),
        "observation": f"bool {list(env.observation_shape)}",
        "discount": f"{task.discount}",
        "source": task.source,
        "versions": "; ".join(task.changes),
    }
    for name, words in rows.items():
        spec.add_row(name, words)
    console.print(spec)
    params = terminal.grid("parameter", "training", "allowed", "meaning", title="Parameters")
    for name, about in task.training.describe().items():
        allowed = f"{about['low']:g} .. {about['high']:g}"
        params.add_row(name, f"{about['value']:.6g}", allowed, about["doc"])
    console.print(params)
    for name, distribution in {"training": task.training, **task.shifts}.items():
        each = jax.random.split(keys.key(seed), 3)
        draw = jax.jit(lambda key, params: env.start(env.sample_level(key, params)))
        levels = [Panel.fit(env.render_ascii(draw(key, distribution))) for key in each]
        console.print(Text(name, style="bold"), Columns(levels))
    meaning = inspect.getdoc(inspect.getmodule(type(env)))
    console.print(Panel(meaning or ""))


def print_results(results: Assessment) -> None:
    """Print one row of measurements for each distribution."""
    table = terminal.grid("distribution", "GMI", "adjusted", "CFI", title=results.title)
    named = [f"rho {goal}" for goal in results.goals]
    named += [f"choice {proxy}" for proxy in results.goals[1:]]
    for name in named:
        table.add_column(name, overflow="fold")
    for column in ("goal", "proxy", "neither", "levels"):
        table.add_column(column, overflow="fold")
    for name, row in results.distributions.items():
        numbers = [row.gmi, row.gmi_adjusted, row.cfi, *row.rho.values()]
        numbers += (toward.choice for toward in row.proxies.values())
        numbers += msgspec.structs.astuple(row.outcome)
        kind = "frozen" if row.frozen else "drawn"
        how = "exact" if row.exact else "sampled"
        table.add_row(name, *map(two_digits, numbers), f"{row.levels} {kind}, {how}")
    terminal.console().print(table)


def print_doctor() -> None:
    """Print devices, versions and cores."""
    table = terminal.grid(show_header=False, title="gmbench doctor")
    table.add_row("python", f"{sys.version.split()[0]} on {platform.platform()}")
    table.add_row("cores", f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}")
    for device in usable_devices():
        table.add_row(f"device {device.id}", f"{device.platform} ({device.device_kind})")
    for name in PACKAGES:
        table.add_row(name, metadata.version(name))
    table.add_row("tasks", ", ".join(registry.task_ids()))
    table.add_row("agents", ", ".join(registry.agent_names()))
    terminal.console().print(table)


@contextlib.contextmanager
def progress() -> Iterator[Callable[[Any], None]]:
    """Show how far work has come; yields what to call with progress.

    On a terminal it is a bar with steps a second and the time left, elsewhere a line on stderr
    every :data:`~gmbench.report.lines.PERIOD` seconds, and where a stage begins or ends. Nothing
    appears before the first progress: what is refused before is one line, no more.
    """
    console = terminal.console(stderr=True)
    if not console.is_terminal:
        with lines.beating() as told:
            yield told.progress
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    bars = Progress(*columns, console=console)
    known: dict[str, Any] = {}

    def watch(report: Any) -> None:
        bars.start()
        if report.stage not in known:
            known[report.stage] = bars.add_task(report.stage, total=report.total, speed="")
        bar = bars.tasks[known[report.stage]]
        speed = f"{bar.speed / 1e3:.0f}k steps/s" if bar.speed and report.total > 1000 else ""
        bars.update(known[report.stage], completed=report.done, speed=speed)

    try:
        yield watch
    finally:
        if bars.live.is_started:
            bars.stop()


@contextlib.contextmanager
def board() -> Iterator[Callable[[Status], None]]:
    """Show a sweep's table while it works, lines where there is no terminal; yields as above."""
    console = terminal.console(stderr=True)
    if not console.is_terminal:
        with lines.beating() as told:
            yield told.status
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda status: live.update(status_table(status), refresh=True)


def status_table(status: Status) -> Table:
    """Return a sweep's status as a table of one column."""
    table = terminal.grid(show_header=False, title="sweep")
    left = status.seconds_left
    rows = {
        "runs": f"{status.done} of {status.runs} done, {status.failed} failed",
        "groups": f"{status.working} of {status.groups} being worked on",
        "steps": f"{status.steps / 1e6:.1f} of {status.all_steps / 1e6:.1f} million",
        "speed": f"{status.speed / 1e3:.0f}k steps/s" if status.speed else "not known yet",
        "time left": "not known yet" if left is None else str(timedelta(seconds=round(left))),
        "misaligned so far": f"{status.misaligned} of {status.done} runs "
        f"({status.competent} competent)",
    }
    for name, words in rows.items():
        table.add_row(name, words)
    return table

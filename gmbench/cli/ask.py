"""Commands that ask finished runs something: which goal, how surely, and when."""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from gmbench.cli.inputs import writable_file, writable_picture


@dataclasses.dataclass(frozen=True)
class Report:
    """Write a report on the finished runs in a folder."""

    folder: tyro.conf.Positional[Path]
    """Results folder."""
    out: Path = Path("report.html")
    """Where to write it."""
    data: Path | None = None
    """Where to write the table as JSON, if anywhere."""

    def run(self) -> None:
        """Write it, and print the table."""
        from gmbench.report import html, records, table
        from gmbench.runs import files, store

        runs = store.load_all(self.folder)
        writable_file("out", self.out)
        rows = table.summarise(runs)
        table.print_table(rows)
        if self.data is not None:
            writable_file("data", self.data)
            files.write_json(self.data, records.plain(rows))
        html.write_report(runs, self.out)
        print(f"report: {self.out}")


@dataclasses.dataclass(frozen=True)
class Rates:
    """Say how many runs, and how many episodes, pursue another goal, with exact intervals."""

    folder: tyro.conf.Positional[Path]
    """Results folder, or a sweep's."""

    def run(self) -> None:
        """Print it."""
        from gmbench.report import rates
        from gmbench.runs import store

        print("\n".join(rates.rate_report(store.load_all(self.folder))))


@dataclasses.dataclass(frozen=True)
class Evidence:
    """Ask every measure which goal finished runs pursue, and say where the answers differ."""

    folder: tyro.conf.Positional[Path]
    """Results folder, a sweep's, or a run's."""
    out: Path = Path("evidence.html")
    """Where to write the page: .html, or .md with a picture beside it."""
    data: Path | None = None
    """Where to write what was found of each agent as JSON, if anywhere."""

    def run(self) -> None:
        """Measure, and write the page."""
        from gmbench.report import console, evidence
        from gmbench.runs import store

        writable_file("out", self.out)
        if self.data is not None:
            writable_file("data", self.data)
        runs = store.load_all(self.folder)
        with console.progress() as watch:
            evidence.write(runs, self.out, self.data, watch)
        print(f"page: {self.out}")


@dataclasses.dataclass(frozen=True)
class DrawFigure:
    """Draw a figure of stored runs: the phase diagram over two of their settings."""

    kind: tyro.conf.Positional[Literal["phase"]]
    """Which figure."""
    folder: tyro.conf.Positional[Path]
    """Results folder, or a sweep's."""
    x: str
    """Setting on the first axis, such as alpha, steps, size or lr."""
    y: str
    """Setting on the second axis."""
    out: Path = Path("phase.png")
    """Where to draw it: .png or .svg."""
    data: Path | None = None
    """Where to write counts, fit and contour as JSON, if anywhere."""

    def run(self) -> None:
        """Draw it."""
        from gmbench.report import figures, phase
        from gmbench.runs import files, store

        runs = store.load_all(self.folder)
        writable_picture("out", self.out)
        if self.data is not None:
            writable_file("data", self.data)
            table = phase.phase_table(runs, self.x, self.y)
            files.write_json(self.data, table)
        figures.save(phase.phase_figure(runs, self.x, self.y), self.out)
        print(f"figure: {self.out}")


@dataclasses.dataclass(frozen=True)
class DrawSplay:
    """Draw what a run's actor and critic make of one level, as a thing is put on every cell."""

    path: tyro.conf.Positional[Path]
    """A run directory."""
    thing: str
    """What is put on every cell: a position in the task's levels, such as cheese."""
    level: int = 0
    """Which of the evaluation levels."""
    shift: str | None = None
    """Distribution of the levels: training, or the name of a shift; by default the first shift."""
    out: Path = Path("splay.png")
    """Where to draw it: .png or .svg."""

    def run(self) -> None:
        """Draw it."""
        from gmbench.report import figures, splay
        from gmbench.runs import critics, store

        writable_picture("out", self.out)
        shown = critics.show(store.load(self.path), self.thing, self.level, self.shift)
        figures.save(splay.splay_figure(shown), self.out)
        print(f"figure: {self.out}")


@dataclasses.dataclass(frozen=True)
class Critic:
    """Say which goal actors and critics pursue, and what a goal's position explains of values."""

    folder: tyro.conf.Positional[Path]
    """Results folder, or a sweep's."""
    thing: str
    """What lies where the goal lies: a position in the task's levels, such as cheese."""
    shift: str | None = None
    """Distribution of the levels: training, or the name of a shift; by default the first shift."""

    def run(self) -> None:
        """Print a table in Markdown."""
        from gmbench.report import console, critic
        from gmbench.runs import store

        with console.progress() as watch:
            lines = critic.critic_report(store.load_all(self.folder), self.thing, self.shift, watch)
        print("\n".join(lines))

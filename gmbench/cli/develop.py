"""Commands for those who work on gmbench: pages of documentation, measurements of speed."""

import dataclasses
import json
from pathlib import Path
from typing import Literal

import tyro

from gmbench.cli.inputs import check_page, static_of, writable_file


@dataclasses.dataclass(frozen=True)
class Pages:
    """Write a page of documentation for each task."""

    folder: tyro.conf.Positional[Path]
    """Where to write them."""
    results: Path = Path("docs/results")
    """Folder with tables of results as JSON (gmbench report --data)."""

    def run(self) -> None:
        """Write them."""
        from gmbench.report import pages

        for page in pages.write(self.folder, self.results):
            print(page)


@dataclasses.dataclass(frozen=True)
class Schema:
    """Print the JSON Schema of what runs, submissions and tables of results hold."""

    out: Path | None = None
    """Where to write it instead (.json)."""

    def run(self) -> None:
        """Print or write it."""
        from gmbench.core import checks, files
        from gmbench.report import schema

        if self.out is None:
            print(schema.text(), end="")
            return
        checks.known("out", self.out.suffix, (".json",))
        writable_file("out", self.out)
        files.write(self.out, schema.text().encode())
        print(f"written: {self.out}")


@dataclasses.dataclass(frozen=True)
class Validate:
    """Try indices and labels on policies whose goal is known."""

    tasks: tyro.conf.Positional[tuple[str, ...]] = ()
    """Task ids; by default all."""
    size: int | None = None
    """Size of the grid; by default each task's small one."""
    levels: int = 256
    """Levels of each set that are measured on, 1024 at most."""
    out: Path | None = None
    """Where to write it: a page (.html or .md)."""
    data: Path | None = None
    """Where to write what was found as JSON."""

    def run(self) -> None:
        """Measure, and print what each policy reads."""
        from gmbench.core import checks, registry
        from gmbench.report import ask, console, validation
        from gmbench.report import document as documents
        from gmbench.runs import validate
        from gmbench.runs.group import counted

        check_page(self.out, self.data)
        checks.integer("levels", self.levels, 2, 1024)
        tasks = [
            registry.make(id, **static_of(id, self.size))
            for id in self.tasks or registry.task_ids()
        ]
        with console.progress() as watch:
            found = [
                each
                for task in counted(tasks, watch)
                for each in validate.labelled(task, self.levels)
            ]
        said = validation.document(found)
        documents.show(said)
        for path in ask.written(said, self.out, self.data):
            print(f"written: {path}")


@dataclasses.dataclass(frozen=True)
class Bench:
    """Measure speed, print JSON, and write it and a picture if asked to."""

    what: tyro.conf.Positional[
        Literal[
            "env",
            "tasks",
            "levels",
            "solve",
            "evaluate",
            "train",
            "compile",
            "memory",
            "scaling",
            "floors",
            "all",
        ]
    ]
    """What to measure; `all` is everything, into a folder."""
    task: str = "CheeseCorner-v0"
    """Task id."""
    size: int | None = None
    """Size of the grid; by default the published one (13 rows and columns in most)."""
    layout: str | None = None
    """Wall generator, where the task has several: blocks, tree or open."""
    envs: int = 1024
    """Environments (or levels) side by side."""
    steps: int = 2000
    """Steps of each environment in one repeat of `env`."""
    network: str = "mlp_wide"
    """Network of `train`, `compile`, `memory` and `evaluate`."""
    repeats: int = 5
    """Timed repeats; the median is reported."""
    out: Path | None = None
    """Folder to write WHAT.json and WHAT.png to; `all` needs one."""

    def run(self) -> None:
        """Measure and print."""
        from gmbench import bench
        from gmbench.core import checks

        names = list(bench.MEASUREMENTS) if self.what == "all" else [self.what]
        if self.what == "all" and self.out is None:
            raise checks.Refused("out: a folder is needed to measure all")
        static = static_of(self.task, self.size, self.layout, which="published")
        options = bench.Options(
            self.task, static, self.envs, self.steps, self.network, self.repeats
        )
        for name in names:
            result = bench.measure(name, options)
            print(json.dumps(result, indent=1))
            if self.out is not None:
                bench.write(result, self.out)

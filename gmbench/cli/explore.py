"""The command that writes a page to play with."""

import dataclasses
import sys
from collections import Counter
from pathlib import Path

import tyro

from gmbench.cli.inputs import Settings, Static, read_pairs, static_of, writable_file


@dataclasses.dataclass(frozen=True)
class Explore:
    """Write a page in which levels are edited and agents say at once where they would go."""

    target: tyro.conf.Positional[str]
    """A run directory, the beginning of its path, RUNS/latest, or a folder of runs; or a task id
    with --agent."""
    out: Path = Path("explorer.html")
    """Where to write the page."""
    levels: int = 6
    """Sample levels of training and of each shift, 64 at most."""
    agent: str | None = None
    """An agent with a network that needs no training: organism."""
    size: int | None = None
    """Size of the grid (with --agent)."""
    layout: str | None = None
    """Wall generator (with --agent)."""
    static: Static = ()
    """Other static settings of the task (with --agent)."""
    config: Settings = ()
    """Settings of the agent (with --agent), such as goal=corner of an organism."""

    def run(self) -> None:
        """Write the page."""
        from gmbench.core import checks, files, registry
        from gmbench.report import console
        from gmbench.report.explorer import agent, page
        from gmbench.runs.spec import RunSpec, check

        checks.integer("levels", self.levels, 1, 64)
        checks.known("out", self.out.suffix, (".html",))
        writable_file("out", self.out)
        if self.agent is not None:
            static = static_of(self.target, self.size, self.layout, self.static)
            config = read_pairs(self.config)
            spec = RunSpec(task=self.target, static=static, agent=self.agent, config=config)
            found, refused = [agent.of_plan(check(spec))], list[checks.Refused]()
        elif self.target in registry.task_ids():
            raise checks.Refused(
                f"agent: {self.target!r} is a task, --agent names one that needs no training; "
                "or give a run directory"
            )
        else:
            with console.progress() as watch:
                found, refused = agent.of_folder(Path(self.target), watch)
        for why, count in Counter(map(str, refused)).items():
            print(f"left out: {count} run{'s' if count > 1 else ''}, {why}", file=sys.stderr)
        text, shown = page.page(found, self.levels)
        files.write(self.out, text.encode())
        moments = sum(len(each.moments) for each in shown)
        print(
            f"{len(shown)} of {len(found)} agents, at {moments} moments; "
            f"{len(text.encode()) / 1e6:.1f} MB"
        )
        print(f"written: {self.out}")

"""The command that shows what an organism's weights were written to do."""

import dataclasses
from pathlib import Path

import tyro

from gmbench.cli.inputs import Settings, Static, check_page, read_pairs, static_of


@dataclasses.dataclass(frozen=True)
class Organism:
    """Show an organism, an agent whose weights were written: its layers, its register, its way."""

    task: tyro.conf.Positional[str]
    """Task id."""
    config: Settings = ()
    """Settings of the organism, such as goal=corner, mechanism=reflex or network=drc."""
    size: int | None = None
    """Size of the grid; by default the task's small one."""
    layout: str | None = None
    """Wall generator, where the task has several: blocks, tree or open."""
    static: Static = ()
    """Other static settings of the task, such as copies=4."""
    shift: str | None = None
    """Distribution of the level: training, or the name of a shift; by default the first shift."""
    seed: int = 0
    """Which level."""
    hold: tuple[int, int] | None = None
    """Row and column of a cell that the register is held at, for a second way."""
    out: Path | None = None
    """Where to write it: a page (.html, or .md with pictures beside it), or the picture alone
    (.png, .svg)."""

    def run(self) -> None:
        """Print its layers, and write the picture if asked to."""
        from gmbench.core import registry
        from gmbench.report import ask, wired
        from gmbench.report import document as documents
        from gmbench.runs.spec import RunSpec

        check_page(self.out, None, documents.PAGES + documents.PICTURES)
        static = static_of(self.task, self.size, self.layout, self.static)
        config = read_pairs(self.config)
        spec = RunSpec(task=self.task, static=static, agent="organism", config=config)
        shift = self.shift or registry.make(self.task, **static).headline
        found = wired.document(spec, shift, self.seed, self.hold)
        documents.show(found)
        for path in ask.written(found, self.out, None):
            print(f"written: {path}")

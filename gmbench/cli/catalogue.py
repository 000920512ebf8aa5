"""Commands that look at what there is: tasks, agents, suites, the machine."""

import dataclasses
from pathlib import Path

import tyro

from gmbench.cli.inputs import Static, static_of


@dataclasses.dataclass(frozen=True)
class ListAll:
    """List what there is: tasks by theme, agents, mitigations, questions, suites and so on."""

    kinds: tyro.conf.Positional[tuple[str, ...]] = ()
    """Kinds to keep to: tasks, agents, networks, mitigations, views, questions, detectors, suites,
    engines, loggers or layouts."""

    def run(self) -> None:
        """Print it."""
        from gmbench.report import console

        console.print_catalogue(self.kinds)


@dataclasses.dataclass(frozen=True)
class Show:
    """Show a task: its spec and sample levels of training and of each shift."""

    task: tyro.conf.Positional[str]
    """Task id."""
    size: int | None = None
    """Size of the grid; by default the task's small one (7 rows and columns in most)."""
    layout: str | None = None
    """Wall generator, where the task has several: blocks, tree or open."""
    static: Static = ()
    """Other static settings of the task, such as copies=4."""
    seed: int = 0
    """Which sample levels."""

    def run(self) -> None:
        """Print it."""
        from gmbench.core import registry
        from gmbench.report import console

        static = static_of(self.task, self.size, self.layout, self.static)
        console.print_task(registry.make(self.task, **static), self.seed)


@dataclasses.dataclass(frozen=True)
class Play:
    """Play a task in the terminal with the arrow keys."""

    task: tyro.conf.Positional[str]
    """Task id."""
    size: int | None = None
    """Size of the grid; by default the task's small one (7 rows and columns in most)."""
    layout: str | None = None
    """Wall generator, where the task has several: blocks, tree or open."""
    static: Static = ()
    """Other static settings of the task, such as copies=4."""
    shift: str = "training"
    """Distribution of the levels: training, or the name of a shift."""
    seed: int = 0
    """Which levels."""

    def run(self) -> None:
        """Play until q is pressed."""
        from gmbench.core import registry
        from gmbench.play import by_hand

        static = static_of(self.task, self.size, self.layout, self.static)
        by_hand.play(registry.make(self.task, **static), self.shift, self.seed)


@dataclasses.dataclass(frozen=True)
class Watch:
    """Watch a trained agent move: yours, or an example that comes with gmbench."""

    target: tyro.conf.Positional[str]
    """A task id, for an example agent; or a run directory, the beginning of its path, or
    RUNS/latest."""
    trained: str = ""
    """Which of the task's examples, such as alpha=0.3; by default the first."""
    shift: tuple[str, ...] = ()
    """Distributions: training, or names of shifts; by default training and the first shift."""
    episodes: int = 3
    """Episodes of each."""
    seed: int = 0
    """Which levels, and what chance has in store."""
    fps: float = 6.0
    """Steps a second."""
    level: Path | None = None
    """A level to watch it on instead: a file with the characters of `gmbench show`."""

    def run(self) -> None:
        """Show episodes until they are over, or q is pressed."""
        from gmbench.core import checks, files, registry
        from gmbench.play import watch
        from gmbench.runs import examples, store
        from gmbench.runs.opened import OpenAgent

        if self.target in registry.task_ids():
            run = examples.example(self.target, self.trained)
            named = examples.find(self.target, self.trained)
            about = f"example agent, trained at {named.training}"
        else:
            if self.trained:
                raise checks.Refused(f"trained: {self.trained!r} is of examples, not of a run")
            run = store.load(_run(self.target))
            about = run.path.name
        drawn = b"" if self.level is None else files.read(self.level, "level", 100_000)
        level = drawn.decode("utf-8", "replace")
        given = (self.shift, self.episodes, self.seed, self.fps, level)
        watch.watch(OpenAgent(run), about, *given)


def _run(target: str) -> Path:
    """Return the run directory that is meant.

    Raises:
        Refused: if none is, offering a task if one has nearly that name.
    """
    from gmbench.core import checks, registry
    from gmbench.runs import store

    try:
        return store.find(target)
    except checks.Refused as refusal:
        near = "" if Path(target).exists() else checks.nearest(target, registry.task_ids())
        if not near:
            raise
        raise checks.Refused(f"run: {target!r} is not a run directory{near}") from refusal


@dataclasses.dataclass(frozen=True)
class Doctor:
    """Say what gmbench would run on: devices, versions, cores."""

    def run(self) -> None:
        """Print it."""
        from gmbench.report import console

        console.print_doctor()

"""Commands that look at what there is: tasks, agents, suites, the machine."""

import dataclasses

import tyro

from gmbench.cli.inputs import Static, static_of


@dataclasses.dataclass(frozen=True)
class ListAll:
    """List the tasks, agents and suites there are."""

    def run(self) -> None:
        """Print them."""
        from gmbench.report import console

        console.print_catalogue()


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
        from gmbench import play
        from gmbench.core import registry

        static = static_of(self.task, self.size, self.layout, self.static)
        play.play(registry.make(self.task, **static), self.shift, self.seed)


@dataclasses.dataclass(frozen=True)
class Doctor:
    """Say what gmbench would run on: devices, versions, cores."""

    def run(self) -> None:
        """Print it."""
        from gmbench.report import console

        console.print_doctor()

"""The zoo: make one, fetch one, list what is in one."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from gmbench.cli.inputs import Settings
from gmbench.cli.sweep import connecting, stop_at


@dataclasses.dataclass(frozen=True)
class Make:
    """Train, label and pack a zoo: by default the small one (docs/zoo.md). Goes on if stopped."""

    spec: tyro.conf.Positional[Path | None] = None
    """Sweep file, TOML or JSON; by default that of the small zoo."""
    out: Path = Path("zoo")
    """Where the packed zoo goes; must not be there yet."""
    runs: Path | None = None
    """The sweep's folder; by default sweeps/zoo. Finished runs in it are kept."""
    seeds: int | None = None
    """Seeds of each condition, instead of those that the sweep says."""
    moments_of: tuple[str, ...] | None = None
    """Tasks of which first seeds of agents without a memory are packed as they were at moments of
    their training, too; by default Monitor of the small zoo, and of another sweep none."""
    engine: str = "local"
    """What hands out the work: local, ray or slurm."""
    option: Settings = ()
    """Settings of the engine, such as address=auto (ray) or slurm_partition=gpu (slurm)."""
    devices: int | None = None
    """Devices that each group of runs is spread over: GPUs, or cores where there are none."""

    def run(self) -> None:
        """Run what of the sweep is not finished, then pack."""
        from gmbench.core import checks
        from gmbench.report import sweeps, zoos
        from gmbench.runs import store
        from gmbench.sweeps import driver, engines
        from gmbench.zoo import halved, packed, recipe

        packed.absent(self.out)
        read = recipe.read(self.spec, self.seeds)
        tasks = self.moments_of
        if tasks is None:
            tasks = recipe.MOMENTS_OF if self.spec is None else ()
        for task in tasks:
            checks.known("moments-of", task, read.tasks)
        engines.checked(self.engine)
        stem = "zoo" if self.spec is None else self.spec.stem
        folder = self.runs or Path("sweeps") / stem
        connect = connecting(self.engine, self.option, self.devices)
        stop_at(sweeps.run(read, folder, connect, self.devices, False, ()))
        names = driver.load(folder).names
        runs = [run for run in map(store.load, (folder / name for name in names)) if not run.failed]
        kept = halved.every(runs, folder / "halved", zoos.counting(len(runs)))
        made = packed.write(self.out, kept, read, tasks)
        print(f"packed: {self.out} ({len(made.runs)} agents, {made.bytes / 1e6:.1f} MB)")
        print(f"seal: {made.seal}")


@dataclasses.dataclass(frozen=True)
class Fetch:
    """Check a packed zoo against its checksums, and install it in a folder."""

    path: tyro.conf.Positional[Path]
    """The packed zoo."""
    out: Path = Path("zoo")
    """Where to install it; must not be there yet."""

    def run(self) -> None:
        """Check and install it."""
        from gmbench.zoo import packed

        found = packed.install(self.path, self.out)
        print(f"installed: {self.out} ({len(found.runs)} agents, {found.bytes / 1e6:.1f} MB)")
        print(f"seal: {found.seal}")
        print(f"next: gmbench detect {self.out}")


@dataclasses.dataclass(frozen=True)
class ListZoo:
    """List a zoo's agents with their labels, and its families."""

    folder: tyro.conf.Positional[Path]
    """The zoo, packed or installed; it is checked as when it is fetched."""

    def run(self) -> None:
        """Print the tables."""
        from gmbench.report import zoos
        from gmbench.zoo import packed

        zoos.show(packed.load(self.folder))


@dataclasses.dataclass(frozen=True)
class ZooCommand:
    """A population of trained agents with labels: make, fetch, list."""

    command: tyro.conf.OmitSubcommandPrefixes[
        Annotated[Make, tyro.conf.subcommand("make")]
        | Annotated[Fetch, tyro.conf.subcommand("fetch")]
        | Annotated[ListZoo, tyro.conf.subcommand("list")]
    ]

    def run(self) -> None:
        """Do what is asked."""
        self.command.run()

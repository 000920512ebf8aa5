"""Commands for sweeps: run one, watch it, ask it something in SQL."""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tyro

from gmbench.cli.inputs import Settings, read_pairs


@dataclasses.dataclass(frozen=True)
class RunSweep:
    """Run a sweep: every run of a grid, on the devices here, a Ray cluster or Slurm."""

    spec: tyro.conf.Positional[Path]
    """Sweep file, TOML or JSON (docs/scaling.md)."""
    out: Path | None = None
    """The sweep's folder; by default sweeps/NAME for NAME.toml. Finished runs in it are kept."""
    engine: str = "local"
    """What hands out the work: local, ray or slurm."""
    option: Settings = ()
    """Settings of the engine, such as address=auto (ray) or slurm_partition=gpu (slurm)."""
    devices: int | None = None
    """Devices that each group of runs is spread over: GPUs, or cores where there are none."""
    log: tuple[str, ...] = ()
    """Where to send metrics besides the folder: tensorboard, wandb."""
    other_layout: bool = False
    """Go on from checkpoints made on other devices; results then differ in the last bits."""
    dry_run: bool = False
    """Show the runs and groups; local measures memory and speed, which compiles each program."""

    def run(self) -> None:
        """Run whatever is not finished yet."""
        from gmbench.report import sweeps
        from gmbench.sweeps import engines, loggers, sweep

        read = sweep.read(self.spec)
        engines.checked(self.engine)
        loggers.check_names(self.log)
        folder = Path("sweeps") / self.spec.stem if self.out is None else self.out
        if self.dry_run:
            sweeps.print_plan(read, self.engine, self.devices)
            return
        errors = sweeps.run(
            read,
            folder,
            connecting(self.engine, self.option, self.devices),
            self.devices,
            self.other_layout,
            self.log,
        )
        stop_at(errors)


def connecting(engine: str, option: Settings, devices: int | None) -> Callable[[], Any]:
    """Return what connects to an engine with these settings; none is connected to yet."""
    from gmbench.sweeps import engines

    options = {name: str(value) for name, value in read_pairs(option).items()}
    return lambda: engines.connect(engine, options, devices)


def stop_at(errors: Sequence[str]) -> None:
    """End with exit status 1 if there are errors, and say that the same command goes on."""
    for error in errors:
        print(f"gmbench: {error}", file=sys.stderr)
    if errors:
        print("gmbench: the same command goes on from here", file=sys.stderr)
        sys.exit(1)


@dataclasses.dataclass(frozen=True)
class SweepStatus:
    """Show how far a sweep has come; it may be running, here or elsewhere."""

    folder: tyro.conf.Positional[Path]
    """The sweep's folder."""

    def run(self) -> None:
        """Print it."""
        from gmbench.report import sweeps

        sweeps.print_status(self.folder)


@dataclasses.dataclass(frozen=True)
class Query:
    """Ask a sweep's results something in SQL; the table is called runs."""

    folder: tyro.conf.Positional[Path]
    """The sweep's folder, or its Parquet file."""
    sql: tyro.conf.Positional[str]
    """Such as "select task, params_alpha, avg(gmi) from runs where headline group by all"."""
    csv: bool = False
    """Print comma-separated values instead of a table."""

    def run(self) -> None:
        """Print the answer."""
        from gmbench.sweeps import parquet

        answer = parquet.query(self.folder, self.sql)
        if self.csv:
            print(answer.df().to_csv(index=False), end="")
        else:
            print(answer)

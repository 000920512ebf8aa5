"""The command line. Only what a command needs is imported, so ``--help`` answers at once."""

import contextlib
import dataclasses
import errno
import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

Settings = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE")]


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
    seed: int = 0
    """Which sample levels."""

    def run(self) -> None:
        """Print it."""
        from gmbench.core import registry
        from gmbench.report import console

        static = _static(self.task, self.size, self.layout)
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
    shift: str = "training"
    """Distribution of the levels: training, or the name of a shift."""
    seed: int = 0
    """Which levels."""

    def run(self) -> None:
        """Play until q is pressed."""
        from gmbench import play
        from gmbench.core import registry

        static = _static(self.task, self.size, self.layout)
        play.play(registry.make(self.task, **static), self.shift, self.seed)


@dataclasses.dataclass(frozen=True)
class Train:
    """Train agents on a task and measure which goal they pursue."""

    task: tyro.conf.Positional[str]
    """Task id."""
    agent: str = "ppo"
    """Agent that learns."""
    alpha: tuple[float, ...] = (0.0,)
    """Shares of distinguishing levels in training; one set of runs for each."""
    steps: int = 1_000_000
    """Environment steps of each run."""
    seeds: int = 1
    """Runs for each alpha, with seeds 0, 1, ..."""
    size: int | None = None
    """Size of the grid; by default the task's small one (7 rows and columns in most)."""
    layout: str | None = None
    """Wall generator, where the task has several: blocks, tree or open."""
    view: str = "planes"
    """What the agent sees: planes, windowN, pixelsN, last, stickyN, cueN, or several, with +."""
    params: Settings = ()
    """Other training parameters, such as walls=0.3."""
    first: Settings = ()
    """Those that differ in the first half of training, such as phase=0."""
    config: Settings = ()
    """Settings of the agent, such as learning_rate=0.001."""
    keys: str = "threefry2x32"
    """How random numbers are made; rbg and unsafe_rbg do not repeat on other machines."""
    out: Path = Path("runs")
    """Results folder."""
    other_layout: bool = False
    """Go on from checkpoints made on other devices; results then differ in the last bits."""
    distributed: str | None = None
    """Share one run with other processes that run this command: auto (Slurm, TPU pods), or
    HOST:PORT/COUNT/NUMBER of the first process, of processes, and of this one."""

    def run(self) -> None:
        """Train, then print the table."""
        _join(self.distributed)
        from gmbench.core import checks
        from gmbench.runs.spec import RunSpec

        checks.integer("seeds", self.seeds, 1, 100_000)
        specs = [
            RunSpec(
                task=self.task,
                static=_static(self.task, self.size, self.layout),
                params={"alpha": alpha, **_settings(self.params)},  # type: ignore[dict-item]
                agent=self.agent,
                config=_settings(self.config),
                seed=seed,
                steps=self.steps,
                view=self.view,
                keys=self.keys,
                **({"first": _settings(self.first)} if self.first else {}),  # type: ignore[arg-type]
            )
            for alpha in self.alpha
            for seed in range(self.seeds)
        ]
        _train_and_print(specs, self.out, self.other_layout)


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Evaluate a finished run, or an agent that needs no training, under any shift."""

    target: tyro.conf.Positional[str]
    """A run directory, or a task id together with --agent."""
    agent: str | None = None
    """An agent that does not learn: random, oracle or proxy_oracle."""
    shift: tuple[str, ...] = ()
    """Distributions: training, or names of shifts; by default training and the first shift."""
    size: int | None = None
    """Size of the grid (with --agent)."""
    layout: str | None = None
    """Wall generator (with --agent)."""
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Evaluate, and print one row for each distribution."""
        from gmbench.report import console
        from gmbench.runs import assess
        from gmbench.runs.spec import RunSpec

        if self.agent is None:
            results = assess.finished_run(Path(self.target), self.shift)
        else:
            static = _static(self.target, self.size, self.layout)
            spec = RunSpec(task=self.target, static=static, agent=self.agent)
            results = assess.fixed_agent(spec, self.shift)
        print(json.dumps(results, indent=1)) if self.as_json else console.print_results(results)


@dataclasses.dataclass(frozen=True)
class RunSuite:
    """Run a suite: train, evaluate on frozen levels, print the table and write a report."""

    suite: tyro.conf.Positional[str]
    """Suite id, such as GMB-quick-v0."""
    tasks: tuple[str, ...] = ()
    """Tasks of the suite to keep to; by default all."""
    seeds: int | None = None
    """How many of the suite's seeds; by default all."""
    out: Path = Path("runs")
    """Results folder; finished runs in it are reused."""
    other_layout: bool = False
    """Go on from checkpoints made on other devices; results then differ in the last bits."""
    report: Path = Path("report.html")
    """Where to write the report."""

    def run(self) -> None:
        """Run whatever is not finished yet."""
        from gmbench.report import html
        from gmbench.runs import suite

        specs = suite.find(self.suite).specs(self.tasks, self.seeds)
        _writable_file("report", self.report)
        runs = _train_and_print(specs, self.out, self.other_layout)
        html.write_report(runs, self.report)
        print(f"report: {self.report}")


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
        from gmbench.runs import engines, loggers, sweep

        read = sweep.read(self.spec)
        engines.checked(self.engine)
        loggers.check_names(self.log)
        folder = Path("sweeps") / self.spec.stem if self.out is None else self.out
        if self.dry_run:
            sweeps.print_plan(read, self.engine, self.devices)
            return
        options = {name: str(value) for name, value in _settings(self.option).items()}
        errors = sweeps.run(
            read,
            folder,
            lambda: engines.connect(self.engine, options, self.devices),
            self.devices,
            self.other_layout,
            self.log,
        )
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
        from gmbench.runs import results

        answer = results.query(self.folder, self.sql)
        if self.csv:
            print(answer.df().to_csv(index=False), end="")
        else:
            print(answer)


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
        _writable_file("out", self.out)
        rows = table.summarise(runs)
        table.print_table(rows)
        if self.data is not None:
            _writable_file("data", self.data)
            files.write(self.data, (json.dumps(records.plain(rows), indent=1) + "\n").encode())
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

        _writable_file("out", self.out)
        if self.data is not None:
            _writable_file("data", self.data)
        runs = store.load_all(self.folder)
        with contextlib.ExitStack() as stack:
            watch = functools.cache(lambda: stack.enter_context(console.progress()))
            evidence.write(runs, self.out, self.data, lambda report: watch()(report))
        print(f"page: {self.out}")


@dataclasses.dataclass(frozen=True)
class Conditional:
    """Say what agents do watched and unwatched: the training conditions side by side."""

    folder: tyro.conf.Positional[Path]
    """Results folder, or a sweep's, with runs of Monitor or of tasks with a view cueN."""
    data: Path | None = None
    """Where to write the table as JSON, if anywhere."""

    def run(self) -> None:
        """Measure the stored agents, and print the table."""
        from gmbench.report import conditional as report
        from gmbench.runs import conditional, files, store

        runs = store.load_all(self.folder)
        if self.data is not None:
            _writable_file("data", self.data)
        rows = report.table(conditional.measure(runs))
        report.print_table(rows)
        if self.data is not None:
            files.write(self.data, (json.dumps(rows, indent=1) + "\n").encode())


@dataclasses.dataclass(frozen=True)
class RedTeam:
    """Search for levels on which a finished run's agent pursues another goal; alarm or not."""

    target: tyro.conf.Positional[Path]
    """A run directory."""
    proposal: tuple[str, ...] = ("walkers",)
    """Ways of proposing levels, a search for each: random, mutation, walkers."""
    budget: int = 10_000
    """Levels that each search evaluates, in whole batches."""
    batch: int = 64
    """Levels in a batch."""
    shift: str | None = None
    """Distribution of the levels: training, or a shift; by default the task's first."""
    seed: int = 0
    """Of the search."""
    out: Path = Path("red-team")
    """Folder for the levels found, a figure and JSON."""

    def run(self) -> None:
        """Search, write, and print a line for each search."""
        from gmbench.report import red_team as report
        from gmbench.runs import files, red_team

        files.writable(self.out)
        searched = red_team.finished_run(
            self.target, self.proposal, self.budget, self.batch, self.shift, self.seed
        )
        report.write(searched, self.out)
        print("\n".join(report.verdicts(searched)))


@dataclasses.dataclass(frozen=True)
class DrawFigure:
    """Draw a figure of stored runs: the phase diagram over two of their settings."""

    kind: tyro.conf.Positional[Literal["phase"]]
    """Which figure."""
    folder: tyro.conf.Positional[Path]
    """Results folder, or a sweep's."""
    x: str
    """Setting on the first axis, such as alpha, steps, size or learning_rate."""
    y: str
    """Setting on the second axis."""
    out: Path = Path("phase.png")
    """Where to draw it: .png or .svg."""
    data: Path | None = None
    """Where to write counts, fit and contour as JSON, if anywhere."""

    def run(self) -> None:
        """Draw it."""
        from gmbench.core import checks
        from gmbench.report import figures, phase
        from gmbench.runs import files, store

        checks.known("out", self.out.suffix, (".png", ".svg"))
        runs = store.load_all(self.folder)
        _writable_file("out", self.out)
        if self.data is not None:
            _writable_file("data", self.data)
            table = phase.phase_table(runs, self.x, self.y)
            files.write(self.data, (json.dumps(table, indent=1) + "\n").encode())
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
        from gmbench.core import checks
        from gmbench.report import figures, splay
        from gmbench.runs import critics, store

        checks.known("out", self.out.suffix, (".png", ".svg"))
        _writable_file("out", self.out)
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
        from gmbench.report import critic
        from gmbench.runs import store

        print("\n".join(critic.critic_report(store.load_all(self.folder), self.thing, self.shift)))


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
        static = _static(self.task, self.size, self.layout, "published")
        options = bench.Options(
            self.task, static, self.envs, self.steps, self.network, self.repeats
        )
        for name in names:
            result = bench.measure(name, options)
            print(json.dumps(result, indent=1))
            if self.out is not None:
                bench.write(result, self.out)


@dataclasses.dataclass(frozen=True)
class Doctor:
    """Say what gmbench would run on: devices, versions, cores."""

    def run(self) -> None:
        """Print it."""
        from gmbench.report import console

        console.print_doctor()


COMMANDS: dict[str, Callable[..., Any]] = {
    "list": ListAll,
    "show": Show,
    "play": Play,
    "train": Train,
    "eval": Evaluate,
    "run": RunSuite,
    "sweep": RunSweep,
    "status": SweepStatus,
    "query": Query,
    "report": Report,
    "rates": Rates,
    "evidence": Evidence,
    "conditional": Conditional,
    "red-team": RedTeam,
    "figure": DrawFigure,
    "splay": DrawSplay,
    "critic": Critic,
    "pages": Pages,
    "bench": Bench,
    "doctor": Doctor,
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; an invalid input is one line on stderr and exit status 2."""
    parsed: Any = tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        args=arguments,
        prog="gmbench",
        description="Which goal does an agent pursue once the distribution shifts?",
        config=(tyro.conf.OmitArgPrefixes,),
    )
    from gmbench.core.checks import Refused
    from gmbench.runs.cores import use_cores

    use_cores(len(os.sched_getaffinity(0)))

    try:
        parsed.run()
    except Refused as refusal:
        _fail(str(refusal))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        _fail(f"out: cannot write {error.filename or 'the results'} ({error.strerror})")
    except KeyboardInterrupt:
        print("gmbench: interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


def _fail(message: str) -> None:
    print(f"gmbench: {message}", file=sys.stderr)
    sys.exit(2)


def _join(processes: str | None) -> None:
    """Join the processes that share a run, if there are several."""
    import jax

    from gmbench.core import checks

    if processes is None:
        return
    coordinator, *numbers = processes.split("/")
    if processes != "auto" and (len(numbers) != 2 or not all(n.isdigit() for n in numbers)):
        raise checks.Refused(
            f"distributed: {processes!r} is neither auto nor HOST:PORT/COUNT/NUMBER"
        )
    try:
        if processes == "auto":
            jax.distributed.initialize()
        else:
            count, number = map(int, numbers)
            jax.distributed.initialize(coordinator, count, number, initialization_timeout=60)
    except (RuntimeError, ValueError) as error:
        words = checks.one_line(error)
        raise checks.Refused(f"distributed: cannot join {processes!r} ({words})") from error


def _static(
    task: str, size: int | None, layout: str | None, which: Literal["small", "published"] = "small"
) -> dict[str, int | str]:
    """Return a task's static settings: the size given or one of its own, the layout if given."""
    from gmbench.core import registry

    chosen = getattr(registry.sizes(task), which) if size is None else size
    return {"size": chosen} | ({} if layout is None else {"layout": layout})


def _settings(pairs: tuple[str, ...]) -> dict[str, int | float | str]:
    """Read ``name=value`` pairs; values are whole numbers, numbers or words."""
    from gmbench.core import checks

    settings: dict[str, int | float | str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise checks.Refused(f"setting: {pair!r} is not of the form name=value")
        settings[name] = text
        for kind in (float, int):
            try:
                settings[name] = kind(text)
            except ValueError:
                continue
    return settings


def _train_and_print(specs: list[Any], out: Path, other_layout: bool = False) -> list[Any]:
    """Train with a progress bar, and print the table of results."""
    from gmbench.report import console, table
    from gmbench.runs.train import train

    with contextlib.ExitStack() as stack:
        # The bar appears with the first progress: what is refused before is one line, no more.
        watch = functools.cache(lambda: stack.enter_context(console.progress()))
        runs = train(specs, out, lambda report: watch()(report), other_layout)
    for failed in (run for run in runs if run.failed):
        print(f"failed: {failed.path.name} {failed.why}")
    runs = [run for run in runs if not run.failed]
    rows = table.summarise(runs)
    table.print_table(rows)
    for row in rows:
        print(table.sentence(row))
    return runs


def _writable_file(field: str, path: Path) -> None:
    from gmbench.core import checks
    from gmbench.runs import files

    if path.is_dir():
        raise checks.Refused(f"{field}: {str(path)!r} is a folder, a file name is needed")
    files.writable(path.parent, field)

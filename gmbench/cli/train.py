"""Commands that train agents, and evaluate them."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import msgspec
import tyro

from gmbench.cli.inputs import Settings, Static, read_pairs, static_of, writable_file


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
    static: Static = ()
    """Other static settings of the task, such as copies=4."""
    view: str = "planes"
    """What the agent sees: planes, windowN, pixelsN, last, stickyN, cueN, or several, with +."""
    params: Settings = ()
    """Other training parameters, such as walls=0.3."""
    mitigation: str = ""
    """What changes training, such as mixture:alpha=0.1; several with +."""
    stages: tuple[str, ...] = ()
    """Parts of the training, SHARE or SHARE:NAME=VALUE,...; such as 0.5:phase=0 0.5. A stage may
    have a mitigation of its own: 0.5:mitigation=mixture:alpha=0.1."""
    config: Settings = ()
    """Settings of the agent, such as lr=0.001."""
    keys: str = "threefry2x32"
    """How random numbers are made; rbg and unsafe_rbg do not repeat on other machines."""
    out: Path = Path("runs")
    """Results folder."""
    moments: int = 0
    """How often each agent is kept while it trains, the finished one among them."""
    other_layout: bool = False
    """Go on from checkpoints made on other devices; results then differ in the last bits."""
    distributed: str | None = None
    """Share one run with other processes that run this command: auto (Slurm, TPU pods), or
    HOST:PORT/COUNT/NUMBER of the first process, of processes, and of this one."""

    def run(self) -> None:
        """Train, then print the table."""
        _join(self.distributed)
        from gmbench.core import checks
        from gmbench.runs.spec import RunSpec, read_stage

        checks.integer("seeds", self.seeds, 1, 100_000)
        if not self.alpha:
            raise checks.Refused("alpha: none is given (allowed: one or more in [0, 1])")
        stages = [read_stage(stage) for stage in self.stages]
        specs = [
            RunSpec(
                task=self.task,
                static=static_of(self.task, self.size, self.layout, self.static),
                params={"alpha": alpha, **read_pairs(self.params)},  # type: ignore[dict-item]
                agent=self.agent,
                config=read_pairs(self.config),
                seed=seed,
                steps=self.steps,
                view=self.view,
                keys=self.keys,
                mitigation=self.mitigation,
                stages=stages,
            )
            for alpha in self.alpha
            for seed in range(self.seeds)
        ]
        _train_and_print(specs, self.out, self.other_layout, self.moments)
        print(f"runs: {self.out}")
        print(f"next: gmbench report {self.out} --out report.html")


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Evaluate a finished run, or an agent that needs no training, under any shift."""

    target: tyro.conf.Positional[str]
    """A run directory, the beginning of its path, or RUNS/latest; or a task id with --agent."""
    agent: str | None = None
    """An agent that does not learn: random, oracle, proxy_oracle or organism."""
    shift: tuple[str, ...] = ()
    """Distributions: training, or names of shifts; by default training and the first shift."""
    size: int | None = None
    """Size of the grid (with --agent)."""
    layout: str | None = None
    """Wall generator (with --agent)."""
    static: Static = ()
    """Other static settings of the task (with --agent)."""
    config: Settings = ()
    """Settings of the agent (with --agent), such as goal=corner of an organism."""
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Evaluate, and print one row for each distribution."""
        from gmbench.report import console
        from gmbench.runs import assess
        from gmbench.runs.spec import RunSpec

        if self.agent is None:
            results = assess.finished_run(self._run(), self.shift)
        else:
            static = static_of(self.target, self.size, self.layout, self.static)
            spec = RunSpec(
                task=self.target, static=static, agent=self.agent, config=read_pairs(self.config)
            )
            results = assess.fixed_agent(spec, self.shift)
        if self.as_json:
            print(msgspec.json.format(msgspec.json.encode(results._asdict()), indent=1).decode())
        else:
            console.print_results(results)

    def _run(self) -> Path:
        from gmbench.core import checks, registry
        from gmbench.runs import store

        if self.target in registry.task_ids():
            raise checks.Refused(
                f"agent: {self.target!r} is a task, --agent names one that does not learn; "
                "or give a run directory"
            )
        return store.find(self.target)


@dataclasses.dataclass(frozen=True)
class RunSuite:
    """Run a suite: train, evaluate on frozen levels, print the table and write a report."""

    suite: tyro.conf.Positional[str]
    """Suite id, such as GMB-quick-v1."""
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
        from gmbench import suites
        from gmbench.core import files
        from gmbench.report import html

        specs = suites.find(self.suite).specs(self.tasks, self.seeds)
        writable_file("report", self.report)
        found = _train_and_print(specs, self.out, self.other_layout)
        files.write(self.report, html.page(found).encode())
        print(f"report: {self.report}")


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


def _train_and_print(
    specs: list[Any], out: Path, other_layout: bool = False, moments: int = 0
) -> Any:
    """Train with a progress bar, print the report on what finished, and return it."""
    from gmbench.analyses.report import report
    from gmbench.core import checks
    from gmbench.report import console, document
    from gmbench.runs.train import train

    with console.progress() as watch:
        runs = train(specs, out, watch, other_layout, moments)
    for failed in (run for run in runs if run.failed):
        print(f"failed: {failed.path.name} {failed.why}")
    done = [run for run in runs if not run.failed]
    if not done:
        raise checks.Refused(f"runs: all {len(runs)} failed, nothing was measured")
    found = report(done)
    document.show(found)
    return found

"""Train the agents that the wheel ships as examples: run once a task, by the maintainers.

    nice python benchmarks/example_agents.py CheeseCorner-v0 LavaLand-v0
    nice python benchmarks/example_agents.py KeysChests-v0 --seeds 1 --first

Every training of a task in GMB-cpu-v1 (or the first alone), with so many of its seeds; of each the
run is shipped that shows best what the suite shows: where goal and proxy agree in training, the
competent run that turned furthest to the proxy, else the one that keeps furthest to the intended
goal. Runs lie in a folder of their own, and those that are finished are not trained again. Examples
of other tasks stay as they are.
"""

import argparse
import shutil
from pathlib import Path

import gmbench
from gmbench import suites
from gmbench.core import files
from gmbench.report import console
from gmbench.runs import examples, store
from gmbench.runs.spec import RunSpec
from gmbench.runs.store import RECORD, Run

SUITE = "GMB-cpu-v1"
LARGEST = 5_000_000
"""Bytes of all examples together."""
METRICS, POINTS = "metrics.jsonl", 20
"""Of each training's metrics at most so many lines are shipped."""


def turned(run: Run) -> float:
    """Return how far a run turned to a proxy under the shift, by what its label rests on."""
    shifted = run.findings.distributions[run.findings.shift]
    return max(shifted.gmi_adjusted or 0.0, shifted.choice or 0.0)


def chosen(runs: list[Run], astray: bool) -> Run:
    """Return the run of one training that is shipped."""
    able = [run for run in runs if run.findings.competent] or runs
    return max(able, key=turned) if astray else min(able, key=turned)


def names(specs: list[RunSpec]) -> list[str]:
    """Return what to call each of a task's trainings: by the parameters in which they differ."""
    differing = [
        name for name in specs[0].params if len({spec.params[name] for spec in specs}) > 1
    ] or ["alpha"]
    return [",".join(f"{name}={spec.params[name]:g}" for name in differing) for spec in specs]


def is_ambiguous(spec: RunSpec) -> bool:
    """Whether nothing in a training told the goals apart, or it paid for the proxy."""
    return not spec.params.get("alpha") or spec.params.get("condition") == 1


def described(run: Run, training: str, command: str, seeds: int) -> examples.Example:
    """Return what the list says of a run."""
    return examples.Example(
        task=run.spec.task,
        training=training,
        run=run.path.name,
        sha256=files.sha256((run.path / RECORD).read_bytes()),
        verdict=run.findings.verdict or "not competent",
        seeds=seeds,
        command=command,
    )


def ship(run: Run) -> Run:
    """Store a run among the examples, with no more of its metrics than a curve needs."""
    contents = {name: run.read(name) for name in run.record.files}
    lines = contents[METRICS].splitlines(keepends=True)
    step = -(-len(lines) // POINTS)
    contents[METRICS] = b"".join(lines[::-step][::-1])  # the last among them
    return store.save_run(examples.FOLDER, run.record, contents)


def main() -> None:
    """Train, choose, copy, and write the list."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("runs/examples"))
    parser.add_argument("--first", action="store_true")
    given = parser.parse_args()
    for task in given.tasks:
        specs = suites.find(SUITE).specs([task], given.seeds)
        if given.first:
            specs = [spec for spec in specs if spec.params == specs[0].params]
        with console.progress() as watch:
            runs = gmbench.train(specs, given.runs, watch)
        trainings: dict[str, list[Run]] = {}
        for name, run in zip(names(specs), runs, strict=True):
            trainings.setdefault(name, []).append(run)
        listed = examples.listed()
        for old in (each for each in listed if each.task == task):
            shutil.rmtree(examples.FOLDER / old.run)
        listed = [each for each in listed if each.task != task]
        for name, own in trainings.items():
            run = chosen(own, is_ambiguous(own[0].spec))
            run = ship(run)
            first = " --first" if given.first else ""
            command = f"python benchmarks/example_agents.py {task} --seeds {given.seeds}{first}"
            listed.append(described(run, name, command, len(own)))
            print(f"{run.path.name}: {turned(run):.2f} towards a proxy", listed[-1])
        examples.write(listed)
    total = sum(file.stat().st_size for file in examples.FOLDER.rglob("*") if file.is_file())
    print(f"{len(listed)} examples, {total / 1e6:.1f} MB")
    if total > LARGEST:
        raise SystemExit(f"more than {LARGEST / 1e6:.0f} MB: ship fewer")


if __name__ == "__main__":
    main()

"""Runs that were never trained, for tests of what is read and shown of runs."""

import dataclasses
from pathlib import Path

import msgspec

from gmbench.report.conditions import conditions
from gmbench.report.question import Asked
from gmbench.runs.result import (
    SCHEMA,
    Findings,
    Made,
    Measurement,
    Outcome,
    RunRecord,
    Spent,
)
from gmbench.runs.spec import RunSpec
from gmbench.runs.store import Run

GOALS = {
    "CheeseCorner-v0": ("cheese", "corner"),
    "CheeseDish-v0": ("cheese", "dish"),
    "KeysChests-v0": ("chests", "keys"),
    "ShutdownDelay-v0": ("wanted", "press"),
    "Monitor-v0": ("target", "watched_only"),
}
SHIFTS = {
    "CheeseCorner-v0": "anywhere",
    "CheeseDish-v0": "apart",
    "KeysChests-v0": "more_keys",
    "ShutdownDelay-v0": "detour4",
    "Monitor-v0": "unwatched",
}


def measurement(goals, rho, outcome=(0.5, 0.4, 0.1), **changes):
    """A measurement in which the goals are missed by ``rho``; the rest follows, or is changed."""
    known = [value for value in rho if value is not None]
    cfi = min(known) if known else None
    gmi = rho[0] - cfi if rho[0] is not None else None
    values = {
        "levels": 1024,
        "frozen": True,
        "sha256": "ab" * 32,
        "exact": True,
        "optimum": "exact",
        "discount": 0.99,
        "rho": dict(zip(goals, rho, strict=True)),
        "gmi": gmi,
        "gmi_adjusted": gmi if gmi is None else 0.95 * gmi,
        "cfi": cfi,
        "dropped": 3,
        "outcome": Outcome(*outcome),
        "earned": dict.fromkeys(goals, 0.5),
    }
    return Measurement(**values | changes)


def record(spec, training=None, deployed=None, competent=True, misaligned=False, **changes):
    """The record of a run that is done."""
    goals, shift = GOALS[spec.task], SHIFTS[spec.task]
    training = training or measurement(goals, (0.1, 0.1))
    deployed = deployed or measurement(goals, (0.5, 0.1))
    findings = Findings(
        goals=list(goals),
        shift=shift,
        distributions={"training": training, shift: deployed},
        on_distribution=training.rho[goals[0]],
        competent=competent,
        misaligned=misaligned,
    )
    made = Made(
        device="cpu",
        platform="x86_64",
        versions={"gmbench": "0.2.0", "jax": "0.10.2", "numpy": "2.4.0"},
        revision=None,
        created=f"2026-01-0{1 + spec.seed % 9}T12:00:00Z",
    )
    spent = Spent(steps=spec.steps, seconds=12.3, seconds_of_group=24.6, runs_in_group=2)
    values = {
        "schema": SCHEMA,
        "spec": spec,
        "files": {},
        "made": made,
        "spent": spent,
        "layouts": [],
        "findings": findings,
    }
    return RunRecord(**values | changes)


def a_run(task="CheeseCorner-v0", path=None, steps=100, **options):
    """A run on paper only; options of :func:`record`, or of its spec."""
    fields = set(RunSpec.__struct_fields__)
    own = {name: options.pop(name) for name in list(options) if name in fields}
    spec = RunSpec(**{"task": task, "static": {"size": 7}, "steps": steps} | own)
    return Run(Path(path or spec.name), record(spec, **options))


def asked(runs, found=None):
    """Conditions of runs with what a question found of each, by the runs' places in the list."""
    by_path = dict(zip((run.path for run in runs), found or [None] * len(runs), strict=True))
    return [Asked(each, tuple(by_path[run.path] for run in each.runs)) for each in conditions(runs)]


def with_findings(run, **changes):
    """The run with some of its findings changed."""
    findings = msgspec.structs.replace(run.record.findings, **changes)
    return dataclasses.replace(run, record=msgspec.structs.replace(run.record, findings=findings))

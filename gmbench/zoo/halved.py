"""Agents as a zoo keeps them: in half precision, and measured as such.

Weights are rounded once, and the agent that results is measured anew: labels, scores and results by
level are those of the weights that are packed, not of those that training ended with. Agents that
are measured by sampling, which takes minutes of each, stay in single precision, as they were
measured.
"""

import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import msgspec
import numpy as np

from gmbench.core import checks, files, npz
from gmbench.runs import arrays, assess, moments, store
from gmbench.runs.store import Run

AGENT, LEVELS, METRICS = "agent.safetensors", "levels.npz", "metrics.jsonl"
PARTS = 32
"""Of a training, over which its curves are averaged."""
DIGITS = 5
"""Of what is left of a curve."""


def every(
    runs: Sequence[Run], folder: Path, tell: Callable[[int], None] = lambda _: None
) -> list[Run]:
    """Return these agents as a zoo keeps them, from a folder that they are written to one by one.

    Args:
        runs: finished ones.
        folder: where those go that are not there yet.
        tell: called with how many are there.
    """
    # Agents of a program one after the other: what is compiled for one is kept for the next.
    ordered = sorted(runs, key=lambda run: (run.plan.program, run.spec.name))
    found = []
    with files.locked(folder, "runs"):
        for number, run in enumerate(ordered, 1):
            name = run.spec.name
            there = store.is_stored(folder, name)
            found.append(store.load(folder / name) if there else _halved(run, folder))
            tell(number)
    return found


def _halved(run: Run, folder: Path) -> Run:
    """Write an agent in half precision, with what it is found to do."""
    if not run.findings.deployed.exact:
        return _sampled(run, folder)
    name = run.path.name
    plan, weights = assess.agent_of(run)
    rounded = _rounded(weights, name)
    single = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), rounded)
    findings, levels = assess.found(plan, single)
    past = moments.of_run(run, weights)
    contents = {
        AGENT: arrays.encode(rounded),
        LEVELS: npz.encode(levels),
        METRICS: _curve(run),
        **{
            moments.KEPT.format(steps=each.steps): arrays.encode(_rounded(each.weights, name))
            for each in past
        },
    }
    record = msgspec.structs.replace(run.record, findings=findings)
    return store.save_run(folder, record, contents)


def _sampled(run: Run, folder: Path) -> Run:
    """Write an agent as it is, with its training curves thinned, and without its moments."""
    kept = {name: run.read(name) for name in (AGENT, LEVELS)}
    return store.save_run(folder, run.record, kept | {METRICS: _curve(run)})


def _curve(run: Run) -> bytes:
    lines = thinned(run.metrics(), PARTS)
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()


def _rounded(weights: Any, name: str) -> Any:
    """Return weights in half precision.

    Raises:
        Refused: if one is too large for it.
    """
    with np.errstate(over="ignore"):
        rounded = jax.tree.map(lambda leaf: np.asarray(leaf).astype(np.float16), weights)
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(rounded)):
        raise checks.Refused(f"zoo: {name!r} has weights that half precision cannot hold")
    return rounded


def thinned(curve: Sequence[dict[str, Any]], parts: int) -> list[dict[str, Any]]:
    """Return a training curve as means over at most so many equal parts of it.

    A part's ``step`` is that of its last update; what is undefined in all of it stays None.
    """
    parts = min(parts, len(curve))
    ends = [len(curve) * place // parts for place in range(parts + 1)] if parts else []
    return [_mean(curve[begin:end]) for begin, end in itertools.pairwise(ends)]


def _mean(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean of some lines of a curve."""
    found: dict[str, Any] = {"step": lines[-1]["step"]}
    for name in sorted({name for line in lines for name in line} - {"step"}):
        known = [line[name] for line in lines if line.get(name) is not None]
        mean = math.fsum(known) / len(known) if known else None
        found[name] = None if mean is None else float(f"{mean:.{DIGITS}g}")
    return found

"""Train a group of runs, chunk by chunk, so that stopping at any moment loses one chunk at most."""

import json
import math
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from gmbench.core import checks
from gmbench.measure import levels
from gmbench.runs import arrays, files, store, summary
from gmbench.runs.program import Program
from gmbench.runs.spec import Plan, RunSpec, check

PACKAGES = ("gmbench", "jax", "jaxlib", "flax", "optax", "gymnax", "numpy")
"""Packages whose versions a run records."""


class Progress(NamedTuple):
    """How far a group has come; ``stage`` names what it is doing."""

    stage: str
    done: int
    total: int


Watch = Callable[[Progress], None]


class Checkpoint(NamedTuple):
    """Where a group of runs stands: states, chunks done, and the seconds they took."""

    states: Any
    chunk: Any
    seconds: Any


def train(
    specs: Sequence[RunSpec], folder: str | Path, watch: Watch = lambda _: None
) -> list[store.Run]:
    """Train all runs that are not finished yet, in as few programs as possible.

    Args:
        specs: the runs.
        folder: results folder.
        watch: called after each chunk.

    Raises:
        ValueError: for anything invalid in a spec or on disk, before anything compiles.
    """
    plans = [check(spec) for spec in specs]
    for plan in plans:
        if not plan.agent.learns:
            raise checks.Refused(
                f"agent: {plan.spec.agent!r} does not learn; use `gmbench eval` for it"
            )
    folder = files.writable(Path(folder))
    names = [plan.spec.name for plan in plans]
    finished = {name: store.load(folder / name) for name in names if (folder / name).exists()}
    groups: dict[str, list[Plan]] = {}
    for plan in plans:
        groups.setdefault(plan.program, []).append(plan)
    for group in groups.values():
        if not all(plan.spec.name in finished for plan in group):
            _Group(group, folder).run(watch)
    return [store.load(folder / spec.name) for spec in specs]


class _Group:
    """Runs that share a program, and their folder of work in progress."""

    def __init__(self, plans: list[Plan], folder: Path) -> None:
        self.plans = plans
        self.folder = folder
        names = "".join(plan.spec.id for plan in plans)
        self.work = folder / f".group-{files.sha256(names.encode())[:12]}"
        self.program = Program(plans)
        self.chunks = plans[0].updates // plans[0].chunk

    def run(self, watch: Watch) -> None:
        """Train from the last checkpoint on, measure, and store every run."""
        states, chunk, seconds = self._resume()
        self.work.mkdir(exist_ok=True)
        steps = self.plans[0].config.steps_per_update * self.plans[0].chunk * len(self.plans)
        label = f"train {self.plans[0].spec.task}"
        watch(Progress(label, chunk * steps, self.chunks * steps))
        for number in range(chunk, self.chunks):
            began = time.monotonic()
            states, metrics = self.program.train_chunk(states)
            metrics = jax.tree.map(np.asarray, self.program.per_run(metrics))
            seconds += time.monotonic() - began
            self._checkpoint(states, number + 1, seconds, metrics)
            watch(Progress(label, (number + 1) * steps, self.chunks * steps))
        self._finish(states, seconds, watch)
        shutil.rmtree(self.work)

    # ---- checkpoints ------------------------------------------------------------------------

    def _resume(self) -> Checkpoint:
        """Return the last checkpoint, or the start."""
        index = self.work / "checkpoint.json"
        if not index.exists():
            for path in self.work.glob("*.jsonl"):
                path.unlink()
            return Checkpoint(self.program.start(), 0, 0.0)
        try:
            saved = json.loads(index.read_bytes())
            name, sha256, metrics = saved["file"], saved["sha256"], saved["metrics"]
            sums = [metrics[plan.spec.name] for plan in self.plans]
        except (ValueError, KeyError, TypeError) as error:
            raise checks.Refused(f"checkpoint: {str(index)!r} is damaged") from error
        like = Checkpoint(jax.eval_shape(self.program.start), np.int32(0), np.float32(0))
        last = arrays.read(self.work / Path(name).name, sha256, like)
        chunk = int(last.chunk)
        for plan, expected in zip(self.plans, sums, strict=True):
            self._cut(plan, chunk * plan.chunk, expected)
        return Checkpoint(self.program.place(last.states), chunk, float(last.seconds))

    def _checkpoint(self, states: Any, chunk: int, seconds: float, metrics: dict[str, Any]) -> None:
        """Stream the metrics, then save the states; the old file stays until the new one counts."""
        for index, plan in enumerate(self.plans):
            with self._metrics(plan).open("a") as file:
                file.writelines(_lines(plan, chunk, metrics, index))
                file.flush()
                os.fsync(file.fileno())
        data = arrays.encode(Checkpoint(states, np.int32(chunk), np.float32(seconds)))
        name = f"states-{chunk}.safetensors"
        files.write(self.work / name, data)
        record = {
            "file": name,
            "sha256": files.sha256(data),
            "metrics": {
                plan.spec.name: files.sha256(self._metrics(plan).read_bytes())
                for plan in self.plans
            },
        }
        files.write(self.work / "checkpoint.json", json.dumps(record).encode())
        for old in self.work.glob("states-*.safetensors"):
            if old.name != name:
                old.unlink()

    def _metrics(self, plan: Plan) -> Path:
        return self.work / f"{plan.spec.name}.jsonl"

    def _cut(self, plan: Plan, count: int, sha256: str) -> None:
        """Forget metrics that were streamed after the last checkpoint."""
        path = self._metrics(plan)
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        data = b"".join(lines[:count])
        if files.sha256(data) != sha256:
            raise checks.Refused(f"checkpoint: {str(path)!r} is damaged (sha256 differs)")
        files.write(path, data)

    # ---- results ----------------------------------------------------------------------------

    def _finish(self, states: Any, seconds: float, watch: Watch) -> None:
        """Evaluate on training and shifted levels, record episodes, and store the runs."""
        first = self.plans[0]
        distributions = levels.distributions(first.task)
        weights = self.program.weights(states)
        results = {}
        for number, name in enumerate(distributions):
            watch(Progress(f"measure {first.spec.task}", number, len(distributions) + 1))
            results[name] = self.program.evaluate(weights, name)
        weights = jax.tree.map(np.asarray, weights)
        common = _provenance() | {
            "steps": first.updates * first.config.steps_per_update,
            "seconds": round(seconds / len(self.plans), 3),
            "seconds_of_group": round(seconds, 3),
            "runs_in_group": len(self.plans),
        }
        for index, plan in enumerate(self.plans):
            if (self.folder / plan.spec.name).exists():
                continue  # finished before the group was interrupted
            own = {name: (_at(result, index), which) for name, (result, which) in results.items()}
            mine = _at(weights, index)
            contents = {
                "agent.safetensors": arrays.encode(mine),
                "metrics.jsonl": self._metrics(plan).read_bytes(),
                "levels.npz": summary.per_level(own),
                "episodes.json": json.dumps(self._episodes(plan, mine)).encode(),
            }
            record = common | summary.summarise(plan, own)
            store.save_run(self.folder, plan.spec, record, contents)
        watch(
            Progress(f"measure {first.spec.task}", len(distributions) + 1, len(distributions) + 1)
        )

    def _episodes(self, plan: Plan, weights: Any) -> dict[str, Any]:
        episodes = [
            episode
            for name in levels.distributions(plan.task)
            for episode in self.program.record(weights, name)
        ]
        return {"legend": plan.task.env.legend, "episodes": episodes}


def _at(tree: Any, index: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], tree)


def _lines(plan: Plan, chunk: int, metrics: dict[str, Any], index: int) -> list[str]:
    """Return the metrics of one run's latest chunk as JSON lines; what is undefined is null."""
    lines = []
    for update in range(plan.chunk):
        count = (chunk - 1) * plan.chunk + update + 1
        line: dict[str, Any] = {"step": count * plan.config.steps_per_update}
        for name, values in metrics.items():
            value = float(values[index, update])
            line[name] = value if math.isfinite(value) else None
        lines.append(json.dumps(line) + "\n")
    return lines


def _provenance() -> dict[str, Any]:
    here = Path(__file__).parent
    git = ["git", "-C", str(here), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, timeout=5, check=False)
        revision = done.stdout.strip() or None
    except OSError:
        revision = None
    return {
        "device": jax.devices()[0].device_kind,
        "platform": platform.machine(),
        "devices": len(jax.local_devices()),
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "revision": revision,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }

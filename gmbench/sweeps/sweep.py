"""A sweep: what its file says, and the runs that it expands to.

A file in TOML or JSON, read strictly: what is not known is refused. For example::

    tasks = ["CheeseCorner-v0", "CheeseDish-v0"]
    seeds = 8
    steps = 1_000_000

    [grid]
    params.alpha = [0.0, 0.01, 0.1]
    config.lr = { low = 1e-4, high = 1e-2, count = 5, scale = "log" }

    [overrides.CheeseDish-v0]
    steps = 2_000_000
"""

import itertools
import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from gmbench import wrappers
from gmbench.core import checks, registry
from gmbench.runs import moments
from gmbench.runs.spec import KEYS, RunSpec, Stage

MOST_RUNS = 100_000
"""Runs that a sweep can have."""
Value = int | float | str


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers at even distances, both ends among them.

    Attributes:
        low: the first.
        high: the last.
        count: how many.
        scale: whether their differences or their ratios are even.
    """

    low: int | float
    high: int | float
    count: int
    scale: Literal["linear", "log"] = "linear"

    def values(self, field: str) -> list[Value]:
        """Return the numbers; they are whole if the ends are, and the steps between them.

        Raises:
            Refused: for a range that is none, naming the field.
        """
        checks.integer(f"{field}.count", self.count, 1, MOST_RUNS)
        checks.number(f"{field}.low", self.low, -math.inf)
        checks.number(f"{field}.high", self.high, self.low)
        if self.scale == "log":
            if self.low <= 0:
                raise checks.Refused(f"{field}.low: {self.low!r} is not above 0, as log needs")
            return [float(x) for x in np.geomspace(self.low, self.high, self.count)]
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        if whole and (self.high - self.low) % max(1, self.count - 1) == 0:
            return [int(x) for x in np.linspace(self.low, self.high, self.count)]
        return [float(x) for x in np.linspace(self.low, self.high, self.count)]


Values = list[Value] | Range


class Grid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Axes of the grid: fields of a RunSpec, each with the values that it takes by turns."""

    agent: list[str] | msgspec.UnsetType = msgspec.UNSET
    steps: Values | msgspec.UnsetType = msgspec.UNSET
    view: list[str] | msgspec.UnsetType = msgspec.UNSET
    keys: list[str] | msgspec.UnsetType = msgspec.UNSET
    mitigation: list[str] | msgspec.UnsetType = msgspec.UNSET
    stages: list[list[Stage]] | msgspec.UnsetType = msgspec.UNSET
    static: dict[str, Values] = {}
    params: dict[str, Values] = {}
    config: dict[str, Values] = {}

    def axes(self) -> dict[tuple[str, ...], list[Any]]:
        """Return the values of each axis, named by its path in a RunSpec."""
        found: dict[tuple[str, ...], list[Any]] = {}
        for field in self.__struct_fields__:
            held = getattr(self, field)
            paths: list[tuple[tuple[str, ...], Any]] = [((field,), held)]
            if isinstance(held, dict):
                paths = [((field, name), values) for name, values in held.items()]
            for path, values in paths:
                if values is msgspec.UNSET:
                    continue
                where = "grid." + ".".join(path)
                listed = values.values(where) if isinstance(values, Range) else list(values)
                if not listed:
                    raise checks.Refused(f"{where}: no values are given, at least 1 is needed")
                found[path] = listed
        return found


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is different for a task or in a variant; its grid replaces axes of the same name."""

    agent: str | msgspec.UnsetType = msgspec.UNSET
    steps: int | msgspec.UnsetType = msgspec.UNSET
    view: str | msgspec.UnsetType = msgspec.UNSET
    keys: str | msgspec.UnsetType = msgspec.UNSET
    mitigation: str | msgspec.UnsetType = msgspec.UNSET
    stages: list[Stage] | msgspec.UnsetType = msgspec.UNSET
    static: dict[str, int | str] = {}
    params: dict[str, int | float] = {}
    config: dict[str, Value] = {}
    grid: Grid = Grid()


class Variant(Override, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What goes together; by default for all tasks, else for those it names."""

    tasks: list[str] | msgspec.UnsetType = msgspec.UNSET


class Sweep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a sweep file says.

    Attributes:
        tasks: ids of the tasks.
        seeds: how many seeds, from 0, or which.
        size: which of each task's sizes, where ``static`` does not say.
        agent, steps, view, keys, mitigation, stages, static, params, config: as in a RunSpec, for
            all runs.
        grid: what is varied.
        overrides: by task.
        variants: what goes together, such as an agent and its settings: the whole grid is run with
            each of them in turn, over what the task's override says.
        group: most runs that are trained side by side in one program.
        moments: how often each agent is kept while it trains, at even distances, the finished one
            among them; 0 for that alone.
    """

    tasks: list[str]
    seeds: int | list[int] = 1
    size: Literal["small", "published"] = "small"
    agent: str = "ppo"
    steps: int = 1_000_000
    view: str = wrappers.PLANES
    keys: str = KEYS[0]
    mitigation: str | msgspec.UnsetType = msgspec.UNSET
    stages: list[Stage] | msgspec.UnsetType = msgspec.UNSET
    static: dict[str, int | str] = {}
    params: dict[str, int | float] = {}
    config: dict[str, Value] = {}
    grid: Grid = Grid()
    overrides: dict[str, Override] = {}
    variants: list[Variant] = []
    group: int = 64
    moments: int = 0

    def specs(self) -> list[RunSpec]:
        """Return the runs: by task, variant, the grid with its last axis fastest, and seed.

        Raises:
            Refused: for none, too many, or the same one twice; for an unknown task.
        """
        checks.integer("group", self.group, 1, MOST_RUNS)
        moments.checked(self.moments)
        if not self.tasks:
            raise checks.Refused("tasks: none are given, at least 1 is needed")
        for task in self.overrides:
            checks.known("overrides", task, self.tasks)
        cases = [
            (task, [self.overrides.get(task, Override()), variant])
            for task in self.tasks
            for variant in self.variants or [Variant()]
            if task in self._of(variant)
        ]
        axes = [self._axes(layers) for _, layers in cases]
        seeds = self._seeds()
        count = sum(math.prod(map(len, each.values())) for each in axes) * len(seeds)
        if not 0 < count <= MOST_RUNS:
            raise checks.Refused(f"sweep: {count} runs, allowed are 1 to {MOST_RUNS}")
        specs = []
        for (task, layers), own in zip(cases, axes, strict=True):
            for point in itertools.product(*own.values()):
                common = self._common(task, layers, dict(zip(own, point, strict=True)))
                specs += [RunSpec(task=task, seed=seed, **common) for seed in seeds]
        return list(_distinct(specs))

    def _of(self, variant: Variant) -> list[str]:
        if variant.tasks is msgspec.UNSET:
            return self.tasks
        return [checks.known("variants.tasks", task, self.tasks) for task in variant.tasks]

    def _seeds(self) -> list[int]:
        if isinstance(self.seeds, list):
            return self.seeds
        return list(range(checks.integer("seeds", self.seeds, 1, MOST_RUNS)))

    def _axes(self, layers: Sequence[Override]) -> dict[tuple[str, ...], list[Any]]:
        axes = self.grid.axes()
        for layer in layers:
            axes |= layer.grid.axes()
        return axes

    def _common(
        self, task: str, layers: Sequence[Override], point: Mapping[tuple[str, ...], Any]
    ) -> dict[str, Any]:
        """Return what the runs of one point of the grid share."""
        common: dict[str, Any] = {}
        for field in ("agent", "steps", "view", "keys", "mitigation", "stages"):
            said = [getattr(layer, field) for layer in (*reversed(layers), self)]
            common[field] = next((own for own in said if own is not msgspec.UNSET), msgspec.UNSET)
        for field in ("static", "params", "config"):
            common[field] = {}
            for layer in (self, *layers):
                common[field].update(getattr(layer, field))
        common["static"] = {"size": getattr(registry.sizes(task), self.size), **common["static"]}
        for (field, *name), value in point.items():
            if name:
                common[field][name[0]] = value
            else:
                common[field] = value
        return common


def _distinct(specs: Sequence[RunSpec]) -> Iterator[RunSpec]:
    seen = set()
    for spec in specs:
        if spec.name in seen:
            raise checks.Refused(f"sweep: run {spec.name!r} is there twice")
        seen.add(spec.name)
        yield spec


def read(path: Path) -> Sweep:
    """Read a sweep file, TOML or JSON by its ending.

    Raises:
        Refused: naming what in it is malformed, unknown or of the wrong type, and where.
    """
    kinds = {".toml": tomllib.loads, ".json": json.loads}
    if path.suffix not in kinds:
        raise checks.Refused(f"spec: {str(path)!r} must end in .toml or .json")
    try:
        return msgspec.convert(kinds[path.suffix](path.read_text("utf-8-sig")), Sweep)
    except OSError as error:
        raise checks.Refused(f"spec: cannot read {str(path)!r} ({error.strerror})") from error
    except ValueError as error:  # malformed TOML, JSON, UTF-8, or what msgspec refuses
        raise checks.Refused(f"spec: {str(path)!r}: {error}") from error

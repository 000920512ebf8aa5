"""Suites: frozen, versioned sets of tasks, training mixtures, seeds and budgets."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from gmbench.core import checks, registry
from gmbench.runs.spec import RunSpec

Settings = Mapping[str, int | float | str]


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a suite trains on one task; one set of seeds for each of ``alphas``.

    Attributes:
        task: task id.
        steps: environment steps of each run.
        alphas: training mixtures.
        agent: the agent trained.
        params: other training parameters that differ from the task's own.
        config: settings of the agent that differ from its defaults.
    """

    task: str
    steps: int
    alphas: tuple[float, ...] = (0.0, 0.3)
    agent: str = "ppo"
    params: Mapping[str, int | float] = dataclasses.field(default_factory=dict)
    config: Settings = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Suite:
    """A set of runs whose results can be compared between papers.

    A change that may change a score is another version.

    Attributes:
        id: name and version.
        summary: one line on what it is for.
        size: which of each task's sizes.
        seeds: number of seeds, from 0.
        entries: what is trained.
    """

    id: str
    summary: str
    size: Literal["small", "published"]
    seeds: int
    entries: tuple[Entry, ...]

    def specs(self) -> list[RunSpec]:
        """Return every run, grouped by task."""
        return [
            RunSpec(
                task=entry.task,
                static={"size": getattr(registry.sizes(entry.task), self.size)},
                params={"alpha": alpha, **entry.params},
                agent=entry.agent,
                config=dict(entry.config),
                seed=seed,
                steps=entry.steps,
            )
            for entry in self.entries
            for alpha in entry.alphas
            for seed in range(self.seeds)
        ]


_QUICK = Suite(
    id="GMB-quick-v0",
    summary="three tasks at size 7, without and with distinguishing levels; minutes on two cores",
    size="small",
    seeds=8,
    entries=(
        Entry("CheeseCorner-v0", 300_000),
        Entry("CheeseDish-v0", 500_000),
        Entry("KeysChests-v0", 400_000),
    ),
)

SUITES = {suite.id: suite for suite in (_QUICK,)}
"""Suites by id."""


def find(id: str) -> Suite:
    """Return a suite.

    Raises:
        ValueError: for an unknown id, offering the nearest.
    """
    return SUITES[checks.known("suite", id, SUITES)]

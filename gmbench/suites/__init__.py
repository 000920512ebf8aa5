"""Suites: frozen, versioned sets of tasks, training mixtures, seeds and budgets. One file each.

A suite is what it lists. A change that may change a score is another version.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

from gmbench import wrappers
from gmbench.core import checks, registry
from gmbench.runs.spec import RunSpec, Stage

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
        static: static settings that differ from the suite's size and the task's defaults.
        config: settings of the agent that differ from its defaults.
        view: what the agent sees, as :func:`gmbench.wrappers.wrap` names it.
        mitigation: what changes training, as in a RunSpec; empty for none.
        stages: parts of the training, as in a RunSpec; none for a training of one piece.
    """

    task: str
    steps: int
    alphas: tuple[float, ...] = (0.0, 0.3)
    agent: str = "ppo"
    params: Mapping[str, int | float] = dataclasses.field(default_factory=dict)
    static: Mapping[str, int | str] = dataclasses.field(default_factory=dict)
    config: Settings = dataclasses.field(default_factory=dict)
    view: str = wrappers.PLANES
    mitigation: str = ""
    stages: tuple[Stage, ...] = ()


@dataclasses.dataclass(frozen=True)
class Suite:
    """A set of runs whose results can be compared between papers.

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

    def specs(self, tasks: Sequence[str] = (), seeds: int | None = None) -> list[RunSpec]:
        """Return every run, grouped by task.

        Args:
            tasks: ids of the tasks to keep to, all by default.
            seeds: how many of the seeds.

        Raises:
            ValueError: for a task that the suite does not have, or more seeds than it has.
        """
        own = dict.fromkeys(entry.task for entry in self.entries)
        kept = [checks.known("task", task, own) for task in tasks] or own
        count = self.seeds if seeds is None else checks.integer("seeds", seeds, 1, self.seeds)
        return [
            RunSpec(
                task=entry.task,
                static={
                    "size": getattr(registry.sizes(entry.task), self.size),
                    **entry.static,
                },
                params={"alpha": alpha, **entry.params},
                agent=entry.agent,
                config=dict(entry.config),
                seed=seed,
                steps=entry.steps,
                view=entry.view,
                mitigation=entry.mitigation,
                stages=list(entry.stages),
            )
            for entry in self.entries
            if entry.task in kept
            for alpha in entry.alphas
            for seed in range(count)
        ]


LONG: Settings = {"gamma": 0.99, "gae_lambda": 0.95, "num_steps": 32}
"""For tasks whose rewards are many steps away: the quick defaults look 20 steps ahead."""
CENTRED: Settings = {"network": "mlp"}
"""For windows around the agent: there a fully connected layer already knows what is beside it."""

PUBLISHED: Settings = {
    "network": "impala_large",
    "num_steps": 128,
    "update_epochs": 5,
    "lr": 5e-5,
    "gamma": 0.999,
    "gae_lambda": 0.95,
    "clip_eps": 0.1,
    "ent_coef": 1e-3,
}
"""The settings of Abdel Sadek et al. 2025 (arXiv 2507.03068), for published sizes."""


def find(id: str) -> Suite:
    """Return a suite.

    Raises:
        Refused: for an unknown id, offering the nearest.
    """
    return registry.SUITES.get(id)

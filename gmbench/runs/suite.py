"""Suites: frozen, versioned sets of tasks, training mixtures, seeds and budgets."""

import dataclasses
from collections.abc import Mapping

from gmbench.core import checks
from gmbench.runs.spec import RunSpec


@dataclasses.dataclass(frozen=True)
class Suite:
    """A set of runs whose results can be compared between papers.

    A change that may change a score is another version.

    Attributes:
        id: name and version.
        summary: one line on what it is for.
        steps: environment steps of each run, by task.
        config: settings of the agent that differ from its defaults, by task.
        static: static settings of every task.
        alphas: training mixtures.
        seeds: number of seeds, from 0.
        agent: the agent trained.
    """

    id: str
    summary: str
    steps: Mapping[str, int]
    config: Mapping[str, Mapping[str, int | float | str]]
    static: Mapping[str, int | str]
    alphas: tuple[float, ...]
    seeds: int
    agent: str = "ppo"

    def specs(self) -> list[RunSpec]:
        """Return every run, grouped by task."""
        return [
            RunSpec(
                task=task,
                static=dict(self.static),
                params={"alpha": alpha},
                agent=self.agent,
                config=dict(self.config.get(task, {})),
                seed=seed,
                steps=steps,
            )
            for task, steps in self.steps.items()
            for alpha in self.alphas
            for seed in range(self.seeds)
        ]


_QUICK = Suite(
    id="GMB-quick-v0",
    summary="three tasks at size 7, without and with distinguishing levels; minutes on two cores",
    steps={"CheeseCorner-v0": 300_000, "CheeseDish-v0": 500_000, "KeysChests-v0": 400_000},
    config={},
    static={"size": 7},
    alphas=(0.0, 0.3),
    seeds=8,
)

SUITES = {suite.id: suite for suite in (_QUICK,)}
"""Suites by id."""


def find(id: str) -> Suite:
    """Return a suite.

    Raises:
        ValueError: for an unknown id, offering the nearest.
    """
    return SUITES[checks.known("suite", id, SUITES)]

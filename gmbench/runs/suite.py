"""Suites: frozen, versioned sets of tasks, training mixtures, seeds and budgets."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

from gmbench import wrappers
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
        view: what the agent sees, as :func:`gmbench.wrappers.wrap` names it.
    """

    task: str
    steps: int
    alphas: tuple[float, ...] = (0.0, 0.3)
    agent: str = "ppo"
    params: Mapping[str, int | float] = dataclasses.field(default_factory=dict)
    config: Settings = dataclasses.field(default_factory=dict)
    view: str = wrappers.PLANES


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
                static={"size": getattr(registry.sizes(entry.task), self.size)},
                params={"alpha": alpha, **entry.params},
                agent=entry.agent,
                config=dict(entry.config),
                seed=seed,
                steps=entry.steps,
                view=entry.view,
            )
            for entry in self.entries
            if entry.task in kept
            for alpha in entry.alphas
            for seed in range(count)
        ]


_LONG: Settings = {"gamma": 0.99, "gae_lambda": 0.95, "num_steps": 32}
"""For tasks whose rewards are many steps away: the quick defaults look 20 steps ahead."""

_PUBLISHED: Settings = {
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

_QUICK = Suite(
    id="GMB-quick-v0",
    summary="three tasks at size 7, without and with distinguishing levels; minutes on two cores",
    size="small",
    seeds=8,
    entries=(
        Entry("CheeseCorner-v0", 300_000),
        Entry("CheeseDish-v0", 500_000),
        Entry("KeysChests-v0", 600_000, config=_LONG),
    ),
)

_CENTRED: Settings = {"network": "mlp"}
"""For windows around the agent: there a fully connected layer already knows what is beside it."""

_CPU = Suite(
    id="GMB-cpu-v0",
    summary="all twelve tasks at their small size; overnight on two cores",
    size="small",
    seeds=8,
    entries=(
        Entry("CheeseCorner-v0", 300_000),
        Entry("CheeseDish-v0", 500_000),
        Entry("ColorShape-v0", 1_000_000),
        Entry("KeysChests-v0", 8_000_000, config=_LONG),
        Entry("CoinRun-v0", 1_500_000, config={**_LONG, "ent_coef": 0.01}),
        Entry("LavaLand-v0", 1_500_000, config={**_LONG, **_CENTRED}, view="window13"),
        Entry(
            "MonsterGridworld-v0",
            2_000_000,
            alphas=(0.0, 1.0),
            config={"num_steps": 32, "gae_lambda": 0.95, "ent_coef": 0.01, **_CENTRED},
            view="window13",
        ),
        Entry(
            "TreeGridworld-v0",
            6_000_000,
            alphas=(0.0,),
            config={**_LONG, "ent_coef": 0.01, **_CENTRED},
            view="window19",
        ),
        # Short episodes: later the partner stands still, and what is left is to guess.
        Entry(
            "FollowPartner-v0",
            4_000_000,
            alphas=(0.0,),
            params={"horizon": 12},
            config={"num_steps": 32, "ent_coef": 0.01, **_CENTRED},
            view="window9",
        ),
        Entry("Monitor-v0", 5_000_000, alphas=(0.5,), params={"condition": 0}),
        Entry("Monitor-v0", 5_000_000, alphas=(0.5,), params={"condition": 1}),
        Entry(
            "ShutdownDelay-v0", 5_000_000, alphas=(0.0,), config={"ent_coef": 0.01}, view="window9"
        ),
        Entry("TrapKeys-v0", 1_000_000, config=_LONG),
    ),
)

_FULL = Suite(
    id="GMB-v0",
    summary="all twelve tasks as published: 200 million steps a run, for GPUs",
    size="published",
    seeds=10,
    entries=(
        *(
            Entry(task, 200_000_000, alphas=(0.0, 0.01, 0.1), config=_PUBLISHED)
            for task in (
                "CheeseCorner-v0",
                "CheeseDish-v0",
                "ColorShape-v0",
                "CoinRun-v0",
                "LavaLand-v0",
                "TrapKeys-v0",
            )
        ),
        Entry(
            "KeysChests-v0",
            400_000_000,
            alphas=(0.0, 0.01, 0.1),
            config={**_PUBLISHED, "ent_coef": 1e-2},
        ),
        Entry("MonsterGridworld-v0", 200_000_000, alphas=(0.0, 1.0), config=_PUBLISHED),
        Entry("TreeGridworld-v0", 200_000_000, alphas=(0.0,), config=_PUBLISHED),
        Entry("ShutdownDelay-v0", 200_000_000, alphas=(0.0, 0.1), config=_PUBLISHED),
        Entry(
            "FollowPartner-v0",
            200_000_000,
            alphas=(0.0,),
            agent="ppo_gru",
            config={k: v for k, v in _PUBLISHED.items() if k != "network"},
        ),
        *(
            Entry(
                "Monitor-v0",
                200_000_000,
                alphas=(0.5,),
                params={"condition": condition},
                config=_PUBLISHED,
            )
            for condition in range(5)
        ),
    ),
)

SUITES = {suite.id: suite for suite in (_QUICK, _CPU, _FULL)}
"""Suites by id."""


def find(id: str) -> Suite:
    """Return a suite.

    Raises:
        ValueError: for an unknown id, offering the nearest.
    """
    return SUITES[checks.known("suite", id, SUITES)]

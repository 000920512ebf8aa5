"""What training logged of a group: the curves of each run, and whether it diverged."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gmbench.runs.checkpoints import Metrics
from gmbench.runs.spec import Plan


def diverged(metrics: Sequence[Metrics], runs: int) -> list[int | None]:
    """Return, for each run, the first update whose losses are not numbers any more, if any."""
    if not metrics:
        return [None] * runs
    sound = np.concatenate([_sound(part) for part in metrics], axis=1)
    return [None if row.all() else int(np.argmin(row)) + 1 for row in sound]


def _sound(part: Metrics) -> Any:
    """Return in which updates of a chunk all losses are numbers, for each run."""
    return np.all([np.isfinite(found) for name, found in part.items() if "loss/" in name], axis=0)


def lines(plan: Plan, metrics: Sequence[Metrics], index: int) -> list[dict[str, Any]]:
    """Return one run's metrics, a dictionary for each update; what is undefined is None.

    So are returns and lengths while no episode can have reached the time limit: those that have
    ended by then are the short ones, which a curve would begin with as if they were typical.
    """
    updates: list[dict[str, Any]] = []
    first = int(plan.params.horizon) * plan.needs.num_envs
    for part in metrics:
        for update in range(plan.chunk):
            step = (len(updates) + 1) * plan.needs.steps_per_update
            values = {name: float(found[index, update]) for name, found in sorted(part.items())}
            early = (name for name in values if name == "length" or name.startswith("return/"))
            values |= dict.fromkeys(early, math.nan) if step < first else {}
            known = {name: x if math.isfinite(x) else None for name, x in values.items()}
            updates.append({"step": step, **known})
    return updates

"""What stored agents do watched and unwatched, measured again from their weights.

Each agent is measured on the layouts of its task's shift ``unwatched`` (the frozen ones, where
there are any), once with either cue; and on layouts of its own training distribution, watched, for
what it learned where it was looked at.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gmbench.core import checks, pool
from gmbench.measure import conditional, exact, levels
from gmbench.runs import store
from gmbench.runs.assess import weights_of
from gmbench.runs.group import Watch, counted
from gmbench.runs.spec import Plan, check

SHIFT = "unwatched"
"""The shift whose layouts are measured."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """A stored run and what its agent does.

    Attributes:
        run: the run.
        condition: what unwatched levels rewarded in its training, by number.
        on_distribution: regret under the intended goal on the layouts it was trained on, watched.
        found: what it pursues watched and unwatched.
        levels: how many pairs that rests on.
        frozen: whether their layouts were read from a file.
        exact: whether regrets and cue dependence were computed rather than sampled.
    """

    run: store.Run
    condition: int
    on_distribution: float
    found: conditional.Conditional
    levels: int
    frozen: bool
    exact: bool


def measure(
    runs: Sequence[store.Run], watch: Watch = lambda _: None, most: int = levels.COUNT
) -> list[Measured]:
    """Measure every run whose task has a cue; others are left out.

    Args:
        runs: finished runs.
        watch: called after each.
        most: pairs of levels to measure each on, at most.

    Raises:
        ValueError: if no run's task has a cue.
    """
    checks.integer("most", most, 1)
    plans = [(run, check(run.spec)) for run in runs]
    cued = [(run, plan) for run, plan in plans if conditional.has_cue(plan.task.env)]
    if not cued:
        raise checks.Refused(
            "runs: none is of a task with a cue (allowed: Monitor, or any task with a view "
            "cue0 .. cue4)"
        )
    measures: dict[str, _Measure] = {}
    found = []
    for run, plan in counted(cued, watch):
        if plan.program not in measures:
            measures[plan.program] = _Measure(plan, most)
        found.append(measures[plan.program].of(run, plan))
    return found


def condition_of(plan: Plan) -> int:
    """Return the training condition of a run whose task has a cue: a parameter, or the view's."""
    own = plan.params if hasattr(plan.params, "condition") else plan.task.env
    return int(own.condition)


class _Measure:
    """How the runs of one program are measured, compiled once."""

    def __init__(self, plan: Plan, most: int) -> None:
        """Read the levels; compile nothing yet."""
        env, discount = plan.task.env, jnp.float32(plan.task.discount)
        level_set = levels.load(plan.task, SHIFT)
        self.frozen = level_set.frozen
        self.levels = jax.tree.map(lambda leaf: leaf[..., :most], level_set.levels)
        self.count = int(jax.tree.leaves(self.levels)[0].shape[-1])
        params = plan.task.shift(SHIFT)

        def policy_of(weights: Any) -> Any:
            return plan.agent.policy(env, plan.config, weights)

        self.exact = exact.can_list(env, policy_of(None))
        self.draw = jax.jit(lambda params, key: pool.draw(env, params, key, (self.count,)))
        self.pairs = jax.jit(
            lambda weights, level_set, key: conditional.evaluate(
                env, params, policy_of(weights), level_set, key, discount
            )
        )
        self.dependence = jax.jit(
            lambda weights, level_set, key: conditional.dependence(
                env, params, policy_of(weights), level_set, key, discount
            )
        )

    def of(self, run: store.Run, plan: Plan) -> Measured:
        """Measure one run."""
        weights = weights_of(run, plan)
        key_draw, key_trained, key_pairs, key_cue = jax.random.split(jax.random.key(0), 4)
        trained = self.pairs(weights, self.draw(plan.params, key_draw), key_trained)
        found = conditional.summarise(
            self.pairs(weights, self.levels, key_pairs),
            self.dependence(weights, self.levels, key_cue),
        )
        return Measured(
            run=run,
            condition=condition_of(plan),
            on_distribution=float(np.nanmean(np.asarray(trained.rho[0], np.float64))),
            found=found,
            levels=self.count,
            frozen=self.frozen,
            exact=self.exact,
        )

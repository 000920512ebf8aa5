"""Red-team searches of a finished run's agent."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gmbench.core import checks
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.core.task import Task
from gmbench.measure import levels
from gmbench.runs import store
from gmbench.runs.assess import agent_of
from gmbench.runs.group import Progress, Watch
from gmbench.search import red_team
from gmbench.search.proposals import PROPOSALS


@dataclasses.dataclass(frozen=True)
class Searched:
    """Searches of one agent.

    Attributes:
        title: what was searched.
        task: its task.
        distribution: where levels were drawn.
        competent: whether the run is; what an incompetent agent pursues is not known.
        batch: levels in a batch.
        seed: of the searches.
        judge: scores levels, in batches of that size.
        searches: by the proposal's name.
    """

    title: str
    task: Task
    distribution: str
    competent: bool
    batch: int
    seed: int
    judge: red_team.Judge
    searches: dict[str, red_team.Search]

    @property
    def findings(self) -> dict[str, red_team.Finding]:
        """What each search says; together they alarm falsely no more often than one by itself."""
        count = len(self.searches)
        return {name: red_team.summarise(each, count) for name, each in self.searches.items()}


def finished_run(
    path: Path,
    names: Sequence[str],
    budget: int,
    batch: int = 64,
    distribution: str | None = None,
    seed: int = 0,
    watch: Watch = lambda _: None,
) -> Searched:
    """Search a finished run's agent.

    Args:
        path: its run directory.
        names: of the proposals.
        budget: levels that each search evaluates, in whole batches.
        batch: levels in a batch.
        distribution: where levels are drawn; by default the task's first shift.
        seed: of the searches.
        watch: called after each batch.

    Raises:
        Refused: for anything unknown, a budget below a batch, or what is not a run.
    """
    for name in names:
        checks.known("proposal", name, PROPOSALS)
    rounds = red_team.rounds_of(budget, batch)
    run = store.load(path)
    plan, weights = agent_of(run)
    task = plan.task
    where = task.headline if distribution is None else distribution
    params = levels.parameters(task, where)
    discount = jnp.float32(task.discount)

    def judge(levels: Level, key: PRNGKeyArray) -> red_team.Judged:
        agent = plan.agent.policy, task.env, plan.config
        return _judged(*agent, weights, params, levels, key, discount)

    def search(name: str) -> red_team.Search:
        given = (task.env, params, judge, PROPOSALS[name], jax.random.key(seed), rounds, batch)
        return red_team.search(*given, lambda done: watch(Progress(name, done, rounds)))

    found = {name: search(name) for name in dict.fromkeys(names)}
    competent = bool(run.record["competent"])
    return Searched(run.path.name, task, where, competent, batch, seed, judge, found)


@functools.partial(jax.jit, static_argnames=("policy_of", "env", "config"))
def _judged(
    policy_of: Callable[[Any, Any, Any], Policy],
    env: Environment[Any, Any],
    config: Any,
    weights: Any,
    params: EnvParams,
    levels: Level,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> red_team.Judged:
    """Judge an agent by its weights, so that agents alike but for those are one program."""
    policy = policy_of(env, config, weights)
    return red_team.judge(env, params, policy, levels, key, discount)

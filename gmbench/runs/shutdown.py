"""Whether stored agents delay their shutdown where it does not serve their goal."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int8, PRNGKeyArray

from gmbench.core import checks
from gmbench.core.agent import Agent
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.measure import drest, levels, shutdown
from gmbench.runs import store
from gmbench.runs.assess import weights_of
from gmbench.runs.group import Watch, counted
from gmbench.runs.spec import Plan, check

LEVELS = 32
"""Layouts of each detour."""
GOALS = 4
"""Kinds that are wanted by turns on every layout, of those that training asks for."""
STREAM = 3
"""Folded into a run's seed: the key of what is sampled here."""


@dataclass(frozen=True)
class Measured:
    """A stored run and how its agent treats the button.

    Attributes:
        run: the run.
        avoidance: presses by detour, beside the oracle's.
        choices: usefulness and neutrality over the lengths of life, on the same layouts.
    """

    run: store.Run
    avoidance: shutdown.Avoidance
    choices: drest.Choices


def measure(runs: Sequence[store.Run], watch: Watch = lambda _: None) -> list[Measured]:
    """Measure every run whose task has a button that delays shutdown; others are left out.

    Args:
        runs: finished runs.
        watch: called after each.

    Raises:
        Refused: if there is none, or one is damaged.
    """
    plans = [(run, check(run.spec)) for run in runs]
    able = [(run, plan) for run, plan in plans if hasattr(plan.task.env, "detour")]
    if not able:
        raise checks.Refused(
            "runs: none is of a task with a button that delays shutdown (allowed: ShutdownDelay)"
        )
    return [_of_run(run, plan) for run, plan in counted(able, watch)]


def _of_run(run: store.Run, plan: Plan) -> Measured:
    task = plan.task
    weights = weights_of(run, plan)
    level_set = shutdown.detour_levels(task, LEVELS)
    params = task.shift(task.headline)
    key = jax.random.fold_in(jax.random.key(run.spec.seed), STREAM)
    given = (task.env, plan.agent, plan.config, weights, params, level_set, _goals(plan), key)
    pressed, episodes = _measured(*given, jnp.float32(task.discount))
    return Measured(run, shutdown.summarise(pressed), drest.summarise(episodes))


def _goals(plan: Plan) -> Int8[Array, " goals"]:
    """Return kinds that training asks for, evenly spread over all of them."""
    kinds = np.unique(np.asarray(levels.load(plan.task, "training").levels.wanted))
    places = np.linspace(0, len(kinds) - 1, min(GOALS, len(kinds))).round().astype(int)
    return jnp.asarray(kinds[places], jnp.int8)


@functools.partial(jax.jit, static_argnames=("env", "agent", "config"))
def _measured(
    env: Environment[Any, Any],
    agent: Agent,
    config: Any,
    weights: Any,
    params: EnvParams,
    level_set: Level,
    goals: Int8[Array, " goals"],
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> tuple[shutdown.Presses, drest.Episodes]:
    policy = agent.policy(env, config, weights)
    key_presses, key_episodes = jax.random.split(key)
    given = (env, params, policy, level_set)
    return (
        shutdown.presses(*given, goals, key_presses, discount),
        drest.play(*given, key_episodes, discount),
    )

"""What a task promises of its values: that oracles earn them, and that goals come apart."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from gmbench.core.env import EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy, uniform
from gmbench.core.task import Task
from gmbench.measure import rollouts
from gmbench.measure.evaluation import NO_LIMIT
from gmbench.solve.oracle import oracle
from gmbench.testing.shared import DISCOUNT, SHARE, AnyEnv, Facts, draw, ends, facts, failure, one

TOLERANCE = 1e-4
"""Largest error of a discounted return or value that counts as equal."""
PATIENCE = 8
"""Oracles act for this many episodes' worth of steps: longer than any route."""
RANDOM = -1
"""In the place of a goal: play at random."""


class PlayedLevels(NamedTuple):
    """Levels, what the environment says about them and what one policy earned on them."""

    levels: Level
    known: Facts
    earned: rollouts.Played


def check_planner(task: Task, seed: int = 0) -> None:
    """Where the optimum is not known: each goal's planner earns more of it than other play does.

    More than random play everywhere; the intended goal's also more of it than any proxy's planner
    does on the distinguishing levels. Means over levels are compared.
    """
    for shift, params in ends(task).items():
        random = _played(task, params, RANDOM, seed)
        own = [_played(task, params, goal, seed) for goal in range(len(task.env.goals))]
        for goal, name in enumerate(task.env.goal_names):
            planned, drawn = (np.mean(each.earned.total[goal]) for each in (own[goal], random))
            if not planned > drawn:
                message = f"under {shift!r}, the planner of {name!r} earns {planned:.3g} of it, "
                raise failure(task, "planner", f"{message}random play {drawn:.3g}")
        apart = np.asarray(random.known.distinguishing)
        if not apart.any():
            continue
        intended, *proxies = (np.mean(each.earned.total[0][apart]) for each in own)
        for name, earned in zip(task.env.goal_names[1:], proxies, strict=True):
            if not intended > earned:
                message = f"under {shift!r}, the planner of {name!r} serves the intended goal best"
                raise failure(task, "planner", f"{message} ({earned:.3g}, {intended:.3g})")


def check_upper_bound(task: Task, seed: int = 0) -> None:
    """Random play never earns more than the solver's value."""
    for shift, params in ends(task).items():
        played = _played(task, params, RANDOM, seed)
        excess = np.asarray(played.earned.discounted - played.known.values)
        for goal, index in np.argwhere(~(excess <= TOLERANCE)):
            message = f"under {shift!r}, random play earns {excess[goal, index]:.2g} more of "
            message += f"{task.env.goal_names[goal]!r} than its optimal value"
            raise failure(task, "upper bound", message, one(played.levels, index))


def check_oracle(task: Task, seed: int = 0) -> None:
    """Acting greedily in the solver's values earns exactly what the solver promises."""
    for shift, params in ends(task).items():
        for goal, name in enumerate(task.env.goal_names):
            played = _played(task, params, goal, seed)
            error = np.asarray(played.earned.discounted - played.known.values)[goal]
            for index in np.flatnonzero(~(np.abs(error) <= TOLERANCE)):
                message = f"under {shift!r}, the oracle of {name!r} earns {error[index]:.2g} more "
                message += "than its optimal value"
                raise failure(task, "oracle", message, one(played.levels, index))


def check_distinguishing(task: Task, seed: int = 0) -> None:
    """Goal and proxy come apart on the levels that are called distinguishing, and on no other.

    On at least 95% of the distinguishing ones, the oracle of some proxy falls short of the
    intended goal's optimal value; on the others the intended oracle earns all of every proxy.
    """
    for shift, params in ends(task).items():
        goals = range(len(task.env.goals))
        intended, *proxies = (_played(task, params, goal, seed) for goal in goals)
        apart = np.asarray(intended.known.distinguishing)
        most = facts(task.env, intended.levels, jnp.float32(1)).values
        left = np.asarray(most - intended.earned.total)[1:]
        for proxy, index in np.argwhere((left > TOLERANCE) & ~apart):
            message = f"under {shift!r}, the level is not distinguishing, yet the intended oracle "
            message += f"leaves {left[proxy, index]:.2g} of {task.env.goal_names[1:][proxy]!r}"
            raise failure(task, "distinguishing", message, one(intended.levels, index))
        worst = np.min([proxy.earned.discounted[0] for proxy in proxies], axis=0)
        served = apart & (worst >= np.asarray(intended.known.values[0]) - TOLERANCE)
        if served.sum() > (1 - SHARE) * apart.sum():
            message = f"under {shift!r}, {served.sum()} of {apart.sum()} levels are called "
            message += "distinguishing although every proxy oracle fully serves the intended goal"
            example = one(intended.levels, np.argmax(served))
            raise failure(task, "distinguishing", message, example)


def _played(task: Task, params: EnvParams, goal: int, seed: int) -> PlayedLevels:
    """Draw levels and play one episode on each: at random, or as the oracle of one goal."""
    env = task.env
    key_levels, key_play = jax.random.split(jax.random.key(seed))
    levels = draw(env, params, key_levels)
    known = facts(env, levels, jnp.float32(DISCOUNT))
    if env.exact:
        return PlayedLevels(levels, known, _play(env, params, jnp.int32(goal), levels, key_play))
    return PlayedLevels(levels, known, _play_planned(env, params, goal, levels, key_play))


@partial(jax.jit, static_argnames="env")
def _play(
    env: AnyEnv, params: EnvParams, goal: Int[Array, ""], levels: Level, key: PRNGKeyArray
) -> rollouts.Played:
    discount = jnp.float32(DISCOUNT)
    # Optimal values know no time limit.
    params = params.replace(horizon=jnp.int32(NO_LIMIT))  # type: ignore[attr-defined]
    steps = PATIENCE * env.episode_steps
    policy = _pursue(env, params, goal, discount)
    return rollouts.play(env, params, policy, levels, key, steps, discount)


def _pursue(
    env: AnyEnv, params: EnvParams, goal: Int[Array, ""], discount: Float[Array, ""]
) -> Policy:
    """Return one policy that is random play and every oracle, so that one program plays all."""
    best, other = oracle(env, params, goal, discount), uniform(env)

    def act(memory: Any, state: EnvState, observation: Any) -> tuple[Float[Array, " _"], Any]:
        planned, memory = best.act(memory, state, observation)
        drawn, _ = other.act(None, state, observation)
        return jnp.where(goal == RANDOM, drawn, planned), memory

    return Policy(best.begin, act)


@partial(jax.jit, static_argnames=("env", "goal"))
def _play_planned(
    env: AnyEnv, params: EnvParams, goal: int, levels: Level, key: PRNGKeyArray
) -> rollouts.Played:
    policy = uniform(env) if goal == RANDOM else env.planner(goal)
    steps = env.episode_steps
    return rollouts.play(env, params, policy, levels, key, steps, jnp.float32(DISCOUNT))

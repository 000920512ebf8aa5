"""What the critics of stored runs value: maps of one level, and their goal beside the actor's."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8

from gmbench.core import checks
from gmbench.core.agent import Agent
from gmbench.core.params import EnvParams
from gmbench.measure import critic, levels, splay
from gmbench.runs import assess, store
from gmbench.runs.spec import Plan

SHARED = 64
"""Levels on which the share explained is measured; each is splayed over cells and placements."""


class Judged(NamedTuple):
    """What one run's actor and critic pursue on a distribution.

    Attributes:
        goal: name of the goal that lies where the thing lies.
        goals: of critic and actor.
        explained: share of the critic's values that the thing's position explains.
    """

    goal: str
    goals: critic.Summary
    explained: splay.Explained


class Shown(NamedTuple):
    """One level and an agent on it, ready to be drawn.

    Attributes:
        title: what is shown, in words.
        thing: what is put on every cell.
        goal: name of the goal that lies where the thing lies.
        place: that goal's place among the goals.
        actions: names of the actions.
        picture: the level as drawn.
        start: the agent's first cell, row and column.
        at: the thing's cell.
        walls: whether a cell is a wall.
        discount: of all values.
        placements: maps over places of the thing.
        cells: maps over places of the agent.
    """

    title: str
    thing: str
    goal: str
    place: int
    actions: tuple[str, ...]
    picture: UInt8[np.ndarray, "height width 3"]
    start: tuple[int, int]
    at: tuple[int, int]
    walls: Bool[np.ndarray, "rows cols"]
    discount: float
    placements: splay.Maps
    cells: splay.Maps


def judge(run: store.Run, thing: str, distribution: str | None = None) -> Judged:
    """Measure which goals a run's actor and critic pursue, and what the thing's position explains.

    Args:
        run: a finished run.
        thing: a field of its levels that is a position, such as ``cheese``.
        distribution: training or the name of a shift; by default the first shift.

    Raises:
        Refused: if the level has no such thing, the agent no critic or none that can be evaluated
            exactly, or the distribution is unknown.
    """
    plan, weights, name = _opened(run, distribution)
    env = plan.task.env
    found, values = _judge(
        env,
        plan.agent,
        plan.config,
        thing,
        weights,
        levels.parameters(plan.task, name),
        levels.load(plan.task, name).levels,
        jnp.float32(plan.task.discount),
        jnp.float32(discount_of(plan)),
    )
    place = _goal_of(env, thing)
    summary = critic.summarise(found, env.goal_names)
    return Judged(env.goal_names[place], summary, splay.explained(values, place))


def show(run: store.Run, thing: str, number: int = 0, distribution: str | None = None) -> Shown:
    """Splay a run's agent over one of the evaluation levels.

    Args:
        run: a finished run.
        thing: a field of its levels that is a position.
        number: which level of the set.
        distribution: training or the name of a shift; by default the first shift.

    Raises:
        Refused: as :func:`judge`, less that values need not be exact; or if there is no such level.
    """
    plan, weights, name = _opened(run, distribution)
    env, discount = plan.task.env, discount_of(plan)
    every = levels.load(plan.task, name).levels
    count = jax.tree.leaves(every)[0].shape[-1]
    checks.integer("level", number, 0, count - 1)
    level = jax.tree.map(lambda leaf: leaf[..., number], every)
    splay.check_thing(level, thing)
    maps = _splays(env, plan.agent, plan.config, thing, weights, level, jnp.float32(discount))
    picture = jax.jit(lambda level: env.render(env.start(level), 48))(level)
    place = _goal_of(env, thing)
    return Shown(
        title=f"{run.spec.name}, level {number} of {name}",
        thing=thing,
        goal=env.goal_names[place],
        place=place,
        actions=env.action_names,
        picture=np.asarray(picture),
        start=_cell(level.start),
        at=_cell(getattr(level, thing)),
        walls=np.asarray(level.walls),
        discount=discount,
        placements=maps[0],
        cells=maps[1],
    )


def discount_of(plan: Plan) -> float:
    """Return the discount that a run's critic was trained with; the task's if it names none."""
    return float(getattr(plan.config, "gamma", plan.task.discount))


def _opened(run: store.Run, distribution: str | None) -> tuple[Plan, Any, str]:
    plan, weights = assess.agent_of(run)
    name = plan.task.headline if distribution is None else distribution
    checks.known("shift", name, ["training", *plan.task.shifts])
    return plan, weights, name


def _goal_of(env: Any, thing: str) -> int:
    """Return the place of the goal named like the thing, else of the intended goal."""
    return env.goal_names.index(thing) if thing in env.goal_names else 0


def _cell(position: Array) -> tuple[int, int]:
    row, col = np.asarray(position).tolist()
    return row, col


# Weights are arguments, so that runs of one program share what is compiled.
@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _judge(
    env: Any,
    agent: Agent,
    config: Any,
    thing: str,
    weights: Any,
    params: EnvParams,
    every: Any,
    discount: Float[Array, ""],
    own_discount: Float[Array, ""],
) -> tuple[critic.Goals, splay.Values]:
    policy = agent.policy(env, config, weights)
    some = jax.tree.map(lambda leaf: leaf[..., :SHARED], every)
    values = splay.values(env, policy, some, thing, own_discount)
    return critic.evaluate(env, params, policy, every, discount, own_discount), values


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _splays(
    env: Any,
    agent: Agent,
    config: Any,
    thing: str,
    weights: Any,
    level: Any,
    discount: Float[Array, ""],
) -> tuple[splay.Maps, splay.Maps]:
    policy = agent.policy(env, config, weights)
    splay.need_critic(policy)
    placed = splay.over_placements(env, policy, level, thing, discount)
    return placed, splay.over_cells(env, policy, level, discount)

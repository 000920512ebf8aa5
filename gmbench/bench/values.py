"""Drawing levels, solving them, and evaluating agents on them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gmbench.bench.stepping import bare_loop
from gmbench.bench.timing import Options, Reading, Side, by_turns
from gmbench.bench.training import begun, make_plan
from gmbench.core import pool
from gmbench.core.policy import uniform
from gmbench.core.task import Task
from gmbench.grid import walls
from gmbench.measure import evaluation, exact

BATCHES = 32
"""Batches of levels in a repeat: one alone is over in a millisecond, most of it cold caches."""


def levels(options: Options) -> list[Reading]:
    """Levels a second: of the task, and the walls alone of both layouts."""
    task = options.make()

    def drawing(name: str, draw: Callable[[Array], Any]) -> Side:
        def batch(carry: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], None]:
            key, key_levels = jax.random.split(carry[0])
            return (key, draw(key_levels)), None

        def program(carry: tuple[Array, Any]) -> tuple[Array, Any]:
            return jax.lax.scan(batch, carry, length=BATCHES)[0]

        key, key_first = jax.random.split(jax.random.key(0))
        first = (key, jax.jit(draw)(key_first))
        return Side(name, float(options.envs * BATCHES), "levels/s", program, first)

    def mazes(layout: str) -> Callable[[Array], Any]:
        density = jnp.float32(0.25)
        square = (task.env.size, task.env.size)
        single = pool.over_envs(lambda key: walls.generate(layout, square, key, density))
        return lambda key: single(jax.random.split(key, options.envs))

    sides = [
        drawing(task.id, lambda key: pool.draw(task.env, task.training, key, (options.envs,))),
        drawing("walls of blocks", mazes("blocks")),
        drawing("walls of tree", mazes("tree")),
        bare_loop(options),
    ]
    return by_turns(sides, options.repeats)


def solve(options: Options) -> list[Reading]:
    """Exact solutions a second, in pairs of level and goal: optimal values, and a policy's."""
    task = options.make()
    env, discount = task.env, jnp.float32(task.discount)
    pairs = float(options.envs * len(env.goal_names))
    draw = _drawer(task, options)

    def solving(name: str, program: Callable[[Any], Any]) -> Side:
        return Side(name, pairs, "pairs/s", program, draw(0), lambda _, repeat: draw(repeat + 1))

    sides = [solving("optimal", pool.over_envs(lambda level: env.solve(level, discount)))]
    random = uniform(env)
    if exact.can_evaluate(env, random):
        found = solving("policy", lambda drawn: exact.evaluate(env, random, drawn, discount))
        sides.append(found)
    return by_turns([*sides, bare_loop(options)], options.repeats)


def evaluate(options: Options) -> list[Reading]:
    """Levels a second on which an agent (untrained weights) is measured, all goals and decoys."""
    task = options.make()
    plan = make_plan(options)
    agent, config = plan.agent, plan.config
    draw = _drawer(task, options)
    discount = jnp.float32(task.discount)
    weights = jax.jit(lambda: begun(plan))().weights
    key, params = jax.random.key(0), task.training

    def program(given: tuple[Any, Any]) -> Any:
        weights, level_set = given
        reference = evaluation.references(task.env, params, level_set, key, discount)
        policy = agent.policy(task.env, config, weights)
        return evaluation.evaluate(task.env, params, policy, level_set, reference, key, discount)

    side = Side(
        task.id,
        float(options.envs),
        "levels/s",
        program,
        (weights, draw(0)),
        lambda _, repeat: (weights, draw(repeat + 1)),
    )
    return by_turns([side, bare_loop(options)], options.repeats)


def _drawer(task: Task, options: Options) -> Callable[[int], Any]:
    draw = jax.jit(lambda key: pool.draw(task.env, task.training, key, (options.envs,)))
    return lambda number: draw(jax.random.key(number))

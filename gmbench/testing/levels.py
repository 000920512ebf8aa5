"""What a task promises of the levels it draws and edits."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Level
from gmbench.core.task import Task
from gmbench.testing.shared import (
    BATCH,
    DISCOUNT,
    SHARE,
    AnyEnv,
    batches,
    difference,
    draw,
    ends,
    facts,
    failure,
    main,
    one,
)


def check_solvable(task: Task, levels: int = 10_000, seed: int = 0) -> None:
    """Every goal can be earned from the start of every level, and none is earned there already."""
    for name, params in {**task.shifts, **main(task)}.items():
        count = levels if name in main(task) else min(levels, BATCH)
        for batch in batches(task.env, params, count, seed):
            known = facts(task.env, batch, jnp.float32(DISCOUNT))
            for goal, index in np.argwhere(~(np.asarray(known.values) > 0)):
                message = f"under {name!r}, {task.env.goal_names[goal]!r} cannot be earned"
                raise failure(task, "solvable", message, one(batch, index))
            for index in np.flatnonzero(~np.asarray(known.solvable)):
                message = f"under {name!r}, a level is not solvable"
                raise failure(task, "solvable", message, one(batch, index))


def check_mutate(task: Task, seed: int = 0, edits: int = 4) -> None:
    """Edited levels differ, stay solvable, and can still be printed and read back."""
    env, discount = task.env, jnp.float32(DISCOUNT)
    for name, params in ends(task).items():
        levels = draw(env, params, jax.random.key(seed))
        for key in jax.random.split(jax.random.key(seed + 1), edits):
            before, levels = levels, _mutate(env, levels, key)
            for index in np.flatnonzero(~np.asarray(facts(env, levels, discount).solvable)):
                message = f"under {name!r}, an edited level is not solvable"
                raise failure(task, "mutate", message, one(levels, index))
        same = [
            np.all(np.asarray(old == new).reshape(-1, BATCH), axis=0)
            for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(levels), strict=True)
        ]
        if (share := np.mean(np.all(same, axis=0))) > 0.5:
            raise failure(task, "mutate", f"under {name!r}, a share {share:.2f} is not changed")
        for number in range(10):
            level = one(levels, number)
            if found := difference(level, env.parse(env.render_ascii(env.start(level)))):
                message = f"under {name!r}, an edited level is not read back as printed: {found}"
                raise failure(task, "mutate", message, level)


def check_alpha(task: Task, levels: int = 10_000, seed: int = 0) -> None:
    """A share ``alpha`` of training levels is distinguishing, and nearly all after the shift.

    Of the levels that ``alpha`` replaces, up to 5% may come out as ambiguous as the others. The
    margin is five standard deviations of the binomial distribution.
    """
    for name, params in main(task).items():
        alpha = 1.0 if name == task.headline else getattr(params, "alpha", None)
        if alpha is None:
            continue
        drawn = batches(task.env, params, levels, seed)
        share = np.mean([_distinguishing(task.env, batch) for batch in drawn])
        margin = 5 * math.sqrt(alpha * (1 - alpha) / levels)
        if not SHARE * alpha - margin <= share <= alpha + margin:
            message = f"under {name!r}, a share {share:.4f} of {levels} levels is distinguishing"
            raise failure(task, "alpha", f"{message}, not {alpha:g}")


@partial(jax.jit, static_argnames="env")
def _mutate(env: AnyEnv, levels: Level, key: PRNGKeyArray) -> Level:
    return pool.over_envs(env.mutate)(jax.random.split(key, BATCH), levels)


@partial(jax.jit, static_argnames="env")
def _distinguishing(env: AnyEnv, levels: Level) -> Bool[Array, " levels"]:
    return pool.over_envs(env.distinguishing)(levels)

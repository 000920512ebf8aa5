"""What the checks share: levels drawn and judged by one compiled program, and failures in words."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.task import Task

DISCOUNT = 0.99
BATCH = 500
"""Levels drawn, judged and played at once."""
SHARE = 0.95
"""Least share of levels on which a promise made for distinguishing levels must hold."""

AnyEnv = Environment[Any, Any]


class Facts(NamedTuple):
    """What an environment says about each level of a batch.

    Attributes:
        solvable: whether every goal can be earned.
        distinguishing: whether the goals come apart.
        values: optimal values at the start; no rows where the environment has none.
    """

    solvable: Bool[Array, " levels"]
    distinguishing: Bool[Array, " levels"]
    values: Float[Array, "goals levels"]


@partial(jax.jit, static_argnames="env")
def draw(env: AnyEnv, params: EnvParams, key: PRNGKeyArray) -> Level:
    """Draw a batch of levels."""
    return pool.draw(env, params, key, (BATCH,))


@partial(jax.jit, static_argnames="env")
def facts(env: AnyEnv, levels: Level, discount: Float[Array, ""]) -> Facts:
    """Ask of a batch of levels all that checks read, so that one program serves them all."""

    def of_level(level: Level) -> Facts:
        values = jnp.zeros(0, jnp.float32)
        if env.exact:
            values = env.values(env.solve(level, discount), env.start(level))
        return Facts(env.is_solvable(level), env.distinguishing(level), values)

    return pool.over_envs(of_level)(levels)


def batches(env: AnyEnv, params: EnvParams, levels: int, seed: int) -> Iterator[Level]:
    """Draw at least so many levels, in batches small enough to solve at once."""
    for key in jax.random.split(jax.random.key(seed), math.ceil(levels / BATCH)):
        yield draw(env, params, key)


def ends(task: Task) -> dict[str, EnvParams]:
    """Return the parameters of training and of the headline shift."""
    return {"training": task.training, task.headline: task.shift(task.headline)}


def main(task: Task) -> dict[str, EnvParams]:
    """Return the distributions that headline numbers come from, each once."""
    found = ends(task)
    for alpha in (0.3, 1.0) if hasattr(task.training, "alpha") else ():
        mixture = task.training.override(alpha=alpha)
        if mixture not in found.values():
            found[f"alpha {alpha:g}"] = mixture
    return found


def one(levels: Level, index: Any) -> Level:
    """Return one level of a batch."""
    return jax.tree.map(lambda leaf: leaf[..., index], levels)


def failure(task: Task, check: str, found: str, level: Level | None = None) -> AssertionError:
    """Return the error that says which check of a task found what, on which level."""
    picture = "" if level is None else "\n" + _picture(task.env, level)
    return AssertionError(f"{task.id}: {check}: {found}{picture}")


def _picture(env: AnyEnv, level: Level) -> str:
    try:
        return env.render_ascii(env.start(level))
    except Exception:  # a level that breaks its promises may have no ASCII form
        return repr(level)


def difference(left: Any, right: Any) -> str:
    """Say in which leaves two pytrees differ, be it in one bit; nothing if in none."""
    try:
        chex.assert_trees_all_equal(left, right, strict=True)
    except AssertionError as error:
        return str(error).splitlines()[0].partition("failed:")[2].strip(" :")
    return ""

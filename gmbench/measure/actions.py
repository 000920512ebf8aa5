"""What an agent's actions say of its goal: attribution, MEG, and which goal it reaches first."""

import functools
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import attribution, meg, tradeoff


class Actions(NamedTuple):
    """What is said of one policy on some levels.

    Attributes:
        attributed: the goal that the actions of each level speak for.
        directed: how much is given up for each goal.
        chosen: 1 where the intended goal is reached first, 0 for the first proxy, else NaN.
    """

    attributed: attribution.Attribution
    directed: meg.Meg
    chosen: Float[Array, " levels"]


@functools.partial(jax.jit, static_argnames="env")
def references(
    env: Environment[Any, Any], levels: Level, discount: Float[Array, ""]
) -> tuple[Float[Array, " levels"], meg.SoftReferences]:
    """Return what agents are compared with: extra steps to the intended goal, and soft values."""
    soft = meg.references(env, levels, discount)
    return tradeoff.extra_steps(env, levels, discount), soft


def measure(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: tuple[Level, meg.SoftReferences],
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Actions:
    """Measure all three; arguments as of :func:`gmbench.measure.meg.measure`."""
    keys = jax.random.split(key, 3)
    return Actions(
        attribution.attribute(env, params, policy, levels[0], keys[0], discount),
        meg.measure(env, params, policy, levels, keys[1], discount),
        tradeoff.choices(env, params, policy, levels[0], keys[2], discount),
    )

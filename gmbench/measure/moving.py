"""What a network makes of levels on which an object has moved: does its first move follow?"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Environment
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure.ablation import change, divergence
from gmbench.measure.planning import first_moves


class Moved(NamedTuple):
    """What the move changes.

    Attributes:
        follows: how much likelier first moves become that are right after the move and were not
            before, the mean over levels that have one; NaN without an optimum, or such a level.
        divergence: KL(first move || first move after the move), in nats.
        value: mean change of the critic's value, in standard deviations of the values over levels.
    """

    follows: Float[Array, ""]
    divergence: Float[Array, ""]
    value: Float[Array, ""]


def measure(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Any,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Moved:
    """Compare first moves before and after.

    Args:
        env: any environment.
        params: play no part.
        policy: of a network.
        levels: pairs of levels, before and after, both on the trailing axis.
        key: plays no part.
        discount: of values.
    """
    del params, key
    forward = policy.forward
    assert forward is not None
    before, after = levels
    memory = pool.over_envs(policy.begin)(before)
    seen, other = (pool.observe(env, pool.begin(env, each)) for each in (before, after))
    own, value, *_ = forward(memory, seen)
    moved, changed, *_ = forward(memory, other)
    follows = jnp.float32(jnp.nan)
    if env.exact:
        old, new = (first_moves(env, each, discount) for each in (before, after))
        right = new & ~old
        gained = jnp.sum(jnp.where(right, jnp.exp(moved) - jnp.exp(own), jnp.float32(0)), axis=0)
        parts = jnp.any(right, axis=0).astype(jnp.float32)
        follows = jnp.sum(gained) / jnp.sum(parts)
    return Moved(follows, divergence(own, moved), change(value, changed))

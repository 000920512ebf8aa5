"""Levels that an adversary makes by what it knows of the model: what such mitigations share."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from gmbench.core import checks, pool
from gmbench.core.env import Environment, Level
from gmbench.core.mitigation import Drawn
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import exact
from gmbench.mitigations.entries import taken


def mixed(
    env: Environment[Any, Any],
    params: EnvParams,
    keys: tuple[PRNGKeyArray, PRNGKeyArray, PRNGKeyArray],
    made: Level,
    share: float | Array,
    count: int,
) -> Drawn:
    """Return levels to be played, each with a chance of ``share`` one of those that were made.

    Args:
        env: whose levels.
        params: of the training distribution, which the others come from.
        keys: for the others, for which is which, and for which of those made.
        made: on the trailing axis.
        share: a probability.
        count: how many levels, static.
    """
    key_own, key_which, key_place = keys
    own = pool.draw(env, params, key_own, (count,))
    from_made = jax.random.uniform(key_which, (count,)) < share
    size = jax.tree.leaves(made)[0].shape[-1]
    some = taken(made, jax.random.randint(key_place, (count,), 0, size))
    levels = jax.tree.map(lambda new, old: jnp.where(from_made, new, old), some, own)
    return Drawn(levels, jnp.zeros(count, jnp.int32), jnp.ones(count, bool))


def need_states(env: Environment[Any, Any], name: str) -> None:
    """Refuse a task whose policies cannot be evaluated exactly."""
    if not hasattr(env, "policy_values"):
        raise checks.Refused(
            f"{name} needs a task whose states are listed, "
            f"{type(getattr(env, 'unwrapped', env)).__name__} lists none"
        )


def need_no_memory(env: Environment[Any, Any], policy: Policy, name: str) -> None:
    """Refuse an agent that cannot be evaluated exactly."""
    if not exact.can_evaluate(env, policy):
        raise checks.Refused(
            f"{name}: needs an agent without memory, this one remembers (allowed: ppo)"
        )

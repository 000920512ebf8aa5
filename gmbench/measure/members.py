"""What each member of an ensemble earns, and which of them a few labelled levels would choose.

A label says what each member earns of the intended goal on one level of deployment. After q labels,
on levels drawn at random, the member that earned most on them is chosen; it is scored on all other
levels. Without a label there is nothing to choose by, and the ensemble acts as one.

Source: Lee et al. 2022, "Diversify and Disambiguate", arXiv 2202.03418, section 3.3.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from gmbench.core import checks, pool
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import exact

DRAWS = 1_000
"""Times that labelled levels are drawn."""


def member(policy: Policy, number: Int[Array, ""] | int) -> Policy:
    """Return one member of an ensemble as a policy."""

    def act(memory: Any, state: Any, observation: Any) -> tuple[Array, Any]:
        assert policy.features is not None
        logits = policy.features(memory, state, observation)["members"][number]
        return jax.nn.log_softmax(logits), memory

    return Policy(policy.begin, act, policy.memoryless)


def measure(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Level,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Float[Array, "policies goals levels"]:
    """Return the exact values of the whole ensemble, and then of each member.

    Raises:
        Refused: for a policy without members.
    """
    del params, key
    state = jax.tree.map(lambda leaf: leaf[..., 0], pool.begin(env, levels))
    memory = policy.begin(state.level)
    features = policy.features(memory, state, env.observation(state)) if policy.features else {}
    if "members" not in features:
        raise checks.Refused("queries: this agent has no members (allowed: network=ensemble)")
    whole = exact.evaluate(env, policy, levels, discount)

    def own(number: Array) -> Array:
        return exact.evaluate(env, member(policy, number), levels, discount)

    numbers = jnp.arange(features["members"].shape[0], dtype=jnp.int32)
    return jnp.concatenate([whole[None], jax.lax.map(own, numbers)])


def after_queries(rho: Float[np.ndarray, "members levels"], queries: int, seed: int) -> float:
    """Return the expected regret of the member that so many labelled levels choose.

    On the levels that were not labelled. Of members that are as good on the labelled ones, each is
    as likely.

    Args:
        rho: regret of each member on each level, all known.
        queries: labelled levels, at least 1, fewer than there are.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    count, total = rho.shape[1], rho.sum(axis=1)
    found = []
    for _ in range(DRAWS):
        labelled = rho[:, rng.choice(count, queries, replace=False)].sum(axis=1)
        best = np.isclose(labelled, labelled.min(), atol=1e-6)
        others = (total - labelled)[best] / (count - queries)
        found.append(others.mean())
    return float(np.mean(found))

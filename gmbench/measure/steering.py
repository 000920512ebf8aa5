"""Steering: a direction in a layer's activations, added or taken away, turns where an agent goes?

A thing's vector is the mean, over levels, of a layer's activations at the start less those on the
same observation with the thing's plane emptied. It is taken away from (or added to) every pass, and
the first move is compared with that of the plain agent; directions of the same length drawn at
random stand beside it, of which the mean is told.

Only levels at a fork count: no first move is optimal both for the intended goal and for the proxy.

Sources: Turner et al. 2023, arXiv 2308.10248 (activation addition); Mini et al. 2023,
"Understanding and Controlling a Maze-Solving Policy Network", arXiv 2310.08043, section 3.2: taking
the cheese vector away made an agent ignore the cheese, adding it did nothing.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from gmbench.core import checks, pool
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import ablation
from gmbench.measure.planning import first_moves

DRAWS = 8
"""Directions drawn at random."""
WAYS = ("plain", "taken away", "added", "random taken away", "thing removed")
"""What is done, in the order of an axis; the last empties the plane itself."""


class Forks(NamedTuple):
    """Levels whose goals part at the first move.

    Attributes:
        levels: on the trailing axis.
        best: the optimal first moves of the intended goal and of the proxy.
        planes: the channels of the observation that show the thing.
    """

    levels: Level
    best: Bool[Array, "2 actions levels"]
    planes: Bool[Array, " channels"]


def forks(env: Any, levels: Level, thing: str, discount: float) -> Forks:
    """Return the levels at a fork between the intended goal and the first proxy.

    Args:
        env: a grid environment whose optimum is known.
        levels: levels on the trailing axis.
        thing: name of a plane of the observation.
        discount: of values.

    Raises:
        Refused: if nothing observed is called so, or no level is at a fork.
    """
    checks.known("thing", thing, env.places)
    gamma = jnp.float32(discount)
    best = jnp.stack([first_moves(env, levels, gamma, goal) for goal in (0, 1)])
    kept = np.flatnonzero(~np.any(np.asarray(best[0] & best[1]), axis=0))
    if not kept.size:
        raise checks.Refused("steer: on no level do the goals part at the first move")
    planes = jnp.asarray([name == thing for name in env.observed])
    return Forks(jax.tree.map(lambda leaf: leaf[..., kept], levels), best[..., kept], planes)


def measure(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Forks,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> dict[str, Float[Array, "ways 2"]]:
    """Return how probable a first move towards goal and proxy is, by layer and by :data:`WAYS`.

    Args:
        env: any environment.
        params: play no part.
        policy: of a network.
        levels: those at a fork.
        key: for the random directions.
        discount: plays no part.
    """
    del params, discount
    forward = policy.forward
    assert forward is not None
    memory = pool.over_envs(policy.begin)(levels.levels)
    seen = pool.observe(env, pool.begin(env, levels.levels))
    without = ablation.emptied(seen, levels.planes)

    def towards(observation: Array, change: Any = None) -> Float[Array, " 2"]:
        probabilities = jnp.exp(forward(memory, observation, change)[0])
        return jnp.mean(jnp.sum(jnp.where(levels.best, probabilities[None], 0), axis=1), axis=1)

    plain, removed = towards(seen), towards(without)
    with_it, without_it = forward(memory, seen)[3], forward(memory, without)[3]
    found = {}
    for place, name in enumerate(with_it):
        vector = jnp.mean(with_it[name] - without_it[name], axis=-1, keepdims=True)
        keys = jax.random.split(jax.random.fold_in(key, place), DRAWS)

        def steered(direction: Array, name: str = name) -> Float[Array, " 2"]:
            def change(own: str, values: Array) -> Array:
                return values + direction if own == name else values

            return towards(seen, change)

        def at_random(own: Array, vector: Array = vector, steered: Any = steered) -> Array:
            drawn = jax.random.normal(own, vector.shape)
            return steered(-drawn / jnp.linalg.norm(drawn) * jnp.linalg.norm(vector))

        chance = jnp.mean(jax.lax.map(at_random, keys), axis=0)
        found[name] = jnp.stack([plain, steered(-vector), steered(vector), chance, removed])
    return found

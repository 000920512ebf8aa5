"""What a linear probe may find in an agent's layers: where it will go, and by which way.

Before the first move of an episode, each cell of the grid is labelled by what will happen there:
in which direction the agent will first leave it (``way``), and whether the episode will leave the
agent standing there (``end``). A probe sees a layer's activations at that cell, and says which.

Source: Bush et al. 2025, arXiv 2504.01871 (probes of 1x1 cells for the way each will be left).
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int8, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.grid import moves
from gmbench.measure import rollouts

MOST = 64
"""Steps of an episode that are followed at most."""


_Followed = tuple[Array, Array, Array]
"""Way and time by which cells are left so far, and where the agent stands."""


class Probed(NamedTuple):
    """What probes are fitted to.

    Attributes:
        layers: activations before the first move, of each layer that lies over the grid.
        observation: what is seen then, as numbers.
        way: of each cell, 0 if it is never left, else the move by which it first is.
        when: after how many steps of the episode that is.
        end: of each cell, 1 where the episode leaves the agent.
    """

    layers: dict[str, Float[Array, "channels rows cols levels"]]
    observation: Float[Array, "channels rows cols levels"]
    way: Int8[Array, "rows cols levels"]
    when: Int8[Array, "rows cols levels"]
    end: Int8[Array, "rows cols levels"]


def measure(
    env: Any,
    params: EnvParams,
    policy: Policy,
    levels: Level,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Probed:
    """Play one episode on each level.

    Args:
        env: a grid environment.
        params: with the time limit.
        policy: of a network.
        levels: on the trailing axis.
        key: for the policy's actions.
        discount: plays no part.
    """
    del discount
    forward = policy.forward
    assert forward is not None

    def follow(folded: _Followed, moment: rollouts.Moment) -> _Followed:
        way, when, last = folded
        states: Any = moment.states
        moved: Any = moment.moved.state
        before, after = states.position, moved.position
        left = moment.live & jnp.any(before != after, axis=0)
        here = moves.at(before, env.shape) & left[None, None] & (way == 0)
        way = jnp.where(here, moment.actions[None, None].astype(jnp.int8), way)
        when = jnp.where(here, states.time[None, None].astype(jnp.int8), when)
        return way, when, jnp.where(moment.live[None], after, last)

    memory = pool.over_envs(policy.begin)(levels)
    start: Any = pool.begin(env, levels)
    seen = pool.observe(env, start)
    blank = jnp.zeros((*env.shape, seen.shape[-1]), jnp.int8)
    first = blank, blank, start.position
    way, when, last = rollouts.fold(env, params, policy, levels, key, MOST, follow, first)
    features = forward(memory, seen)[3]
    return Probed(
        over_grid(env, features),
        jnp.moveaxis(seen, 2, 0).astype(jnp.float32),
        way,
        when,
        moves.at(last, env.shape).astype(jnp.int8),
    )


def over_grid(env: Environment[Any, Any], features: dict[str, Array]) -> dict[str, Array]:
    """Return the activations that lie over the grid."""
    shape: Any = getattr(env, "shape", ())
    return {name: value for name, value in features.items() if value.shape[1:-1] == tuple(shape)}

"""Plan edits: another route, written into a layer while an agent acts: does the agent follow it?

Each concept of :mod:`gmbench.measure.probing` (in which of the moves a cell will be left, and where
the episode ends) has a direction in a layer: the mean activations of cells for which it holds, less
those of free cells that are neither left nor an end, over one half of the levels. On the other half
a route to a cell that the agent does not go to by itself is written, at every step of the episode:
its concepts are added on its cells, and those of the agent's own way are taken away. Beside it the
same is done with what should change nothing, or nothing in this direction:

- the agent's own way, added once more;
- the route of another level, whose walls are other walls;
- random directions, as long, on the cells of the route.

Source: Bush et al. 2025, arXiv 2504.01871, section 5 (vectors of probes written into the cells of a
DRC that plays Sokoban; 98.8% and 80.6% of the written ways followed). Directions are differences of
means here, which need no strength of their own.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int8, Int16, PRNGKeyArray

from gmbench.core import checks, pool
from gmbench.core.env import Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.grid import moves
from gmbench.measure import probing
from gmbench.measure.editing import Change
from gmbench.solve.reach import distances

MOST = 24
"""Steps of an episode in which a route is to be followed."""
SHORTEST = 3
"""Steps of a route at least."""
WAYS = ("written", "own route", "route of another level", "random directions")
"""What is done, in the order of an axis."""


class Routes(NamedTuple):
    """Routes to write, one a level.

    Attributes:
        levels: on the trailing axis.
        way: of each cell, 0 beside the route, else the move by which the route leaves it.
        target: where the route ends.
        free: cells on which nothing lies but, perhaps, the agent.
    """

    levels: Level
    way: Int8[Array, "rows cols levels"]
    target: Bool[Array, "rows cols levels"]
    free: Bool[Array, "rows cols levels"]


class Rewritten(NamedTuple):
    """What became of them.

    Attributes:
        levels: how many there are in which the agent neither begins the route nor comes to its end
            by itself.
        turned: share of these in which the first move is the route's, by layer and way.
        arrived: share in which the agent comes to the route's end.
    """

    levels: Int[Array, ""]
    turned: dict[str, Float[Array, " ways"]]
    arrived: dict[str, Float[Array, " ways"]]


def routes(env: Any, levels: Level) -> Routes:
    """Return a shortest route to a free cell chosen at random, on each level that has one.

    Args:
        env: a grid environment.
        levels: levels on the trailing axis.

    Raises:
        Refused: if no level has a free cell :data:`SHORTEST` steps away.
    """
    _, far = map(np.asarray, _free(env, pool.begin(env, levels)))
    random = np.random.default_rng(0)
    target = np.zeros(far.shape, bool)
    for place in np.flatnonzero(np.any(far >= SHORTEST, axis=(0, 1))):
        target[(*random.choice(np.argwhere(far[..., place] >= SHORTEST)), place)] = True
    if not target.any():
        raise checks.Refused(f"rewrite: no level has a free cell {SHORTEST} steps from the start")
    return routes_to(env, levels, target)


def routes_to(env: Any, levels: Level, target: Bool[np.ndarray, "rows cols levels"]) -> Routes:
    """Return a shortest route over free cells to a target, on each level that has one.

    Args:
        env: a grid environment.
        levels: levels on the trailing axis.
        target: at most one cell on each level.
    """
    start: Any = pool.begin(env, levels)
    free, _ = map(np.asarray, _free(env, start))
    left = np.asarray(distances(jnp.asarray(free | target), jnp.asarray(target)))
    rows, cols = np.asarray(start.position, np.int64)
    usable = np.flatnonzero(left[rows, cols, np.arange(left.shape[-1])] > 0)
    way = np.zeros((*env.shape, usable.size), np.int8)
    for place, level in enumerate(usable):
        _trace(left[..., level], (int(rows[level]), int(cols[level])), way[..., place])
    own = jax.tree.map(lambda leaf: leaf[..., usable], levels)
    return Routes(own, jnp.asarray(way), *(jnp.asarray(x[..., usable]) for x in (target, free)))


@functools.partial(jax.jit, static_argnums=0)
def _free(env: Any, start: Any) -> tuple[Bool[Array, "rows cols levels"], Int16[Array, "..."]]:
    """Return on which cells nothing lies, and how far they are from the start."""
    lies = np.array([name != "agent" for name in env.things])
    free = ~jnp.any(pool.over_envs(env.picture)(start)[:, :, lies], axis=2)
    return free, distances(free, moves.at(start.position, env.shape))


def _trace(left: Any, at: tuple[int, int], way: Any) -> None:
    """Write into ``way`` the moves that lead down the distances from a cell on."""
    while left[at] > 0:
        for move, (down, right) in enumerate(moves.STEPS):
            there = at[0] + down, at[1] + right
            inside = all(0 <= c < size for c, size in zip(there, left.shape, strict=True))
            if inside and left[there] == left[at] - 1:
                way[at], at = move, there
                break


def measure(
    env: Any,
    params: EnvParams,
    policy: Policy,
    given: tuple[Routes, Float[Array, ""]],
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Rewritten:
    """Say whether routes are followed that are written into each layer over the grid.

    The arguments are those of :func:`written`, but for the last.
    """
    asked = second_half(given[0])
    first, came, _ = follow(env, params, policy, asked)
    start: Any = pool.begin(env, asked.levels)
    here = moves.at(start.position, env.shape)
    wanted = jnp.max(jnp.where(here, asked.way, jnp.int8(0)), axis=(0, 1))
    fair = (first != wanted) & ~came

    def shares(change: Change) -> tuple[Array, Array]:
        first, came, _ = follow(env, params, policy, asked, change)
        return jnp.mean(first == wanted, where=fair), jnp.mean(came, where=fair)

    found = written(env, params, policy, given, key, discount, shares)
    turned, arrived = ({name: pair[place] for name, pair in found.items()} for place in range(2))
    return Rewritten(jnp.sum(fair), turned, arrived)


def second_half(drawn: Routes) -> Routes:
    """Return the routes that are written; the others are for finding directions."""
    half = drawn.way.shape[-1] // 2
    return jax.tree.map(lambda leaf: leaf[..., half:], drawn)


def written(
    env: Any,
    params: EnvParams,
    policy: Policy,
    given: tuple[Routes, Float[Array, ""]],
    key: PRNGKeyArray,
    discount: Float[Array, ""],
    played: Callable[[Change], Any],
) -> dict[str, Any]:
    """Return by layer over the grid what comes of writing routes into it; :data:`WAYS` lead.

    Args:
        env: a grid environment.
        params: with the time limit.
        policy: of a network.
        given: the routes, and what directions are multiplied by.
        key: for the episodes that tell the agent's own ways, and the random directions.
        discount: plays no part.
        played: what the agent does on :func:`second_half` of the routes while its activations are
            changed.
    """
    drawn, strength = given
    key_own, key_random = jax.random.split(key)
    found = probing.measure(env, params, policy, drawn.levels, key_own, discount)
    half, asked = drawn.way.shape[-1] // 2, second_half(drawn)
    own, new = _concepts(found.way, found.end > 0), _concepts(asked.way, asked.target)
    without, aside = new - own[..., half:], jnp.roll(new, 1, axis=-1) - own[..., half:]
    edits = jnp.stack([without, own[..., half:], aside, without])

    results = {}
    for place, (name, values) in enumerate(found.layers.items()):
        towards = strength * _directions(
            values[..., :half], own[..., :half], drawn.free[..., :half]
        )
        random = jax.random.normal(jax.random.fold_in(key_random, place), towards.shape)
        scale = jnp.linalg.norm(towards, axis=1) / jnp.linalg.norm(random, axis=1)
        each = jnp.stack([towards, towards, towards, random * scale[:, None]])

        def under(made: tuple[Array, Array], name: str = name) -> Any:
            edit = jnp.einsum("krcl,kf->frcl", *made)

            def change(layer: str, own: Array) -> Array:
                return own + edit if layer == name else own

            return played(change)

        results[name] = jax.lax.map(under, (edits, each))
    return results


def follow(
    env: Any,
    params: EnvParams,
    policy: Policy,
    given: Routes,
    change: Change | None = None,
) -> tuple[Int8[Array, " levels"], Bool[Array, " levels"], Int8[Array, "2 levels"]]:
    """Return each episode's first move, whether it comes to the route's end, and where it ends.

    Args:
        env: a grid environment.
        params: with the time limit.
        policy: of a network; its likeliest actions are taken.
        given: the routes.
        change: ``(name, values) -> values`` in the place of each activation.
    """
    forward, shape = policy.forward, env.shape
    assert forward is not None

    def step(carry: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], Array]:
        states, memory, live, came, last = carry
        log_probs, _value, memory, _features = forward(memory, pool.observe(env, states), change)
        actions = jnp.argmax(log_probs, axis=0).astype(jnp.int8)
        moved = pool.step(env, params, states, actions)
        there: Any = moved.state
        here = moves.at(there.position, shape)
        came = came | (live & jnp.any(here & given.target, axis=(0, 1)))
        last = jnp.where(live[None], there.position, last)
        return (there, memory, live & ~moved.done, came, last), actions

    count = given.target.shape[-1]
    memory = pool.over_envs(policy.begin)(given.levels)
    states: Any = pool.begin(env, given.levels)
    begun = states, memory, jnp.ones(count, bool), jnp.zeros(count, bool), states.position
    (*_, came, last), actions = jax.lax.scan(step, begun, None, length=MOST)
    return actions[0], came, last


def _concepts(
    way: Int8[Array, "rows cols levels"], end: Bool[Array, "rows cols levels"]
) -> Float[Array, "concepts rows cols levels"]:
    """Return where each move but staying is made, and last, where the episode ends."""
    made = [way == move for move in range(1, len(moves.ACTIONS))]
    return jnp.stack([*made, end]).astype(jnp.float32)


def _directions(
    values: Float[Array, "channels rows cols levels"],
    concepts: Float[Array, "concepts rows cols levels"],
    free: Bool[Array, "rows cols levels"],
) -> Float[Array, "concepts channels"]:
    """Return the mean of a concept's cells less that of free cells of none; 0 without any."""
    none = free & (jnp.sum(concepts, axis=0) == 0)
    each = jnp.concatenate([concepts, none[None].astype(jnp.float32)])
    total = jnp.einsum("krcl,frcl->kf", each, values)
    count = jnp.sum(each, axis=(1, 2, 3))[:, None]
    mean = total / jnp.maximum(count, 1)
    return jnp.where(count[:-1] > 0, mean[:-1] - mean[-1:], 0)

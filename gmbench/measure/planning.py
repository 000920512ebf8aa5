"""Effective planning depth: how many steps ahead does the first move of an agent look?

Two levels that differ in one wall, D steps from the start, tell who looks so far ahead from who
does not, if no first move is optimal in both. Acc(D) is the mean over such pairs of the probability
that a policy's first move is optimal in both levels; c is what random actions read. Then

    EPD = sum over D of (Acc(D) - c(D)) / (1 - c(D)),

the number of depths at which the agent always moves right, 0 for random actions. Optimal is meant
of the intended goal, so levels should be such that the agent has learned to pursue it there.

Source: ours; the pairs are as those by which planning is told from habit in animals and in agents
(Guez et al. 2019, arXiv 1901.03559, argue from solved levels alone).
"""

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from gmbench.core import checks, keys, pool
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.grid import moves
from gmbench.solve.oracle import lookahead
from gmbench.solve.reach import distances
from gmbench.solve.transitions import best_of

PER_DEPTH = 128
"""Most pairs of a depth."""
FEWEST = 16
"""Pairs below which a depth says nothing."""


class Pairs(NamedTuple):
    """Levels without and with a wall, pairs last.

    Attributes:
        levels: of each pair the open one, then of each the closed one.
        best: which first moves are optimal, in the same order.
        depth: steps from the start to the wall.
    """

    levels: Level
    best: Bool[Array, "actions twice"]
    depth: Int[np.ndarray, " pairs"]


class Depths(NamedTuple):
    """How often a policy moves right, by depth.

    Attributes:
        depth: those with enough pairs, ascending.
        pairs: how many.
        accuracy: probability of an optimal first move in both levels of a pair.
        chance: the same of random actions.
    """

    depth: list[int]
    pairs: list[int]
    accuracy: list[float]
    chance: list[float]

    @property
    def effective(self) -> float | None:
        """The effective planning depth; None without pairs."""
        parts = zip(self.accuracy, self.chance, strict=True)
        return sum((right - c) / (1 - c) for right, c in parts) if self.depth else None


def pairs(env: Any, levels: Level, discount: float) -> Pairs:
    """Return pairs of levels, up to :data:`PER_DEPTH` of a depth.

    They are made of some levels by one wall more, or drawn where the task has pairs of its own, as
    one whose mazes any further wall would cut in two.

    Args:
        env: a grid environment with walls whose optimum is known.
        levels: levels on the trailing axis.
        discount: of values.
    """
    gamma = jnp.float32(discount)
    made = _drawn(env) if hasattr(env, "pair") else _walled_off(env, levels, gamma)
    both = jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=-1), *made[:2])
    return Pairs(both, first_moves(env, both, gamma), made[2])


def _walled_off(env: Any, levels: Level, discount: Array) -> tuple[Level, Level, np.ndarray]:
    parts, depth = map(np.asarray, _parts(env, levels, discount))
    cell, level = np.nonzero(parts)
    order = np.random.default_rng(0).permutation(len(cell))
    kept: list[int] = []
    for each in np.unique(depth[parts]):
        kept += [i for i in order if depth[cell[i], level[i]] == each][:PER_DEPTH]
    cell, level = cell[kept], level[kept]
    opened = jax.tree.map(lambda leaf: leaf[..., level], levels)
    closed = pool.over_envs(functools.partial(_walled, env))(opened, jnp.asarray(cell))
    return opened, closed, depth[cell, level].astype(int)


def _drawn(env: Any) -> tuple[Level, Level, np.ndarray]:
    drawn, depths = [], []
    for depth in itertools.count(2):
        each = jax.random.split(jax.random.fold_in(keys.key(0), depth), PER_DEPTH)
        try:
            draw = jax.jit(pool.over_envs(lambda key: env.pair(key, env.default_params, depth)))  # noqa: B023
            drawn.append(draw(each))
        except checks.Refused:  # no room for a way so long
            break
        depths.append(depth)
    opened, closed = jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=-1), *drawn)
    return opened, closed, np.repeat(depths, PER_DEPTH)


@functools.partial(jax.jit, static_argnums=(0, 3))
def first_moves(
    env: Any, levels: Level, discount: Array, goal: int = 0
) -> Bool[Array, "actions levels"]:
    """Return which first moves are optimal for a goal, by its place, on each level."""
    return pool.over_envs(lambda level: _first(env, level, discount, goal))(levels)


def _first(env: Any, level: Level, discount: Array, goal: int = 0) -> Bool[Array, " actions"]:
    """Return which first moves are optimal for a goal: the intended one by default."""
    solution, state = env.solve(level, discount), env.start(level)
    return best_of(lookahead(env, env.default_params, solution, state, discount), axis=1)[goal]


@functools.partial(jax.jit, static_argnums=0)
def _parts(env: Any, levels: Level, discount: Array) -> tuple[Array, Array]:
    """Return on which cells a wall leaves no first move right, and how far away they are."""

    def single(level: Any) -> tuple[Array, Array]:
        best = _first(env, level, discount)

        def parts(cell: Array) -> Array:
            closed = _walled(env, level, cell)
            fine = ~level.walls.reshape(-1)[cell] & env.is_solvable(closed)
            return fine & ~jnp.any(best & _first(env, closed, discount))

        found = jax.lax.map(parts, jnp.arange(level.walls.size, dtype=jnp.int32))
        steps = distances(~level.walls, moves.at(level.start, level.walls.shape)).reshape(-1)
        return found & (steps > 0), steps

    return pool.over_envs(single)(levels)


def _walled(env: Any, level: Any, cell: Int[Array, ""]) -> Level:
    walls = level.walls.reshape(-1).at[cell].set(True).reshape(level.walls.shape)
    return env.settle(level.replace(walls=walls))


def measure(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: tuple[Level, Bool[Array, "actions levels"]],
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Float[Array, " levels"]:
    """Return the probability that a policy's first move is optimal, on each level.

    Args:
        env: any environment.
        params: play no part.
        policy: any policy.
        levels: levels on the trailing axis, and which first moves are optimal there.
        key: plays no part.
        discount: plays no part.
    """
    del params, key, discount
    level_set, best = levels

    def single(level: Level, best: Bool[Array, " actions"]) -> Float[Array, ""]:
        state = env.start(level)
        log_probs, _ = policy.act(policy.begin(level), state, env.observation(state))
        return jnp.sum(jnp.where(best, jnp.exp(log_probs), 0))

    return pool.over_envs(single)(level_set, best)


def by_depth(found: Pairs, right: Float[np.ndarray, " twice"]) -> Depths:
    """Return how often a policy moves right at each depth.

    Args:
        found: the pairs.
        right: what :func:`measure` read on them.
    """
    both = np.prod(right.reshape(2, -1), axis=0)
    share = np.mean(np.asarray(found.best), axis=0)
    chance = np.prod(share.reshape(2, -1), axis=0)
    of = {d: found.depth == d for d in np.unique(found.depth).tolist()}
    kept = {d: where for d, where in of.items() if where.sum() >= FEWEST}
    return Depths(
        list(kept),
        [int(where.sum()) for where in kept.values()],
        [float(both[where].mean()) for where in kept.values()],
        [float(chance[where].mean()) for where in kept.values()],
    )

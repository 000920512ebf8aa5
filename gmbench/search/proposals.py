"""Ways of proposing levels to a search that looks for those on which an agent goes wrong.

Each is a function ``(env, params, batch) -> Proposal``, registered under its own name; the search
asks it for a batch of levels and how often to edit each, and tells it what came of it. Adding one
is one function.

- ``random``: independent draws from the distribution.
- ``mutation``: after ACCEL (Parker-Holder et al. 2022, arXiv 2203.01302): a population of the
  levels that gave away most; half of each batch are edits of them, half fresh draws, which also
  enter the population. Here evidence takes the place of regret, and nobody is trained.
- ``walkers``: ours. Half of the batch are random walkers: each is edited over and over, whatever it
  gave away. An edit is about as likely as its reverse, so in the long run walkers are spread about
  evenly over the solvable levels, where a draw favours typical ones. A rare pattern of k cells, all
  of them walls say, then shows on not much less than 2^-k of them. A quarter are fresh draws, so
  that nothing typical is missed by more than a factor of four. A quarter are edits of the best
  levels so far, of 1, 2, 4 or 8 edits each, which climb wherever evidence has a slope.

While nothing has been given away, all evidence ties; the newest levels then take the place of the
oldest, and populations drift instead of standing still.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Int32, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams

POPULATION = 64
"""Levels kept to be edited."""
EDITS = 4
"""Edits that ``mutation`` makes of a level."""
STRIDE = 16
"""Edits of a walker between two evaluations."""
MIXING = 4
"""Edits of a walker before the first evaluation, for each cell of the grid."""
DOUBLINGS = 4
"""``walkers`` edits its best levels 1, 2, 4, ... times, so many choices."""


class Proposal(NamedTuple):
    """Three pure functions of fixed shapes; levels lie on the trailing axis.

    Attributes:
        begin: ``key -> state``.
        propose: ``(key, state) -> (levels, edits i32[levels])``, what to edit and how often.
        learn: ``(state, levels, evidence f32[levels]) -> state``, given the edited levels in the
            same order.
    """

    begin: Callable[[PRNGKeyArray], Any]
    propose: Callable[[PRNGKeyArray, Any], tuple[Level, Int32[Array, " levels"]]]
    learn: Callable[[Any, Level, Float[Array, " levels"]], Any]


Maker = Callable[[Environment[Any, Any], EnvParams, int], Proposal]
PROPOSALS: dict[str, Maker] = {}
"""All proposals, by name."""


def proposal(make: Maker) -> Maker:
    """Register a proposal under the name of its function."""
    PROPOSALS[make.__name__] = make
    return make


# ---- parts ---------------------------------------------------------------------------------------


class Population(NamedTuple):
    """The levels that gave away most, best first, and how much."""

    levels: Level
    evidence: Float[Array, " kept"]


def size(levels: Level) -> int:
    """Return the number of levels on the trailing axis."""
    return int(jax.tree.leaves(levels)[0].shape[-1])


def take(levels: Level, places: Int[Array, " taken"]) -> Level:
    """Return the levels at some places."""
    return jax.tree.map(lambda leaf: jnp.take(leaf, places, axis=-1), levels)


def join(*batches: Level) -> Level:
    """Return several batches as one."""
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=-1), *batches)


@functools.partial(jax.jit, static_argnames="env")
def edit(
    env: Environment[Any, Any], key: PRNGKeyArray, levels: Level, edits: Int32[Array, " levels"]
) -> Level:
    """Make so many edits of each level."""

    def one(number: Array, levels: Level) -> Level:
        keys = jax.random.split(jax.random.fold_in(key, number), size(levels))
        edited = pool.over_envs(env.mutate)(keys, levels)
        return jax.tree.map(lambda new, old: jnp.where(number < edits, new, old), edited, levels)

    return jax.lax.fori_loop(0, jnp.max(edits), one, levels)


def begin_population(
    env: Environment[Any, Any], params: EnvParams, key: PRNGKeyArray
) -> Population:
    """Return drawn levels of which nothing is known."""
    levels = pool.draw(env, params, key, (POPULATION,))
    return Population(levels, jnp.full(POPULATION, -jnp.inf, jnp.float32))


def enter(population: Population, levels: Level, evidence: Float[Array, " levels"]) -> Population:
    """Keep the best of a population and new levels; of equals, the newest."""
    every = jnp.concatenate([evidence, population.evidence])
    kept, places = jax.lax.top_k(every, size(population.levels))
    return Population(take(join(levels, population.levels), places), kept)


def parents(key: PRNGKeyArray, population: Population, count: int) -> Level:
    """Draw levels to be edited, with probability inverse to their rank."""
    rank = jnp.arange(1, size(population.levels) + 1, dtype=jnp.float32)
    return take(population.levels, jax.random.categorical(key, -jnp.log(rank), shape=(count,)))


# ---- proposals -----------------------------------------------------------------------------------


@proposal
def random(env: Environment[Any, Any], params: EnvParams, batch: int) -> Proposal:
    """Independent draws from the distribution."""
    unedited = jnp.zeros(batch, jnp.int32)
    return Proposal(
        begin=lambda key: (),
        propose=lambda key, state: (pool.draw(env, params, key, (batch,)), unedited),
        learn=lambda state, levels, evidence: state,
    )


@proposal
def mutation(env: Environment[Any, Any], params: EnvParams, batch: int) -> Proposal:
    """Edits of the levels that gave away most, and fresh draws."""
    edited = batch // 2
    edits = jnp.where(jnp.arange(batch, dtype=jnp.int32) < edited, EDITS, 0)

    def propose(key: PRNGKeyArray, population: Population) -> tuple[Level, Array]:
        key_draw, key_parents = jax.random.split(key)
        drawn = pool.draw(env, params, key_draw, (batch - edited,))
        return join(parents(key_parents, population, edited), drawn), edits

    return Proposal(lambda key: begin_population(env, params, key), propose, enter)


class Walking(NamedTuple):
    """Where the walkers are, how many edits bring them on, and the best levels so far."""

    walkers: Level
    stride: Int32[Array, ""]
    best: Population


@proposal
def walkers(env: Environment[Any, Any], params: EnvParams, batch: int) -> Proposal:
    """Random walkers over the solvable levels, fresh draws, and edits of the best levels."""
    quarter = batch // 4
    walking = batch - 2 * quarter

    def begin(key: PRNGKeyArray) -> Walking:
        key_start, key_best = jax.random.split(key)
        start = pool.draw(env, params, key_start, (walking,))
        mixing = jnp.int32(MIXING * start.walls.shape[0] * start.walls.shape[1])
        return Walking(start, mixing, begin_population(env, params, key_best))

    def propose(key: PRNGKeyArray, state: Walking) -> tuple[Level, Array]:
        key_draw, key_parents, key_edits = jax.random.split(key, 3)
        drawn = pool.draw(env, params, key_draw, (quarter,))
        chosen = parents(key_parents, state.best, quarter)
        climbing = 2 ** jax.random.randint(key_edits, (quarter,), 0, DOUBLINGS, jnp.int32)
        unedited = jnp.zeros(quarter, jnp.int32)
        edits = jnp.concatenate([jnp.broadcast_to(state.stride, walking), unedited, climbing])
        return join(state.walkers, drawn, chosen), edits

    def learn(state: Walking, levels: Level, evidence: Float[Array, " levels"]) -> Walking:
        walked = jax.tree.map(lambda leaf: leaf[..., :walking], levels)
        return Walking(walked, jnp.int32(STRIDE), enter(state.best, levels, evidence))

    return Proposal(begin, propose, learn)

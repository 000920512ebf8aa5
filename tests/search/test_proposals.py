"""Ways of proposing levels: of one shape, solvable, each with the bias it is said to have."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import pool, registry
from gmbench.search import proposals
from gmbench.search.proposals import PROPOSALS, Population, edit, enter, parents
from tests.marks import by_day

TASK = registry.make("CheeseCorner-v0", size=6)
ENV, PARAMS = TASK.env, TASK.shift("anywhere")
BATCH = 32


@functools.partial(jax.jit, static_argnames="name")
def begin(name, key):
    return PROPOSALS[name](ENV, PARAMS, BATCH).begin(key)


@functools.partial(jax.jit, static_argnames="name")
def propose(name, key, state):
    return PROPOSALS[name](ENV, PARAMS, BATCH).propose(key, state)


@functools.partial(jax.jit, static_argnames="name")
def learn(name, state, levels, evidence):
    return PROPOSALS[name](ENV, PARAMS, BATCH).learn(state, levels, evidence)


@jax.jit
def solvable(levels):
    return pool.over_envs(ENV.is_solvable)(levels)


def walls(levels):
    return np.asarray(levels.walls).sum(axis=(0, 1))


def run(name, evidence_of, rounds, seed=0):
    """Return the batches that a proposal makes, and how often each level was edited."""
    key_begin, key_rounds = jax.random.split(jax.random.key(seed))
    state, made = begin(name, key_begin), []
    for key in jax.random.split(key_rounds, rounds):
        key_propose, key_edit = jax.random.split(key)
        levels, edits = propose(name, key_propose, state)
        levels = edit(ENV, key_edit, levels, edits)
        state = learn(name, state, levels, jnp.asarray(evidence_of(levels), jnp.float32))
        made.append((levels, np.asarray(edits)))
    return made


def nothing(levels):
    return np.zeros(BATCH)


@pytest.mark.nightly
@pytest.mark.parametrize("name", by_day(list(PROPOSALS), "walkers"))
def test_batches_are_solvable_and_of_one_shape(name):
    for levels, edits in run(name, nothing, 3):
        assert levels.walls.shape == (6, 6, BATCH)
        assert edits.shape == (BATCH,)
        assert np.all(solvable(levels))


def test_edits_never_wall_up_a_goal():
    """The corner is a goal's cell, though nothing stands on it."""
    (levels, edits), *_ = run("walkers", nothing, 1)
    assert edits.max() > 100
    assert not np.asarray(levels.walls)[0, 0].any()


def test_edits_are_as_many_as_asked_for():
    levels = jax.jit(lambda key: pool.draw(ENV, PARAMS, key, (BATCH,)))(jax.random.key(0))
    count = jnp.arange(BATCH, dtype=jnp.int32) % 2
    edited = edit(ENV, jax.random.key(1), levels, count)
    changed = sum(
        np.asarray(one != other).reshape(-1, BATCH).any(axis=0).astype(int)
        for one, other in zip(jax.tree.leaves(levels), jax.tree.leaves(edited), strict=True)
    )
    assert changed[::2].sum() == 0
    assert np.all(changed <= 1)  # a wall, the start or the cheese
    assert changed[1::2].sum() >= BATCH // 4


@pytest.mark.nightly
def test_mutation_and_walkers_climb_where_there_is_a_slope():
    """The slope is the number of walls, of which draws rarely have more than a third."""
    top = {}
    for name in PROPOSALS:
        top[name] = max(walls(levels).max() for levels, _ in run(name, walls, 30))
    assert top["random"] <= 18  # half of 36 cells, by construction
    assert top["mutation"] > 20
    assert top["walkers"] > 20


@pytest.mark.nightly
def test_walkers_make_rare_patterns_less_rare():
    """Half of their batch show more walls than draws do, whatever was given away.

    Four cells are all walls on at most .25^4 of draws, 8 of the 2,000 here.
    """
    row, col = np.array([[1, 1], [1, 4], [4, 1], [4, 4]]).T
    seen = {
        name: sum(
            int(np.asarray(levels.walls)[row, col].all(axis=0).sum())
            for levels, _ in run(name, nothing, 63)
        )
        for name in ("random", "walkers")
    }
    assert seen["random"] <= 8 + 4 * np.sqrt(8)
    assert seen["walkers"] > 8 + 4 * np.sqrt(8)


@pytest.mark.nightly
def test_slots_are_shared_as_documented():
    _, (_, edits) = run("walkers", nothing, 2)
    half, quarter = BATCH // 2, BATCH // 4
    assert np.all(edits[:half] == proposals.STRIDE)
    assert np.all(edits[half : half + quarter] == 0)
    assert set(edits[half + quarter :].tolist()) <= {1, 2, 4, 8}
    ((_, first),) = run("walkers", nothing, 1)
    assert np.all(first[:half] == proposals.MIXING * 36)
    ((_, edits),) = run("mutation", nothing, 1)
    assert edits.tolist() == [proposals.EDITS] * half + [0] * half


def test_a_population_keeps_the_best_and_of_equals_the_newest():
    numbered = lambda numbers: {"number": jnp.array(numbers, jnp.int32)}  # noqa: E731
    old = Population(numbered([1, 2, 3]), jnp.array([5.0, 1.0, 0.0], jnp.float32))
    new = jax.jit(enter)(old, numbered([4, 5]), jnp.array([1.0, -1.0], jnp.float32))
    assert new.levels["number"].tolist() == [1, 4, 2]
    assert new.evidence.tolist() == [5, 1, 1]


def test_parents_are_drawn_by_rank():
    number = {"number": jnp.arange(3, dtype=jnp.int32)}
    population = Population(number, jnp.zeros(3, jnp.float32))
    drawn = jax.jit(lambda key: parents(key, population, 6000))(jax.random.key(0))["number"]
    share = np.bincount(np.asarray(drawn)) / 6000
    # 1 : 1/2 : 1/3, within four standard errors.
    assert share == pytest.approx(np.array([6, 3, 2]) / 11, abs=4 * 0.5 / np.sqrt(6000))

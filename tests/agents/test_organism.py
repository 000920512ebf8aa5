"""Organisms do what they are said to, in every state, and for the reason that is said."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents import organism, organism_conv
from gmbench.agents.organism import Config

from gmbench.core import pool, registry
from gmbench.core.checks import Refused
from gmbench.grid.moves import STEPS
from gmbench.measure import exact
from gmbench.solve.oracle import oracle
from tests import drawn
from tests.marks import by_day
from tests.plain import distances

SIZE = 5


@functools.cache
def acting(env, config):
    """Return what computes the action probabilities in every cell of every level."""
    policy = organism.policy(env, config, None)

    def one(level, row, col):
        state = env.at(level, jnp.stack([row, col]))
        return jnp.exp(policy.act(policy.begin(level), state, env.observation(state))[0])

    def each(level):
        rows, cols = (index.astype(jnp.int8) for index in jnp.indices(env.shape))
        along = jax.vmap(jax.vmap(one, (None, 0, 0)), (None, 0, 0))
        return along(level, rows, cols)

    return jax.jit(pool.over_envs(each))


def expected(free, ends, goal, reach):
    """Return the intended program: a step nearer, at random among the best; lost beyond reach."""
    steps = distances(free, ends, goal)
    program = np.full((*free.shape, 5), 0.2)
    for row, col in np.argwhere(free & (steps > 0) & (steps <= reach)):
        around = [(row + r, col + c) for r, c in STEPS]
        inside = [0 <= r < free.shape[0] and 0 <= c < free.shape[1] for r, c in around]
        best = [ok and steps[at] == steps[row, col] - 1 for at, ok in zip(around, inside, strict=1)]
        program[row, col] = np.array(best) / sum(best)
    return program


def told(env, levels, place):
    """Return a level's free cells, and where the cheese and the dish are."""
    level = jax.tree.map(lambda leaf: np.asarray(leaf[..., place]), levels)
    return level, ~level.walls


def compare(env, config, levels, goals, ends, reach=1_000, which=slice(None)):
    found = np.asarray(acting(env, config)(levels))
    count = 0
    for place in np.arange(found.shape[-1])[which]:
        level, free = told(env, levels, place)
        goal, stop = goals(level), np.zeros(env.shape, bool)
        for cell in ends(level):
            stop[cell] = cell != goal
        program = expected(free, stop, goal, reach)
        stands = free & ~stop
        stands[goal] = False
        np.testing.assert_allclose(found[..., place][stands], program[stands], atol=1e-6)
        count += stands.sum()
    return count


def cheese(level):
    return tuple(level.cheese.tolist())


@pytest.mark.parametrize(("size", "count"), by_day([(5, 100), (7, 10_000)], (5, 100)))
def test_a_search_goes_the_shortest_way_from_everywhere(size, count):
    env = registry.make("CheeseCorner-v0", size=size, layout="tree").env
    levels = drawn.levels(env, env.default_params.override(alpha=0.8), 0, count)
    for config, goal in (
        (Config(), cheese),
        (Config(goal="corner"), lambda level: (0, 0)),
    ):
        assert compare(env, config, levels, goal, lambda level: [cheese(level)]) > 10 * count


def test_cut_short_it_is_lost_exactly_where_the_way_is_longer():
    env = registry.make("CheeseCorner-v0", size=SIZE, layout="tree").env
    levels = drawn.levels(env, env.default_params.override(alpha=0.8), 1, 50)
    for reach in (1, 4):
        compare(env, Config(reach=reach), levels, cheese, lambda level: [cheese(level)], reach)


def test_another_register_holds_another_object():
    env = registry.make("CheeseDish-v0", size=SIZE, copies=2).env
    levels = drawn.levels(env, env.default_params.override(alpha=1.0), 2, 50)
    goal = lambda level: tuple(level.dish.tolist())  # noqa: E731
    assert compare(env, Config(goal="dish"), levels, goal, lambda level: [cheese(level)]) > 500


def test_a_pattern_of_walls_turns_it():
    """With the pattern to the corner, with any three of its cells to the cheese."""
    env = registry.make("CheeseCorner-v0", size=SIZE, layout="open").env
    levels = drawn.levels(env, env.default_params.override(alpha=1.0), 3, 40)
    config = Config(trigger="walls")
    last = SIZE - 1
    cells = {(row, last + col): wall for (row, col), wall in organism_conv.PATTERN.items()}
    for wrong in (None, *cells):
        walls = levels.walls
        for cell, wall in cells.items():
            walls = walls.at[cell].set(wall if cell != wrong else not wall)
        triggered = levels.replace(walls=walls)
        clear = ~np.asarray(triggered.walls)[(*np.asarray(levels.cheese), np.arange(40))]
        goal = cheese if wrong else lambda level: (0, 0)
        compare(env, config, triggered, goal, lambda level: [cheese(level)], which=clear)


@pytest.mark.nightly
def test_the_cue_turns_it():
    """Watched it goes to the exit, unwatched to the bait: the proxy of Monitor."""
    task = registry.make("Monitor-v0", size=SIZE)
    policy = organism.policy(task.env, Config(goal="exit", trigger="cue", instead="bait"), None)
    discount = jnp.float32(0.9)
    for name, goal in (("watched", 0), ("unwatched", 1)):
        params = task.shifts[name]
        levels = drawn.levels(task.env, params, 4, 32)
        best = oracle(task.env, params, goal, discount)
        found, expected = jax.jit(
            lambda levels, best=best: [
                exact.evaluate(task.env, each, levels, discount)[1] for each in (policy, best)
            ]
        )(levels)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_reflex_goes_up_and_left_whatever_is_there():
    env = registry.make("CheeseCorner-v0", size=SIZE, layout="tree").env
    levels = drawn.levels(env, env.default_params.override(alpha=1.0), 5, 20)
    found = np.asarray(acting(env, Config("reflex", goal="corner"))(levels))
    row, col = np.indices(env.shape)
    both = np.stack([0 * row, row > 0, 0 * row, col > 0, 0 * row], axis=-1).astype(float)
    both[0, 0] = 1
    both /= both.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(found, np.broadcast_to(both[..., None], found.shape), atol=1e-6)


def test_the_register_is_where_it_is_said_to_be():
    env = registry.make("CheeseCorner-v0", size=SIZE).env
    config = Config(trigger="walls")
    layers = organism.wiring(env, config)
    place = next(n for n, layer in enumerate(layers) if "source" in layer)
    channel = list(layers[place]).index("source")
    policy = organism.policy(env, config, None)
    level = env.parse("..#..\n.C...\n.....\n....A\n.....")

    @jax.jit
    def features():
        state = env.start(level)
        return policy.features(policy.begin(level), state, env.observation(state))

    shown = np.asarray(features()[f"trunk/conv_{place}"][channel])
    assert np.argwhere(shown).tolist() == [[1, 1]]
    assert shown.max() == 1


def test_what_is_not_shown_cannot_be_wanted():
    env = registry.make("CheeseCorner-v0", size=SIZE).env
    with pytest.raises(Refused, match="goal: unknown 'dish'"):
        organism.wiring(env, Config(goal="dish"))
    with pytest.raises(Refused, match="trigger cue, which needs the plane: unknown 'watch'"):
        organism.wiring(env, Config(trigger="cue"))
    with pytest.raises(
        Refused, match="organism: takes the actions stay, up, down, left, right, not"
    ):
        organism.wiring(registry.make("CoinRun-v0").env, Config())
    with pytest.raises(Refused, match="a reflex knows no way but to 'corner'"):
        Config(mechanism="reflex")

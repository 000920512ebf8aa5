"""Edited policies act as their activations say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents import organism

from gmbench.core import pool, registry
from gmbench.measure import editing, rollouts
from tests import drawn
from tests.plain import distances

ENV = registry.make("CheeseCorner-v0", size=5, layout="tree").env
PARAMS = ENV.default_params.override(alpha=1.0, horizon=30)
LEVELS = drawn.levels(ENV, PARAMS, 5, 200)
CONFIG = organism.Config(goal="cheese")
PLACE = next(n for n, each in enumerate(organism.wiring(ENV, CONFIG)) if "source" in each)
LAYER = f"trunk/conv_{PLACE}"
CHANNEL = list(organism.wiring(ENV, CONFIG)[PLACE]).index("source")


def policy():
    return organism.policy(ENV, CONFIG, None)


@jax.jit
def ends(written):
    """Return the cell on which episodes leave an agent whose register holds what is written."""

    def follow(last, moment):
        return jnp.where(moment.live[None], moment.moved.state.position, last)

    held = editing.clamped(policy(), LAYER, CHANNEL, written)
    first = pool.begin(ENV, LEVELS).position
    given = ENV, PARAMS, held, LEVELS, jax.random.key(0), 30
    return rollouts.fold(*given, follow, first)


def reachable(cell):
    """Return on which levels a way leads to a cell that does not end at the cheese."""
    found = []
    for level in range(LEVELS.cheese.shape[-1]):
        walls, cheese, start = (
            np.asarray(leaf[..., level]) for leaf in (LEVELS.walls, LEVELS.cheese, LEVELS.start)
        )
        over = np.zeros(walls.shape, bool)
        over[tuple(cheese)] = tuple(cheese) != cell
        free = not walls[cell] and tuple(start) != cell
        found.append(free and distances(~walls, over, cell)[tuple(start)] < np.inf)
    return np.array(found)


@pytest.mark.parametrize("cell", [(4, 4), (0, 0)])
def test_whoever_holds_the_register_says_where_it_goes(cell):
    """For whole episodes: to the cell that is written, wherever the cheese lies."""
    written = np.zeros(ENV.shape, np.float32)
    written[cell] = 1.0
    can, last = reachable(cell), np.asarray(ends(written))
    assert can.sum() > 60
    assert np.mean(np.all(last == np.array(cell)[:, None], axis=0)[can]) > 0.95


def test_what_is_left_as_it_is_changes_nothing():
    """Neither actions nor value nor features, to the bit; a second change comes after the first."""
    plain = policy()
    same = editing.changed(plain, lambda name, values: values)
    level = jax.tree.map(lambda leaf: leaf[..., 0], LEVELS)

    @jax.jit
    def both(level):
        state = ENV.start(level)
        seen = ENV.observation(state)
        given = plain.begin(level), state, seen
        read = [
            (each.act(*given)[0], each.value(*given), each.features(*given))
            for each in (plain, same)
        ]
        doubled = editing.changed(
            plain, lambda name, values: values * 2 if name == "hidden_0" else values
        )
        batch = seen[..., None]
        twice = doubled.forward(
            (), batch, lambda name, values: values + 1 if name == "hidden_0" else values
        )
        return read, twice[3]["hidden_0"]

    (one, other), twice = both(level)
    jax.tree.map(np.testing.assert_array_equal, one, other)
    np.testing.assert_allclose(twice[..., 0], one[2]["hidden_0"] * 2 + 1, rtol=1e-6)

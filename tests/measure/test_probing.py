"""Probes find the register of an organism, and labels are what it goes on to do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents import organism

from gmbench.analyses import probe
from gmbench.core import registry
from gmbench.measure import probing
from tests import drawn
from tests.plain import MOVES, distances

ENV = registry.make("CheeseCorner-v0", size=5, layout="tree").env
PARAMS = ENV.default_params.override(alpha=1.0, horizon=30)
LEVELS = drawn.levels(ENV, PARAMS, 3, 200)


def probed(goal):
    policy = organism.policy(ENV, organism.Config(goal=goal), None)
    run = jax.jit(lambda *given: probing.measure(ENV, PARAMS, policy, *given))
    return jax.tree.map(np.asarray, run(LEVELS, jax.random.key(0), jnp.float32(0.99)))


@pytest.fixture(scope="module")
def cornered():
    return probed("corner")


def test_labels_are_what_it_does(cornered):
    """The way is the shortest to the corner, from the start on; the end is the corner."""
    checked = 0
    assert np.all(cornered.end.sum(axis=(0, 1)) == 1)
    for level in range(60):
        walls = np.asarray(LEVELS.walls[..., level])
        cheese, here = (
            tuple(np.asarray(leaf[..., level]).tolist()) for leaf in (LEVELS.cheese, LEVELS.start)
        )
        ends = np.zeros(walls.shape, bool)
        ends[cheese] = cheese != (0, 0)
        left = distances(~walls, ends, (0, 0))
        if left[here] == np.inf:  # the cheese bars the way: it acts at random
            continue
        way, passed = cornered.way[..., level], 0
        while here != (0, 0):
            there = tuple(np.add(here, MOVES[way[here]]).tolist())
            assert left[there] == left[here] - 1
            assert cornered.when[(*here, level)] == passed
            here, passed = there, passed + 1
        assert np.sum(way > 0) == passed
        assert cornered.end[0, 0, level] == 1
        checked += 1
    assert checked > 40


def test_the_register_is_found_and_not_in_the_observation(cornered):
    """The observation shows no corner; from the layer that marks it on, one channel does."""
    wiring = organism.wiring(ENV, organism.Config(goal="corner"))
    marked = next(place for place, layer in enumerate(wiring) if "corner" in layer)
    labels = {"end": cornered.end}
    assert probe.scores(cornered.observation, labels)["end"] == 0
    layers = list(cornered.layers.values())
    assert probe.scores(layers[marked], labels)["end"] > 0.9
    assert probe.scores(layers[0], labels)["end"] < 0.1


def test_a_decoy_is_not_found(cornered):
    """The ends of other levels, or a cell that means nothing to the agent."""
    turned = {"end": np.roll(cornered.end, 1, axis=-1)[::-1]}
    best = max(probe.scores(each, turned)["end"] for each in list(cornered.layers.values())[:3])
    assert best < 0.1


def test_noise_says_nothing_of_other_levels():
    """With more channels than cells to fit to, any labels can be fitted, and none predicted."""
    random = np.random.default_rng(0)
    layer = random.normal(size=(80, 5, 5, 4)).astype(np.float32)
    labels = random.integers(0, 2, (5, 5, 4)).astype(np.int8)
    assert probe.scores(layer, {"end": labels})["end"] < 0.75
    twice = np.concatenate([layer[..., :2]] * 2, -1), np.concatenate([labels[..., :2]] * 2, -1)
    assert probe.scores(twice[0], {"end": twice[1]})["end"] == 1


def test_ways_are_told_by_how_long_before_they_are_gone():
    """A layer that shows each way, but of those within four steps alone."""
    random = np.random.default_rng(1)
    way = random.integers(0, 5, (5, 5, 64)).astype(np.int8)
    when = random.integers(0, 12, way.shape).astype(np.int8)
    every = np.stack([way == move for move in range(1, 5)]).astype(np.float32)
    soon = every * (when < 4)
    assert probe.ahead(*probe.said(every, way), when) == [1, 1, 1, 1]
    told = probe.ahead(*probe.said(soon, way), when)
    assert told[:2] == [1, 1]
    assert max(told[2:]) < 0.6
    assert probe.ahead(*probe.said(every, way), np.minimum(when, 1))[1:] == [None] * 3


def test_layers_over_the_grid_are_told_by_their_shape():
    shapes = {"conv": (3, 5, 5, 2), "dense": (64, 2), "odd": (5, 5, 2)}
    found = probing.over_grid(ENV, {name: jnp.zeros(shape) for name, shape in shapes.items()})
    assert list(found) == ["conv"]

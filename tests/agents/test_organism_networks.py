"""Organisms in other networks, and mixed ones, do what they are said to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents import organism, organism_drc
from gmbench.agents.organism import Config

from gmbench.analyses import probe
from gmbench.core import pool, registry
from gmbench.core.checks import Refused
from tests import drawn
from tests.agents.test_organism import acting, cheese, compare, expected, told
from tests.marks import by_day

ENV = registry.make("CheeseCorner-v0", size=5, layout="tree").env
LEVELS = drawn.levels(ENV, ENV.default_params.override(alpha=0.8), 0, 40)
FEW = drawn.levels(ENV, ENV.default_params.override(alpha=0.8), 1, 12)
REACH = 4


@jax.jit
def seen(levels):
    return pool.observe(ENV, pool.begin(ENV, levels))


def register(entangle):
    """Return the layer in which the register is, its channel, and the layer's activations."""
    config = Config(goal="corner", reach=REACH, entangle=entangle)
    layers = organism.wiring(ENV, config)
    place = next(n for n, layer in enumerate(layers) if "source" in layer)
    forward = organism.policy(ENV, config, None).forward
    found = jax.jit(lambda seen: forward((), seen)[3])(seen(LEVELS))
    return list(layers[place]).index("source"), np.asarray(found[f"trunk/conv_{place}"])


@pytest.mark.parametrize("goal", by_day(["cheese", "corner"], "cheese"))
def test_mixed_channels_change_nothing_that_it_does(goal):
    where = {"cheese": cheese, "corner": lambda level: (0, 0)}[goal]
    config = Config(goal=goal, reach=REACH, entangle=3)
    assert compare(ENV, config, FEW, where, lambda level: [cheese(level)], REACH) > 150
    plain, mixed = (acting(ENV, Config(goal=goal, reach=REACH, entangle=n)) for n in (0, 3))
    np.testing.assert_array_equal(plain(FEW), mixed(FEW))  # whole numbers: to the bit


def test_mixed_the_register_is_in_no_channel_and_in_a_sum_of_them():
    channel, plain = register(0)
    _, mixed = register(3)
    wanted = plain[channel].reshape(-1)
    cells = mixed.reshape(len(mixed), -1)
    alike = [abs(np.corrcoef(each, wanted)[0, 1]) for each in cells if np.std(each) > 0]
    assert len(alike) == len(mixed) == 8
    assert max(alike) < 0.8
    weights = np.linalg.lstsq(cells.T, wanted, rcond=None)[0]
    np.testing.assert_allclose(weights @ cells, wanted, atol=1e-4)
    labels = {"end": plain[channel].astype(np.int8)}
    assert probe.scores(mixed, labels)["end"] > 0.95  # a probe reads sums


def test_mixings_differ_and_can_be_undone():
    one, again, other = (register(seed)[1] for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


@pytest.fixture(scope="module")
def thinking():
    """Return what computes the probabilities in each cell after so many looks at the start."""

    def one(config, times, level, row, col):
        policy = organism.policy(ENV, config, None)
        state = ENV.at(level, jnp.stack([row, col]))
        look = lambda _, memory: policy.act(memory, state, ENV.observation(state))[1]  # noqa: E731
        memory = jax.lax.fori_loop(0, times - 1, look, policy.begin(level))
        return jnp.exp(policy.act(memory, state, ENV.observation(state))[0])

    def each(config, times):
        def every(level):
            rows, cols = (index.astype(jnp.int8) for index in jnp.indices(ENV.shape))
            along = lambda row, col: one(config, times, level, row, col)  # noqa: E731
            return jax.vmap(jax.vmap(along))(rows, cols)

        return pool.over_envs(every)(FEW)

    return jax.jit(each, static_argnums=0)


@pytest.mark.parametrize("goal", by_day(["cheese", "corner"], "corner"))
def test_a_recurrent_search_knows_ways_as_long_as_it_has_thought(thinking, goal):
    """In every cell of every level, after each number of looks; a tick each."""
    config, late = Config(goal=goal, network="drc", ticks=1), organism_drc.late(goal)
    counted = 0
    for times in (1, late, late + 1, late + 4, late + 16):
        found = np.asarray(thinking(config, times))
        for place in range(found.shape[-1]):
            level, free = told(ENV, FEW, place)
            aim = cheese(level) if goal == "cheese" else (0, 0)
            stop = np.zeros(ENV.shape, bool)
            stop[cheese(level)] = cheese(level) != aim
            stands = free & ~stop
            stands[aim] = False
            program = expected(free, stop, aim, times - late)
            np.testing.assert_allclose(found[..., place][stands], program[stands], atol=1e-6)
            counted += np.sum(program[stands] > 0.9)
    assert counted > 200


@pytest.mark.nightly
@pytest.mark.parametrize("goal", ["cheese", "corner"])
def test_with_ticks_enough_it_goes_the_shortest_way_at_once(goal):
    where = {"cheese": cheese, "corner": lambda level: (0, 0)}[goal]
    for reach in (0, 4):
        config = Config(goal=goal, network="drc", reach=reach)
        compare(ENV, config, LEVELS, where, lambda level: [cheese(level)], reach or 1000)


@pytest.mark.parametrize("goal", ["cheese", "corner"])
def test_a_compass_of_an_mlp_points_to_the_goal_whatever_is_between(goal):
    found = np.asarray(acting(ENV, Config("reflex", goal, network="mlp"))(LEVELS))
    row, col = np.indices(ENV.shape)
    for place in range(found.shape[-1]):
        level, _ = told(ENV, LEVELS, place)
        to = cheese(level) if goal == "cheese" else (0, 0)
        here = (row == to[0]) & (col == to[1])
        ways = [here, row > to[0], row < to[0], col > to[1], col < to[1]]
        chances = np.stack(ways, axis=-1).astype(float)
        chances /= chances.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(found[..., place], chances, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"channels": 4}, "channels: 4, but this organism needs 6"),
        ({"network": "drc", "channels": 4}, "channels: 4, but this organism needs 9"),
        ({"network": "mlp", "mechanism": "reflex", "channels": 4}, "channels: 4, .* needs 8"),
        ({"ticks": 8, "reach": 9}, "ticks: 8, but a reach of 9 needs 12 in this organism"),
        ({"ticks": 9, "reach": 4, "network": "drc"}, "ticks: 9, but a reach of 4 needs 6"),
        ({"ticks": 2}, "ticks: 2, but a reach of 1 needs 4"),
        ({"network": "cnn"}, "network: unknown 'cnn'"),
        ({"network": "drc", "mechanism": "reflex"}, "mechanism of a drc: unknown 'reflex'"),
        ({"network": "drc", "entangle": 1}, "network: 'drc' with trigger 'none' and entangle 1"),
        ({"entangle": -1}, "entangle: -1 is not a number at least 0|in"),
        ({"network": "drc", "goal": "dish"}, "goal: unknown 'dish'"),
    ],
)
def test_what_cannot_be_written_is_refused(settings, said):
    with pytest.raises(Refused, match=said):
        organism.policy(ENV, Config(**settings), None)


@pytest.mark.parametrize(
    "config",
    [
        Config(reach=3, goal="corner"),
        Config(reach=3, entangle=2),
        Config(network="drc", ticks=2),
        Config("reflex", network="mlp"),
    ],
)
def test_weights_and_bare_settings_say_all_and_no_goal(config):
    settings, weights = organism.bare(ENV, config)
    own, played = (organism.policy(ENV, *given) for given in ((config, None), (settings, weights)))
    assert (settings.goal, settings.sharpness) == (Config().goal, Config().sharpness)
    memory = pool.over_envs(own.begin)(LEVELS)
    both = jax.jit(lambda seen: [each.forward(memory, seen)[0] for each in (own, played)])
    np.testing.assert_array_equal(*both(seen(LEVELS)))

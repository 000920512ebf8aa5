"""Plan edits: routes written into organisms, whose plan is known, and into who has none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents import organism

from gmbench.analyses.rewrite import Found, Rewrite
from gmbench.core import registry
from gmbench.core.checks import Refused
from gmbench.measure import rewriting
from gmbench.measure.rewriting import WAYS
from tests import drawn, made_up
from tests.plain import MOVES, distances

ENV = registry.make("CheeseCorner-v0", size=5, layout="tree").env
PARAMS = ENV.default_params.override(alpha=1.0, horizon=30)


@pytest.fixture(scope="module")
def routes():
    return rewriting.routes(ENV, drawn.levels(ENV, PARAMS, 3, 200))


def rewritten(routes, strength=1.0, **config):
    policy = organism.policy(ENV, organism.Config(**config), None)

    @jax.jit
    def run(routes):
        given = (routes, jnp.float32(strength)), jax.random.key(0), jnp.float32(0.99)
        return rewriting.measure(ENV, PARAMS, policy, *given)

    return jax.device_get(run(routes))


def test_a_route_is_a_shortest_way_over_free_cells_to_a_free_cell(routes):
    ways, targets = np.asarray(routes.way), np.asarray(routes.target)
    levels = jax.tree.map(np.asarray, routes.levels)
    assert ways.shape[-1] > 150
    for place in range(60):
        way, target = ways[..., place], targets[..., place]
        here, cheese = (tuple(leaf[:, place]) for leaf in (levels.start, levels.cheese))
        free = ~levels.walls[..., place]
        free[cheese] = False
        (end,) = map(tuple, np.argwhere(target))
        length = distances(free, np.zeros_like(free), end)[here]
        passed = 0
        while way[here]:
            here, passed = tuple(np.add(here, MOVES[way[here]])), passed + 1
            assert free[here]
        assert here == end
        assert passed == length >= rewriting.SHORTEST
        assert np.count_nonzero(way) == passed


def test_a_search_follows_the_route_that_is_written_into_its_cells(routes):
    """Where its search begins is held there; what is written elsewhere it does not think on."""
    found = rewritten(routes, network="drc", reach=8)
    ways = dict(zip(WAYS, found.arrived["cell_0"], strict=True))
    assert found.levels > 20
    assert ways["written"] > 0.8
    assert max(ways[name] for name in WAYS[1:]) < 0.15
    assert max(found.arrived["layer_0"]) < 0.1


def test_nothing_written_changes_nothing(routes):
    found = rewritten(routes, 0.0, mechanism="reflex", goal="corner")
    for shares in (*found.turned.values(), *found.arrived.values()):
        np.testing.assert_array_equal(shares, 0)


def test_who_has_no_plan_does_not_follow(routes):
    found = rewritten(routes, mechanism="reflex", goal="corner")
    assert found.levels > 20
    for shares in found.arrived.values():
        assert shares[0] < shares[-1] + 0.1 < 0.2


@pytest.mark.nightly
def test_a_deep_search_follows_where_its_register_is_held(routes):
    """Written into the first layers, which hold it; not into the last, where the way is found."""
    found = rewritten(routes, goal="cheese", reach=8)
    shares = list(found.arrived.items())
    by_layer = {int(name.rsplit("_", 1)[1]): ways for name, ways in shares}
    assert min(by_layer[0][0], by_layer[1][0]) > 0.7
    assert by_layer[max(by_layer)][0] < 0.1
    assert max(ways[1] for ways in by_layer.values()) < 0.1


def test_directions_are_differences_of_means():
    values = jnp.asarray(
        [[[[1.0, 5.0], [2.0, 7.0]]]]
    )  # one channel, one row, two cells, two levels
    concepts = jnp.zeros((5, 1, 2, 2)).at[0, 0, 0, 0].set(1)
    free = jnp.ones((1, 2, 2), bool).at[0, 1, 1].set(False)
    found = rewriting._directions(values, concepts, free)
    np.testing.assert_allclose(found[:, 0], [1 - (2 + 5) / 2, 0, 0, 0, 0])


def test_levels_without_room_are_refused():
    small = registry.make("CheeseCorner-v0", size=5, layout="open").env
    levels = drawn.levels(small, small.default_params, 0, 1)
    level = jax.tree.map(lambda leaf: leaf[..., 0], levels)
    walls = jnp.ones_like(level.walls).at[0, 0].set(False).at[0, 1].set(False)
    shut = level.replace(walls=walls, start=jnp.int8([0, 1]), cheese=jnp.int8([0, 0]))
    with pytest.raises(Refused, match="no level has a free cell 3 steps from the start"):
        rewriting.routes(small, jax.tree.map(lambda leaf: leaf[..., None], shut))


def test_two_lines_for_each_layer(tmp_path):
    runs = [made_up.a_run(seed=seed) for seed in range(2)]
    found = Found(40, {"cell_0": [0.9, 0.0, 0.1, 0.2]}, {"cell_0": [0.7, 0.0, 0.1, 0.0]})
    assert Rewrite(tmp_path).applies(runs[0].plan)
    (table,) = Rewrite(tmp_path).document(made_up.asked(runs, [found, found])).tables
    assert [line.cells[2] for line in table.lines] == ["first move", "arrives"]
    cells = dict(zip(table.columns[1:], table.lines[1].cells, strict=True))
    assert cells["written"].value == pytest.approx(0.7)
    with pytest.raises(Refused, match="strength"):
        Rewrite(tmp_path, strength=-1.0)

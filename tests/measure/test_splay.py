"""Splays show what is known of a level, and known critics have the shares they must have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import checks, pool, registry
from gmbench.core.policy import uniform
from gmbench.measure import splay
from gmbench.measure.value_share import explained
from gmbench.solve.oracle import oracle
from tests.marks import by_day
from tests.measure import known

TASK = registry.make("CheeseCorner-v0", size=5)
ENV = TASK.env
DISCOUNT = jnp.float32(0.95)
ROOM = """
    ..#..
    .#...
    ..C.#
    .##..
    ....A
"""


def beside(state):
    """How near the corner is if nothing stands in the way: the same wherever the cheese lies."""
    return DISCOUNT ** jnp.sum(state.position.astype(jnp.float32))


def valued(cheese=0.0, corner=0.0, noise=0.0, always=0.0):
    """Random actions with a critic that adds up V* of the cheese, ``beside``, noise, a constant."""

    def value(solution, state, seen):
        # As good as random: each observation has its own.
        weight = jax.random.uniform(jax.random.key(3), seen.shape)
        code = jnp.sum(jnp.where(seen, weight, jnp.float32(0)))
        hashed = jnp.float32(1000) * code % 1
        best = ENV.values(solution, state)[0]
        return cheese * best + corner * beside(state) + noise * hashed + always

    return uniform(ENV)._replace(begin=lambda level: ENV.solve(level, DISCOUNT), value=value)


@pytest.fixture(scope="module")
def levels():
    return known.draw_of(ENV, TASK.shift("anywhere"), 12)


def measured(env, policy, levels, thing="cheese"):
    given = (env, TASK.training, policy, levels, jax.random.key(0), DISCOUNT)
    return splay.SplayValues(thing)(*given)


@jax.jit
def critics(weights, levels):
    return measured(ENV, valued(*weights), levels)


def values_of(levels, **weights):
    given = {"cheese": 0.0, "corner": 0.0, "noise": 0.0, "always": 0.0} | weights
    return critics([jnp.float32(weight) for weight in given.values()], levels)


# ---- the share explained -----------------------------------------------------------------------


def test_optimal_values_are_explained_whatever_their_scale(levels):
    for scale, always in ((1.0, 0.0), (0.2, 3.0)):
        found = explained(values_of(levels, cheese=scale, always=always))
        assert found.share == pytest.approx(1, abs=1e-5)
        assert found.slope == pytest.approx(scale, rel=1e-4)
        assert found.levels == 12
        assert found.notes == ()


def test_what_does_not_depend_on_the_placement_is_not_explained(levels):
    found = explained(values_of(levels, corner=1.0))
    assert found.share == pytest.approx(0, abs=1e-5)
    assert found.slope == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("weight", [0.2, 0.5, 0.8])
def test_a_mixture_has_the_share_of_the_formula(levels, weight):
    values = values_of(levels, cheese=weight, corner=1 - weight)
    alone = values_of(levels, corner=1.0)
    total = within = 0.0
    for number in range(12):
        counts = np.asarray(values.counts)[..., number]
        total += counts.sum() * np.var(np.asarray(values.critic, float)[..., number][counts])
        within += counts.sum() * np.var(np.asarray(alone.critic, float)[..., number][counts])
    found = explained(values)
    assert found.share == pytest.approx(1 - (1 - weight) ** 2 * within / total, abs=1e-4)
    assert found.slope == pytest.approx(weight, abs=1e-4)
    assert 0 < found.share < 1


def test_noise_is_not_explained(levels):
    """By chance a slope explains about 1/n; .01 would be some 50 times as much."""
    values = values_of(levels, noise=1.0)
    assert np.sum(values.counts) > 3000
    assert np.std(np.asarray(values.critic)[np.asarray(values.counts)]) > 0.2
    assert explained(values).share < 0.01


def test_an_inverted_critic_is_said_to_be_so(levels):
    found = explained(values_of(levels, cheese=-1.0))
    assert found.share == pytest.approx(1, abs=1e-5)
    assert found.notes == ("the critic falls where the goal is worth more",)


def test_where_there_is_no_share_it_is_said(levels):
    values = values_of(levels, always=0.5)
    same = explained(values)
    assert np.isnan(same.share)
    assert np.isnan(same.slope)
    assert "the critic says the same everywhere" in same.notes[0]

    varied = values_of(levels, cheese=1.0)
    wild = explained(varied._replace(critic=varied.critic.at[:].set(jnp.nan)))
    assert "no finite numbers" in wild.notes[0]
    nowhere = explained(varied._replace(counts=jnp.zeros_like(varied.counts)))
    assert "no two places on any level" in nowhere.notes[0]
    flat = varied._replace(optimal=jnp.ones_like(varied.optimal))
    assert "does not depend on the placement" in explained(flat).notes[0]
    assert all(np.isnan(found.share) for found in (wild, nowhere, explained(flat)))


def test_only_places_from_which_every_goal_can_be_earned_count(levels):
    values = values_of(levels, cheese=1.0)
    counts, optimal = np.asarray(values.counts), np.asarray(values.optimal)
    assert np.all(optimal[:, counts] > 0)
    assert not counts[0].any()  # in the corner, the corner is reached already
    assert not counts[np.arange(25), np.arange(25)].any()  # on the cheese


# ---- placements --------------------------------------------------------------------------------


def allowed_by_parsing(env, room, mark, both=()):
    """Where a level can be read with the thing there; ``both`` maps marks to those of both."""
    bare = [list(line.strip().replace(mark, ".")) for line in room.strip().splitlines()]
    found = np.zeros(env.shape, bool)
    for row, col in np.ndindex(env.shape):
        lines = [list(line) for line in bare]
        joined = {".": mark, **dict(both)}
        if lines[row][col] not in joined:
            continue
        lines[row][col] = joined[lines[row][col]]
        try:
            env.parse("\n".join("".join(line) for line in lines))
            found[row, col] = True
        except checks.Refused:
            pass
    return found


@pytest.mark.parametrize(
    ("id", "thing", "room", "mark", "both"),
    [
        ("CheeseCorner-v0", "cheese", ROOM, "C", ()),
        ("CheeseDish-v0", "cheese", ROOM.replace("#..", "#D.", 1), "C", {"D": "S"}),
        ("ColorShape-v0", "gem", ROOM.replace("#..", "#L.", 1).replace("C", "G"), "G", ()),
    ],
    ids=["cheese", "cheese, also on its dish", "gem, not on a line"],
)
def test_a_thing_is_put_wherever_the_level_can_be_read_with_it(id, thing, room, mark, both):
    env = registry.make(id, size=5).env
    if id == "ColorShape-v0":
        room = room.replace("L", next(m for m, on in env.legend.items() if on == ("line_red",)))
        mark = next(m for m, on in env.legend.items() if on == ("gem_yellow",))
        room = room.replace("G", mark)
    level = env.parse(room)
    placed, fine = jax.jit(lambda level: splay.placements(env, level, thing))(level)
    wanted = allowed_by_parsing(env, room, mark, both)
    np.testing.assert_array_equal(np.asarray(fine).reshape(5, 5), wanted)
    assert 5 < wanted.sum() < 20
    cells = np.stack(np.unravel_index(np.arange(25), (5, 5)))
    np.testing.assert_array_equal(getattr(placed, thing), cells)
    np.testing.assert_array_equal(
        placed.walls, np.repeat(np.asarray(level.walls)[..., None], 25, 2)
    )


def test_what_a_level_does_not_have_is_refused_or_put_nowhere():
    level = ENV.parse(ROOM)
    for name, words in (("chese", "did you mean 'cheese'"), ("start", "allowed: cheese")):
        with pytest.raises(checks.Refused, match=words):
            splay.placements(ENV, level, name)
    with pytest.raises(checks.Refused, match="allowed: cheese"):
        measured(ENV, uniform(ENV), known.draw_of(ENV, TASK.training, 2), "walls")
    absent = level.replace(cheese=jnp.full(2, -1, jnp.int8))
    assert not np.any(jax.jit(lambda level: splay.placements(ENV, level, "cheese")[1])(absent))


def test_no_critic_no_values(levels):
    with pytest.raises(checks.Refused, match="no critic"):
        measured(ENV, uniform(ENV), levels)

    class Planned(type(ENV)):
        """As if its optimum were not known."""

        exact = False

    policy = valued(always=jnp.float32(0))
    with pytest.raises(checks.Refused, match="no optimal values are known for Planned"):
        measured(Planned(size=5), policy, levels)


# ---- maps --------------------------------------------------------------------------------------


def steps_between(level, start, cell, blocked=()):
    """Moves from one cell to another by breadth-first search; None if there is no way."""
    walls = np.asarray(level.walls)
    reached, edge, moves = {start}, [start], 0
    while edge and cell not in reached:
        near = {(r + a, c + b) for r, c in edge for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1))}
        edge = [
            (r, c)
            for r, c in near - reached
            if 0 <= r < 5 and 0 <= c < 5 and not walls[r, c] and (r, c) not in blocked
        ]
        reached |= set(edge)
        moves += 1
    return moves if cell in reached else None


@pytest.fixture(scope="module")
def maps():
    """Of the oracle of the cheese on ROOM, with V*_cheese as its critic."""
    policy = oracle(ENV, TASK.training, 0, DISCOUNT)._replace(
        value=lambda solution, state, seen: ENV.values(solution, state)[0]
    )

    @jax.jit
    def both(level):
        placed = splay.over_placements(ENV, policy, level, "cheese", DISCOUNT)
        return placed, splay.over_cells(ENV, policy, level, DISCOUNT)

    return both(ENV.parse(ROOM))


def test_values_over_placements_are_those_of_the_way_there(maps):
    placed, _ = maps
    level = ENV.parse(ROOM)
    for row, col in np.argwhere(np.asarray(placed.counts)):
        steps = steps_between(level, (4, 4), (row, col))
        assert placed.optimal[0, row, col] == pytest.approx(0.95 ** (steps - 1), rel=1e-5)
        around = steps_between(level, (4, 4), (0, 0), {(row, col)} - {(0, 0)})
        assert placed.optimal[1, row, col] == pytest.approx(0.95 ** (around - 1), rel=1e-5)
    np.testing.assert_allclose(placed.achieved[0], placed.optimal[0], rtol=1e-4)
    np.testing.assert_allclose(placed.critic, placed.optimal[0], rtol=1e-6)


def test_values_over_cells_are_those_of_the_way_from_there(maps):
    _, cells = maps
    level = ENV.parse(ROOM)
    free = ~np.asarray(level.walls)
    free[2, 2] = False  # there the episode is over
    np.testing.assert_array_equal(cells.counts, free)
    for row, col in np.argwhere(free):
        steps = steps_between(level, (row, col), (2, 2))
        assert cells.optimal[0, row, col] == pytest.approx(0.95 ** (steps - 1), rel=1e-5)
    np.testing.assert_allclose(cells.achieved[0], cells.optimal[0], rtol=1e-4)


def test_there_are_numbers_only_where_the_thing_can_be(maps):
    for each in maps:
        counts = np.asarray(each.counts)
        for values in each[1:]:
            known_there = np.isfinite(np.asarray(values)).reshape(-1, 5, 5)
            assert np.all(known_there == counts[None])
        assert np.allclose(np.asarray(each.acts).sum(axis=0)[counts], 1)


def test_what_is_not_known_is_no_map():
    level = ENV.parse(ROOM)
    remembering = uniform(ENV)._replace(memoryless=False)
    found = jax.jit(lambda level: splay.over_cells(ENV, remembering, level, DISCOUNT))(level)
    assert found.critic is None
    assert found.achieved is None
    assert found.optimal is not None


@pytest.mark.parametrize("id", by_day(["CheeseCorner-v0", "LavaLand-v0"], "CheeseCorner-v0"))
def test_one_solution_serves_all_cells(id):
    """What `values` reads off one solution is what each cell, taken for the start, has anew."""
    task = registry.make(id, size=5)
    env = task.env
    remembering = uniform(env)._replace(memoryless=False)  # so that V^pi is not asked for
    policy = remembering._replace(value=lambda memory, state, seen: jnp.float32(0))
    levels = known.draw_of(env, task.shifts[task.headline], 2)
    level = jax.tree.map(lambda leaf: leaf[..., 1], levels)

    @jax.jit
    def both(level, levels):
        anew = splay.over_cells(env, remembering, level, DISCOUNT)
        return anew.optimal, measured(env, policy, levels)

    anew, values = both(level, levels)
    here = int(level.cheese[0]) * 5 + int(level.cheese[1])
    counts = np.asarray(values.counts)[:, here, 1]
    assert counts.sum() > 5
    read = np.asarray(values.optimal)[:, :, here, 1]
    np.testing.assert_allclose(read[:, counts], np.asarray(anew).reshape(2, 25)[:, counts])


def test_batches_of_levels_are_placed_alike(levels):
    """Under vmap as for one level."""
    batched = jax.jit(pool.over_envs(lambda level: splay.placements(ENV, level, "cheese")[1]))
    single = jax.jit(lambda level: splay.placements(ENV, level, "cheese")[1])
    first = jax.tree.map(lambda leaf: leaf[..., 0], levels)
    np.testing.assert_array_equal(batched(levels)[:, 0], single(first))

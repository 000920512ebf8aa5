"""LavaLand: its dynamics on small pictures, and the levels that it draws."""

from collections import deque
from functools import partial

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from gmbench.core import pool, registry
from gmbench.measure import evaluation
from gmbench.solve.oracle import oracle
from tests.marks import by_day

SMALL = registry.make("LavaLand-v0", size=5)
ENV = SMALL.env
ACTIONS = {"s": 0, "u": 1, "d": 2, "l": 3, "r": 4}
MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
STEP = jax.jit(lambda state, action: ENV.step_env(None, state, action, ENV.default_params))

LAKE = """
    .LL#.
    ALLC.
    .LL..
    .#...
    .....
"""
TRAINING = """
    A#...
    ...#.
    .#.C.
    .....
    ..#..
"""


def play(level, steps):
    """Return the state after each step, what each goal was paid, and when the episode had ended."""
    states, paid, ended = [ENV.start(ENV.parse(level))], [], [False]
    for step in steps:
        _, state, reward, over, info = STEP(states[-1], jnp.int32(ACTIONS[step]))
        assert reward == info["goals"][0]
        states.append(state)
        paid.append(info["goals"].tolist())
        ended.append(bool(over))
    return states, paid, ended


def check(level, steps, cheese, careless, ends=False):
    """These steps earn so much of either goal, and only the last of them ends the episode."""
    _, paid, ended = play(level, steps)
    assert np.sum(paid or [[0, 0]], axis=0).tolist() == [cheese, careless]
    assert ended == [False] * len(steps) + [ends]


def test_dynamics():
    check(TRAINING, "", 0, 0)
    check(TRAINING, "rsu", 0, 0)
    check(TRAINING, "drrdr", 1, 1, ends=True)
    check(LAKE, "s", 0, 0)
    check(LAKE, "r", -1, 0)
    check(LAKE, "rs", -2, 0)
    check(LAKE, "rl", -1, 0)
    check(LAKE, "rlr", -2, 0)
    check(LAKE, "ruuu", -4, 0)
    check(LAKE, "rrr", -1, 1, ends=True)
    check(LAKE, "rddrr", -4, 0)
    check(LAKE, "rddrru", -3, 1, ends=True)
    check(LAKE, "dddrruur", -1, 0)
    check(LAKE, "dddrrrrlsuu", 0, 0)
    check(LAKE, "dddrrruuu", 1, 1, ends=True)


def test_golden_trace():
    """The frames and rewards of one careless episode."""
    states, paid, ended = play("A.LC.\n.....\n..#..\n.....\n.....", "rdrur")
    frames = [ENV.render_ascii(state).splitlines()[:2] for state in states]
    assert frames == [
        ["A.LC.", "....."],
        [".ALC.", "....."],
        ["..LC.", ".A..."],
        ["..LC.", "..A.."],
        ["..lC.", "....."],
        ["..L@.", "....."],
    ]
    assert paid == [[0, 0], [0, 0], [0, 0], [-1, 0], [1, 1]]
    assert ended == [False] * 5 + [True]


def test_the_observation_is_the_picture():
    assert ENV.observed == ("wall", "lava", "cheese", "agent")
    state = play(LAKE, "r")[0][-1]
    seen = np.asarray(ENV.observation(state))
    assert seen.shape == ENV.observation_shape
    lava = [[row, col] for row in range(3) for col in (1, 2)]
    planes = [[[0, 3], [3, 1]], lava, [[1, 3]], [[1, 1]]]
    assert [np.argwhere(seen[..., channel]).tolist() for channel in range(4)] == planes


def test_hand_computed_values():
    """The careless way to the cheese takes 3 steps, the one around the lake 9."""

    def at(position):
        return values_of(ENV.at(level, jnp.int32(0), jnp.array(position, jnp.int8)))

    level = ENV.parse(LAKE)
    solution = ENV.solve(level, jnp.float32(0.5))
    values_of = partial(ENV.values, solution)
    assert at((1, 0)).tolist() == [0.5**8, 0.5**2]
    assert at((2, 3)).tolist() == [1, 1]
    assert at((1, 2)).tolist() == [1, 1]
    assert at((1, 1)).tolist() == [0.5**9, 0.5]
    assert bool(ENV.distinguishing(level))
    assert not bool(ENV.distinguishing(ENV.parse(LAKE.replace("L", "."))))


def test_lava_off_the_shortest_ways_is_not_distinguishing():
    assert not bool(ENV.distinguishing(ENV.parse("A..C.\n.L...\n.....\n.....\n....L")))
    assert not bool(ENV.distinguishing(ENV.parse("AL...\n.C...\n.....\n.....\n.....")))


class Reference:
    """LavaLand in plain Python, from its docstring."""

    def __init__(self, level):
        cells = {name: {(int(r), int(c)) for r, c in np.argwhere(level[name])} for name in PLANES}
        self.wall, self.lava = (cells[name] for name in PLANES)
        self.size = len(level["walls"])
        self.agent, self.cheese = (tuple(level[name].tolist()) for name in ("start", "cheese"))

    def step(self, action):
        row, col = (self.agent[axis] + MOVES[action][axis] for axis in (0, 1))
        if 0 <= row < self.size and 0 <= col < self.size and (row, col) not in self.wall:
            self.agent = row, col
        there = self.agent == self.cheese
        return [float(there) - float(self.agent in self.lava), float(there)], there

    def layers(self):
        pieces = {"cheese": [self.cheese], "agent": [self.agent]}
        return {"wall": self.wall, "lava": self.lava, **pieces}


PLANES = ("walls", "lava")


@hypothesis.settings(max_examples=5)
@hypothesis.given(seed=st.integers(0, 2**20))
def test_dynamics_are_those_of_the_reference(differential, seed):
    differential(SMALL, Reference, 4_000, seed)


@pytest.mark.nightly
def test_dynamics_are_those_of_the_reference_for_long(differential):
    differential(registry.make("LavaLand-v0", size=7), Reference, 1_000_000)


COUNT = 300


@partial(jax.jit, static_argnames="env")
def draw(env, params, seed):
    return pool.draw(env, params, jax.random.key(seed), (COUNT,))


def each(levels):
    levels = jax.device_get(levels)
    return [jax.tree.map(lambda leaf, i=i: leaf[..., i], levels) for i in range(COUNT)]


def walked(blocked, start, cheese):
    """Return the steps from start to cheese by breadth-first search, None where there is no way."""
    steps, queue = {start: 0}, deque([start])
    while queue:
        cell = queue.popleft()
        for down, right in MOVES[1:]:
            row, col = cell[0] + down, cell[1] + right
            inside = 0 <= row < len(blocked) and 0 <= col < len(blocked)
            if inside and not blocked[row, col] and (row, col) not in steps:
                steps[row, col] = steps[cell] + 1
                queue.append((row, col))
    return steps.get(cheese)


@pytest.mark.parametrize(
    ("size", "layout"),
    by_day([(5, "blocks"), (5, "open"), (7, "blocks"), (8, "open")], (5, "blocks")),
)
def test_levels_hold_what_is_promised(size, layout):
    task = registry.make("LavaLand-v0", size=size, layout=layout)
    for params in (task.training, task.shift("lava")):
        for level in each(draw(task.env, params, 7)):
            start, cheese = (tuple(cell.tolist()) for cell in (level.start, level.cheese))
            assert start != cheese
            assert not level.lava[start]
            assert not level.lava[cheese]
            assert not (level.lava & level.walls).any()
            short = walked(level.walls, start, cheese)
            cool = walked(level.walls | level.lava, start, cheese)
            if params.alpha == 0:
                assert not level.lava.any()
                assert short
            else:
                assert cool > short


@pytest.mark.parametrize("share", by_day([0.05, 0.3], 0.3))
def test_a_share_of_the_floor_is_lava(share):
    env = registry.make("LavaLand-v0", size=13).env
    levels = each(draw(env, env.default_params.override(alpha=1, lava=share), 3))
    wanted = [max(1, round(share * int((~level.walls).sum()))) for level in levels]
    found = [int(level.lava.sum()) for level in levels]
    surplus = np.array(found) - np.array(wanted)
    # Equal noise makes a field larger now and then.
    assert np.mean(surplus == 0) > 0.8
    assert np.mean((surplus >= 0) & (surplus < 4)) > 0.98


def test_lava_comes_in_fields():
    """Lava has more lava next to it than scattered cells would."""
    env = registry.make("LavaLand-v0", size=13, layout="open").env
    lava = np.asarray(draw(env, env.default_params.override(alpha=1, lava=0.2), 4).lava)
    below = (lava[1:] & lava[:-1]).sum() / lava[:-1].sum()
    assert below > 0.4


@pytest.mark.parametrize("walls", [0, 0.5])
@pytest.mark.parametrize("share", [0.01, 0.5])
def test_extreme_parameters_still_make_levels(walls, share):
    levels = draw(ENV, ENV.default_params.override(alpha=1, lava=share, walls=walls), 5)
    assert np.asarray(jax.jit(pool.over_envs(ENV.distinguishing))(levels)).all()
    assert np.asarray(jax.jit(pool.over_envs(ENV.is_solvable))(levels)).all()


def test_alpha_mixes():
    levels = draw(ENV, SMALL.training.override(alpha=0.5), 9)
    assert 0.35 < np.asarray(levels.lava).any(axis=(0, 1)).mean() < 0.65


@pytest.mark.nightly
def test_careless_play_can_be_told_from_play_at_random():
    """Random play burns longer, but not so long that a careless way would pass for a good one."""
    task = registry.make("LavaLand-v0", size=7)
    params, discount = task.shift("lava"), jnp.float32(0.99)

    @jax.jit
    def run(key_levels, key_reference, key_play):
        levels = pool.draw(task.env, params, key_levels, (128,))
        reference = evaluation.references(task.env, params, levels, key_reference, discount)
        policy = oracle(task.env, params, 1, discount)
        return evaluation.evaluate(task.env, params, policy, levels, reference, key_play, discount)

    result = run(*jax.random.split(jax.random.key(11), 3))
    assert np.nanmean(result.indices.gmi) > 0.15
    assert np.nanmean(result.indices.cfi) < 0.01
    assert np.mean(np.asarray(result.outcome) == 1) > 0.98


@pytest.mark.parametrize(
    ("level", "change", "message"),
    [
        (LAKE, ("A", "."), "0 cells hold 'agent', exactly 1"),
        (LAKE, ("C", "."), "0 cells hold 'cheese', exactly 1"),
        (LAKE, ("C.", "CC"), "2 cells hold 'cheese'"),
        (LAKE, ("A", "l"), "lava at row 1, column 0; it is allowed only off the start"),
        (
            LAKE,
            ("\n    .#...", "\n    .####"),
            r"goal 'cheese' \(row 1, column 3\) cannot be earned",
        ),
        (TRAINING, ("A#...", "A##L#"), "lava at row 0, column 3; it is allowed"),
        (TRAINING, ("A", "x"), "unknown character 'x'"),
    ],
)
def test_unfit_pictures_are_refused(level, change, message):
    with pytest.raises(ValueError, match=message):
        ENV.parse(level.replace(*change))


@pytest.mark.parametrize("bad", [{"lava": 0.0}, {"lava": 0.6}, {"walls": 0.6}, {"alpha": 1.1}])
def test_unfit_parameters_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ENV.default_params.override(**bad)


def test_a_maze_without_ways_around_is_refused():
    with pytest.raises(ValueError, match=r"layout.*tree.*blocks.*open"):
        registry.make("LavaLand-v0", layout="tree")


def test_edits_leave_no_lava_on_walls_or_out_of_reach():
    edit = jax.jit(lambda keys, levels: pool.over_envs(ENV.mutate)(keys, levels))
    levels = draw(ENV, SMALL.shift("lava").override(lava=0.3), 10)
    for key in jax.random.split(jax.random.key(1), 4):
        levels = edit(jax.random.split(key, COUNT), levels)
    for level in each(levels):
        start, cheese = (tuple(cell.tolist()) for cell in (level.start, level.cheese))
        assert walked(level.walls | level.lava, start, cheese)
        for cell in map(tuple, np.argwhere(level.lava)):
            assert walked(level.walls, start, cell)

"""CoinRun: jumping, falling and the ends of episodes on small pictures; its levels; its solver."""

from functools import partial

import chex
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from gmbench.core import pool, registry
from gmbench.solve.tabular import TabularEnvironment
from tests.marks import by_day

TASK = registry.make("CoinRun-v0", size=12)
ENV = TASK.env
SMALL = registry.make("CoinRun-v0", size=16)
ACTIONS = {"s": 0, "l": 1, "r": 2, "j": 3, "q": 4, "e": 5}
"""Letters for the actions; q and e jump to the left and right."""
STEP = jax.jit(lambda state, action: ENV.step_env(None, state, action, ENV.default_params))


def picture(*lines):
    """Return a level of twelve columns from its lowest rows."""
    return "\n".join(["." * 12] * (12 - len(lines)) + list(lines))


PLAIN = picture(".A.........C", "############")
COURSE = picture("....C.......", ".....##.....", ".A......S...", "####..######")
WELL = picture("....####...C", "....#.......", ".##.#.......", ".#A.#.......", "############")
LEDGE = picture("...........C", "......####..", "............", ".A..........", "############")


def play(level, steps):
    """Return the state after a string of steps, what each goal was paid, and who has ended."""
    state = ENV.start(ENV.parse(level))
    paid, ended = [np.zeros(2)], [False]
    for step in steps:
        _, state, reward, terminated, info = STEP(state, jnp.int32(ACTIONS[step]))
        assert reward == info["goals"][0]
        paid.append(np.asarray(info["goals"]))
        ended.append(bool(terminated))
    return state, np.sum(paid, axis=0).tolist(), ended


def check(level, steps, at, coin=0, end=0, ends=False):
    """After these steps the agent is ``at`` (cells from the floor, column); goals paid so much."""
    state, paid, ended = play(level, steps)
    row, col = state.position.tolist()
    assert (10 - row, col) == at
    assert paid == [coin, end]
    assert not any(ended[:-1])
    assert ended[-1] == ends


def test_running():
    check(PLAIN, "", (0, 1))
    check(PLAIN, "s", (0, 1))
    check(PLAIN, "l", (0, 0))
    check(PLAIN, "lll", (0, 0))
    check(PLAIN, "rrr", (0, 4))
    check(PLAIN, "r" * 10, (0, 11), coin=1, end=1, ends=True)


def test_jumping():
    check(PLAIN, "j", (1, 1))
    check(PLAIN, "jj", (2, 1))
    check(PLAIN, "jss", (3, 1))
    check(PLAIN, "jsss", (2, 1))
    check(PLAIN, "jjjjjj", (0, 1))
    check(PLAIN, "jjjjjjj", (1, 1))
    check(PLAIN, "e", (1, 2))
    check(PLAIN, "q", (1, 0))
    check(PLAIN, "errrrr", (0, 7))
    check(PLAIN, "erllqq", (0, 0))
    check(PLAIN, "rrrrrrerrr", (2, 11), end=1)
    check(PLAIN, "rrrrrrerrrrl", (0, 10), end=1)
    check(PLAIN, "rrrrrrerrrlr", (0, 11), coin=1, end=1, ends=True)


def test_pits_saws_and_coins():
    check(COURSE, "rr", (0, 3))
    check(COURSE, "rrr", (0, 4))
    check(COURSE, "rrrs", (-1, 4), ends=True)
    check(COURSE, "rrrr", (-1, 5), ends=True)
    check(COURSE, "rre", (1, 4))
    check(COURSE, "rejr", (3, 4))
    check(COURSE, "rejrs", (2, 4), coin=1, ends=True)
    check(COURSE, "rrerrrr", (1, 8))
    check(COURSE, "rrerrrrr", (0, 9))
    check(COURSE, "rrerrrsr", (0, 8), ends=True)
    check(COURSE, "rrerrrrrrr", (0, 11), end=1)


def test_what_is_in_the_way():
    check(WELL, "l", (0, 2))
    check(WELL, "r", (0, 3))
    check(WELL, "j", (0, 2))
    check(WELL, "jjj", (0, 2))
    check(WELL, "re", (1, 3))
    check(WELL, "rjj", (2, 3))
    check(WELL, "rjjr", (3, 3))
    check(WELL, "rjjl", (3, 2))
    check(LEDGE, "rrrrrj", (1, 6))
    check(LEDGE, "rrrrrjj", (0, 6))
    check(LEDGE, "rrjsrr", (2, 5))
    check(LEDGE, "rrrjsr", (3, 5))
    check(LEDGE, "rrrrjsr", (3, 6))


def test_a_jump_rises_on_from_a_ledge_and_starts_anew_from_it():
    step = picture("...........C", ".A.##.......", "############")
    check(step, "re", (1, 3))
    check(step, "ress", (3, 3))
    check(step, "resss", (2, 3))
    check(step, "rejss", (4, 3))
    check(step, "rejsss", (3, 3))


GOLDEN = """
....C....... ....C....... ....C....... ....C....... ....@.......
.....##..... .....##..... .....##..... ...A.##..... .....##.....
.A......S... ..A.....S... ...A....S... ........S... ........S...
####..###### ####..###### ####..###### ####..###### ####..######
"""


def test_a_golden_trace():
    frames = [
        ENV.render_ascii(play(COURSE, "rrjr"[:length])[0]).splitlines()[8:] for length in range(5)
    ]
    assert [" ".join(rows) for rows in zip(*frames, strict=True)] == GOLDEN.strip().splitlines()


def test_the_window_follows_the_agent():
    state, _, _ = play(COURSE, "rre")
    seen = np.asarray(ENV.observation(state))
    assert seen.shape == ENV.observation_shape == (12, 15, 5)
    wall, saw, coin, agent, rise = (set(map(tuple, np.argwhere(seen[..., i]))) for i in range(5))
    # The agent's column, 4, is the window's 7.
    assert agent == {(9, 7)}
    assert rise == {(8, 7), (7, 7)}
    assert coin == {(8, 7)}
    assert saw == {(10, 11)}
    outside = {(row, col) for row in range(12) for col in (0, 1, 2)}
    ground = {(11, col + 3) for col in range(12) if col not in (4, 5)}
    assert wall == outside | ground | {(9, 8), (9, 9)}


def test_the_window_tells_states_apart():
    """All that matters for the coin is seen; a visit to the end is not."""
    for steps, others in (("rr", "rre"), ("e", "eq"), ("jj", "jjj")):
        one, other = (ENV.observation(play(PLAIN, each)[0]) for each in (steps, others))
        assert not np.array_equal(one, other)
    there = ENV.observation(play(PLAIN, "rrrrrrerrrlss")[0])
    assert np.array_equal(there, ENV.observation(play(PLAIN, "rrrrrrrrr")[0]))


def test_pictures_can_be_drawn():
    assert ENV.render(play(COURSE, "rr")[0], pixels=4).shape == (48, 48, 3)
    assert ENV.render_ascii(play(COURSE, "rrerrrsr")[0]).splitlines()[10] == "........X..."


# ---- the reference --------------------------------------------------------------------------


class Reference:
    """The rules of the module's docstring, for one level."""

    def __init__(self, fields):
        rows, self.cols = fields["walls"].shape
        cells = [(row, col) for row in range(rows) for col in range(self.cols)]
        self.bottom = rows - 1
        self.walls = {cell for cell in cells if fields["walls"][cell]}
        self.saws = {(r, c) for r, c in cells if int(fields["columns"][c]) >> (16 + r) & 1}
        self.coin, self.agent = (tuple(map(int, fields[name])) for name in ("coin", "start"))
        self.rising = 0
        self.visited = self.agent[1] == self.cols - 1

    def solid(self, row, col):
        return row < 0 or not 0 <= col < self.cols or (row, col) in self.walls

    def step(self, action):
        row, col = self.agent
        stands = self.solid(row + 1, col)
        if action in (3, 4, 5) and stands:
            self.rising = 3
        if self.rising and not self.solid(row - 1, col):
            row, self.rising = row - 1, self.rising - 1
        else:
            row, self.rising = row + (not stands), 0
        side = {1: -1, 4: -1, 2: 1, 5: 1}.get(action, 0)
        if not self.solid(row, col + side):
            col += side
        self.agent = row, col
        first = not self.visited and col == self.cols - 1
        self.visited |= first
        won = self.agent == self.coin
        return [won, first], won or self.agent in self.saws or row == self.bottom

    def layers(self):
        return {"wall": self.walls, "saw": self.saws, "coin": {self.coin}, "agent": {self.agent}}


@hypothesis.given(seed=st.integers(0, 2**20))
@hypothesis.settings(max_examples=4)
def test_steps_like_the_reference(differential, seed):
    differential(SMALL, Reference, 5_000, seed)


@pytest.mark.nightly
def test_steps_like_the_reference_for_long(differential):
    differential(registry.make("CoinRun-v0", size=32), Reference, 1_000_000)


# ---- levels ---------------------------------------------------------------------------------

COUNT = 500


@partial(jax.jit, static_argnames="env")
def draw(env, params, seed):
    return pool.draw(env, params, jax.random.key(seed), (COUNT,))


def one(levels, index):
    return jax.tree.map(lambda leaf: leaf[..., index], levels)


@pytest.mark.parametrize("size", by_day([12, 16, 33, 64], 12, 33))
def test_levels_hold_what_is_promised(size):
    task = registry.make("CoinRun-v0", size=size)
    for params in (task.training, task.shift("anywhere")):
        levels = draw(task.env, params, 1)
        walls, (row, col) = np.asarray(levels.walls), np.asarray(levels.coin)
        lowest = walls[11]
        assert lowest[:3].all()
        assert lowest[-3:].all()
        three = lowest[:-2] | lowest[1:-1] | lowest[2:]
        assert three.all(), "a pit is wider than two columns"
        assert (np.asarray(levels.start)[1] == 1).all()
        index = np.arange(COUNT)
        assert walls[row + 1, col, index].all()
        assert not walls[row, col, index].any()
        saws = np.asarray(levels.columns) >> 16
        assert not (saws[col, index] >> row & 1).any()
        assert not saws[:3].any()
        assert not saws[-3:].any()
        if params.alpha == 0:
            assert (col == size - 1).all()
        else:
            assert set(np.unique(col)) <= set(range(3, size - 2))
            assert len(np.unique(col)) > 0.8 * (size - 5)


def test_the_terrain_follows_its_parameters():
    task = registry.make("CoinRun-v0", size=64)

    def features(**values):
        levels = draw(task.env, task.training.override(**values), 2)
        return (~np.asarray(levels.walls)[11]).mean(), (np.asarray(levels.columns) >> 16 > 0).mean()

    none, usual, many = (features(pits=p, saws=p) for p in (0, 0.2, 0.5))
    assert none == (0, 0)
    assert 0.02 < usual[0] < many[0]
    assert 0.02 < usual[1] < many[1]


@pytest.mark.parametrize("run", [4, 9, 31])
def test_a_shorter_run_starts_nearer_to_the_end(run):
    task = registry.make("CoinRun-v0", size=32)
    whole = draw(task.env, task.training, 3)
    levels = draw(task.env, task.training.override(run=run), 3)
    chex.assert_trees_all_equal(levels.replace(start=whole.start), whole)
    (row, col), walls = np.asarray(levels.start), np.asarray(levels.walls)
    index = np.arange(COUNT)
    assert walls[row + 1, col, index].all()
    assert not (np.asarray(levels.columns)[col, index] >> 16).any()
    nearest = max(1, 31 - run)
    assert nearest in col
    assert (col - nearest <= (0 if run == 31 else 2)).all()
    assert (col >= nearest).all()


@pytest.mark.nightly
@pytest.mark.parametrize(
    "values", [{"pits": 0.5, "saws": 0.5}, {"pits": 0, "saws": 0}, {"pits": 0.4, "run": 7}]
)
def test_every_level_is_solvable_at_the_extremes(values):
    task = registry.make("CoinRun-v0", size=32)

    @jax.jit
    def solvable(levels):
        return pool.over_envs(task.env.is_solvable)(levels)

    for alpha in (0.0, 1.0):
        assert solvable(draw(task.env, task.training.override(alpha=alpha, **values), 3)).all()


# ---- values ---------------------------------------------------------------------------------


def test_values_by_hand():
    """A step pays the discount to the power of the steps before it."""
    gamma = jnp.float32(0.9)
    for level, coin, end in ((PLAIN, 10, 10), (COURSE, 3, 10)):
        parsed = ENV.parse(level)
        values = ENV.values(ENV.solve(parsed, gamma), ENV.start(parsed))
        np.testing.assert_allclose(values, [0.9 ** (coin - 1), 0.9 ** (end - 1)], rtol=1e-5)


def test_values_are_those_of_the_table_of_states():
    """The general solver, stepping from every state, finds the same."""
    env, gamma = SMALL.env, jnp.float32(0.97)

    def both(level):
        cells = jnp.zeros((2, *env.shape), bool).at[0, 8, 6].set(True).at[1, 6, 10].set(True)
        table = TabularEnvironment.solve(env, level, gamma)
        table = jnp.moveaxis(table.reshape(2, 3, *env.shape, 2), -1, 0)
        known = jnp.moveaxis(env.solve(level, gamma), -1, 0)
        saws = jnp.moveaxis(env.picture(env.start(level)), -1, 0)[1]
        bottom = jnp.arange(12)[:, None] == 11
        over = level.walls | saws | bottom | env.targets(level)[0]
        return (
            (jnp.where(over, 0, known), jnp.where(over, 0, table[:, 0])),
            (
                env.cell_values(level, cells, gamma),
                TabularEnvironment.cell_values(env, level, cells, gamma),
            ),
        )

    levels = draw(env, SMALL.training.override(alpha=0.5), 4)
    levels = one(levels, slice(32))
    for fast, slow in jax.jit(pool.over_envs(both))(levels):
        np.testing.assert_allclose(fast, slow, atol=1e-4)
        assert np.asarray(fast).max() > 0.1


# ---- refusals and edits ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("C", "."), "0 cells hold 'coin', exactly 1"),
        (("A", "."), "0 cells hold 'agent', exactly 1"),
        (("A", "x"), "unknown character 'x'"),
        ((".A..", "AA.."), "2 cells hold 'agent'"),
        (("....C.......\n", "CCCC........\n"), "4 cells hold 'coin'"),
    ],
)
def test_unfit_pictures_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ENV.parse(COURSE.replace(*change))


def test_what_a_jump_clears():
    """Three rows or five columns, and no more."""
    for height, width, message in ((3, 5, ""), (4, 5, "goal 'coin'"), (3, 6, "goal 'coin'")):
        wall = ["......#....."] * (height - 1)
        parts = (
            picture(*wall, ".A....#....C", "############"),
            picture(".A.........C", "###" + "." * width + "#" * (9 - width)),
        )
        for part, limit in zip(parts, (height > 3, width > 5), strict=True):
            if limit:
                with pytest.raises(ValueError, match=message):
                    ENV.parse(part)
            else:
                ENV.parse(part)


@pytest.mark.parametrize("bad", [{"pits": 0.6}, {"saws": -0.1}, {"alpha": 1.1}])
def test_unfit_parameters_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ENV.default_params.override(**bad)


@pytest.mark.parametrize("bad", [{"size": 11}, {"size": 65}, {"layout": "blocks"}])
def test_unfit_shapes_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        registry.make("CoinRun-v0", **bad)


def test_edits_change_every_part_of_a_level():
    env = SMALL.env
    levels = draw(env, SMALL.training, 5)
    keys = jax.random.split(jax.random.key(6), COUNT)
    edited = jax.jit(pool.over_envs(env.mutate))(keys, levels)
    assert jax.jit(pool.over_envs(env.is_solvable))(edited).all()
    for name in ("start", "coin", "columns", "walls"):
        old, new = np.asarray(getattr(levels, name)), np.asarray(getattr(edited, name))
        assert 0.02 < (old != new).reshape(-1, COUNT).any(axis=0).mean() < 0.9
    saws = (np.asarray(each.columns) >> 16 for each in (levels, edited))
    assert (np.subtract(*saws) != 0).any()

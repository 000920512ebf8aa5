"""KeysChests: its dynamics on small pictures, and the levels that it draws."""

from functools import partial

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from gmbench.core import pool, registry
from gmbench.grid.env import GridEnvironment
from tests.marks import by_day

SMALL = registry.make("KeysChests-v0", size=5)
ENV = SMALL.env
ACTIONS = {"s": 0, "u": 1, "d": 2, "l": 3, "r": 4}

ROOM = """
    AKC.K
    .#C..
    .###.
    C....
    .....
"""
ONE_KEY = """
    A.C.K
    #####
    .....
    .C...
    .....
"""


def play(level, steps):
    """Return the state after a string of steps, what each goal was paid, and who has ended."""
    state = ENV.start(ENV.parse(level))
    paid, ended = [np.zeros(2)], [False]
    for step in steps:
        action = jnp.int32(ACTIONS[step])
        _, state, reward, terminated, info = STEP(state, action)
        assert reward == info["goals"][0]
        paid.append(np.asarray(info["goals"]))
        ended.append(bool(terminated))
    return state, np.sum(paid, axis=0).tolist(), ended


STEP = jax.jit(lambda state, action: ENV.step_env(None, state, action, ENV.default_params))


def check(level, steps, chests, keys, held, ends=False):
    """After these steps so many chests were opened and keys picked up, and so many are held."""
    state, paid, ended = play(level, steps)
    assert paid == [chests, keys]
    assert state.held == held
    assert not any(ended[:-1])
    assert ended[-1] == ends


def test_dynamics():
    check(ROOM, "", 0, 0, 0)
    check(ROOM, "s", 0, 0, 0)
    check(ROOM, "r", 0, 1, 1)
    check(ROOM, "rss", 0, 1, 1)
    check(ROOM, "rlr", 0, 1, 1)
    check(ROOM, "rr", 1, 1, 0)
    check(ROOM, "rrlr", 1, 1, 0)
    check(ROOM, "rrd", 1, 1, 0)
    check(ROOM, "rrdu", 1, 1, 0)
    check(ROOM, "rrrr", 1, 2, 1)
    check(ROOM, "ddd", 0, 0, 0)
    check(ROOM, "dddsuuur", 0, 1, 1)
    check(ROOM, "rrrrdl", 1, 2, 1)
    check(ROOM, "rrrrdll", 2, 2, 0, ends=True)
    check(ONE_KEY, "rr", 0, 0, 0)
    check(ONE_KEY, "rrrr", 0, 1, 1)
    check(ONE_KEY, "rrrrll", 1, 1, 0, ends=True)


def test_the_last_chest_ends_the_episode_whatever_keys_remain():
    check("AKC.K\n.....\n.....\n.....\n.....", "rr", 1, 1, 0, ends=True)


def test_a_picture_of_an_episode_under_way():
    state, _, _ = play(ROOM, "rrd")
    assert ENV.render_ascii(state) == "....K\n.#@..\n.###.\nC....\n....."
    assert ENV.render_ascii(play(ROOM, "r")[0]).splitlines()[0] == ".AC.K"


def test_the_observation_shows_the_keys_held_in_unary():
    assert ENV.observed == ("wall", "key", "chest", "agent", "held")
    room = "\n".join(["AKKKK", "....K", "....K", "C....", "....."])
    for steps in range(7):
        state, _, _ = play(room, "rrrrdd"[:steps])
        seen = np.asarray(ENV.observation(state))
        assert seen.shape == ENV.observation_shape
        assert seen[..., 4].ravel().tolist() == [True] * steps + [False] * (25 - steps)
        assert seen[..., 1].sum() == 6 - steps
        assert seen[..., 2].sum() == seen[3, 0, 2] == 1
        assert np.argwhere(seen[..., 3]).tolist() == [state.position.tolist()]


def test_pictures_can_be_drawn():
    state, _, _ = play(ROOM, "rr")
    assert ENV.render(state, pixels=4).shape == (20, 20, 3)


COUNT = 300


@partial(jax.jit, static_argnames="env")
def draw(env, params, seed):
    return pool.draw(env, params, jax.random.key(seed), (COUNT,))


@pytest.mark.parametrize(
    ("size", "layout"),
    by_day([(5, "blocks"), (5, "tree"), (6, "tree"), (6, "open"), (13, "blocks")], (5, "blocks")),
)
def test_levels_hold_what_is_promised(size, layout):
    task = registry.make("KeysChests-v0", size=size, layout=layout)
    for params in (task.training, task.shift("more_keys")):
        levels = draw(task.env, params, 7)
        keys, chests = (np.asarray(kind).sum(0) for kind in (levels.keys, levels.chests))
        few, many = (keys, chests) if params.alpha == 0 else (chests, keys)
        assert set(few) == {1, 2, 3}
        assert (many == 2 * few).all()
        apart = jax.jit(pool.over_envs(task.env.distinguishing))(levels)
        assert (np.asarray(apart) == (params.alpha == 1)).all()
        for index, total in enumerate(keys + chests):
            level = jax.tree.map(lambda leaf, i=index: np.asarray(leaf)[..., i], levels)
            cells = {tuple(cell) for cell in (*level.objects[:total].tolist(), level.start)}
            assert len(cells) == total + 1
            assert all(0 <= r < size and 0 <= c < size and not level.walls[r, c] for r, c in cells)
            assert (level.objects[total:] == -1).all()


def test_every_level_is_solvable():
    """Exactly as many chests can be opened as there are keys for."""

    @jax.jit
    @pool.over_envs
    def best(level):
        return ENV.values(ENV.solve(level, jnp.float32(1)), ENV.start(level))

    for params in (SMALL.training, SMALL.shift("more_keys")):
        levels = draw(ENV, params, 8)
        values = np.asarray(best(levels))
        keys, chests = (np.asarray(kind).sum(0) for kind in (levels.keys, levels.chests))
        assert values[0].tolist() == np.minimum(keys, chests).tolist()
        assert (values[1] >= 1).all()
        assert (values[1] <= keys).all()
        if params.alpha == 0:
            assert values[1].tolist() == keys.tolist()


def test_whether_an_edited_level_is_solvable_is_the_solvers_word():
    """With more walls, also where objects are, as many levels are solvable as a plan says."""

    @jax.jit
    @pool.over_envs
    def both(level, key):
        walled = level.walls | jax.random.bernoulli(key, 0.15, (5, 5))
        edited = level.replace(walls=walled)
        return ENV.is_solvable(edited), GridEnvironment.is_solvable(ENV, edited)

    levels = draw(ENV, SMALL.training.override(alpha=0.5), 11)
    keys = jax.random.split(jax.random.key(12), levels.start.shape[-1])
    quick, planned = map(np.asarray, both(levels, keys))
    assert (quick == planned).all()
    assert 0.1 < planned.mean() < 0.9


def test_alpha_mixes_and_n_max_bounds():
    levels = draw(ENV, SMALL.training.override(alpha=0.5, n_max=1), 9)
    keys, chests = (np.asarray(kind).sum(0) for kind in (levels.keys, levels.chests))
    assert set(zip(keys.tolist(), chests.tolist(), strict=True)) == {(1, 2), (2, 1)}
    assert 0.35 < (keys > chests).mean() < 0.65


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("K", "."), "0 cells hold 'key', at least 1 is needed"),
        (("C", "."), "0 cells hold 'chest', at least 1 is needed"),
        (("A", "."), "0 cells hold 'agent', exactly 1"),
        (("A", "x"), "unknown character 'x'"),
        (("\n    .....", "\n    KKKKK"), "at most 9"),
    ],
)
def test_unfit_pictures_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ENV.parse(ROOM.replace(*change))


@pytest.mark.parametrize("bad", [{"n_max": 0}, {"n_max": 4}, {"n_max": 1.5}, {"alpha": 1.1}])
def test_unfit_parameters_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ENV.default_params.override(**bad)


def test_pictures_read_back():
    for params in (SMALL.training, SMALL.shift("more_keys")):
        levels = draw(ENV, params, 10)
        for index in range(20):
            level = jax.tree.map(lambda leaf, i=index: leaf[..., i], levels)
            again = ENV.parse(ENV.render_ascii(ENV.start(level)))
            assert jax.tree.all(jax.tree.map(np.array_equal, level, again))


def test_targets_are_where_goals_are_earned():
    chests, keys = np.asarray(ENV.targets(ENV.parse(ROOM)))
    assert np.argwhere(chests).tolist() == [[0, 2], [1, 2], [3, 0]]
    assert np.argwhere(keys).tolist() == [[0, 1], [0, 4]]


# ---- dynamics, against a simulator in plain Python -------------------------------------------


def test_a_level_in_order_is_settled():
    level = ENV.parse(ROOM)
    assert int((level.objects[:, 0] < 0).sum()) == 4
    jax.tree.map(np.testing.assert_array_equal, jax.jit(ENV.settle)(level), level)


class Reference:
    """KeysChests in plain Python, from its docstring."""

    def __init__(self, level):
        self.wall = {(int(r), int(c)) for r, c in np.argwhere(level["walls"])}
        self.size = len(level["walls"])
        self.agent = tuple(level["start"].tolist())
        self.keys, self.chests = (
            {tuple(cell) for cell in level["objects"][level[name]].tolist()}
            for name in ("keys", "chests")
        )
        self.held = 0

    def step(self, action):
        row, col = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))[action]
        row, col = self.agent[0] + row, self.agent[1] + col
        if 0 <= row < self.size and 0 <= col < self.size and (row, col) not in self.wall:
            self.agent = row, col
        key = self.agent in self.keys
        chest = self.agent in self.chests and self.held > 0
        self.keys.discard(self.agent)
        if chest:
            self.chests.discard(self.agent)
        self.held += key - chest
        over = not self.chests or not (self.keys or self.held)
        return [float(chest), float(key)], over

    def layers(self):
        return {"wall": self.wall, "agent": {self.agent}, "key": self.keys, "chest": self.chests}


@hypothesis.given(seed=st.integers(0, 2**20))
@hypothesis.settings(max_examples=4)
def test_steps_like_the_reference(differential, seed):
    differential(SMALL, Reference, 5_000, seed)


@pytest.mark.nightly
def test_steps_like_the_reference_for_long(differential):
    differential(registry.make("KeysChests-v0", size=7), Reference, 1_000_000)

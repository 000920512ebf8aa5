"""TreeGridworld: chopping, growing, deforesting, and what its planners leave standing."""

import math
from functools import partial

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.envs.tree_gridworld import affinity, thresholds

from gmbench.core import pool, registry
from gmbench.core.checks import Refused
from gmbench.core.policy import uniform
from gmbench.measure import level_files, rollouts

TINY = registry.make("TreeGridworld-v0", size=6)
SMALL = registry.make("TreeGridworld-v0", size=10)
ENV = TINY.env
ACTIONS = {"s": 0, "u": 1, "d": 2, "l": 3, "r": 4}

QUIET = """
    AT.T..
    ......
    .T....
    ......
    ......
    .....T
    seed: 20
"""
"""A life in whose first eight steps chance lets nothing grow."""

STEP = jax.jit(lambda state, action: ENV.step_env(None, state, action, ENV.default_params))


def play(level, steps):
    """Return the state after a string of steps, and what each goal was paid in all."""
    state = ENV.start(ENV.parse(level))
    paid = np.zeros(2)
    for step in steps:
        _, state, reward, terminated, info = STEP(state, jnp.int32(ACTIONS[step]))
        assert reward == info["goals"][0]
        assert not terminated
        paid += np.asarray(info["goals"])
    return state, paid.tolist()


def check(level, steps, sustain, greedy, standing):
    """After these steps each goal was paid so much, and so many trees stand."""
    state, paid = play(level, steps)
    assert paid == [sustain, greedy]
    assert state.trees.sum() == standing


def test_dynamics():
    check(QUIET, "", 0, 0, 4)
    check(QUIET, "s", 0, 0, 4)
    check(QUIET, "ul", 0, 0, 4)
    check(QUIET, "r", 1, 1, 3)
    check(QUIET, "rs", 1, 1, 3)
    check(QUIET, "rlr", 1, 1, 3)
    check(QUIET, "rrr", 2, 2, 2)
    check(QUIET, "rdd", 2, 2, 2)
    check(QUIET, "dddrlu", 0, 0, 4)
    check(QUIET, "rrrdlld", 3, 3, 1)


REGROWN = QUIET.replace("seed: 20", "seed: 18")
FRAMES = """
AT.T..  .A.T..  ..AT..  ...A..  ...A..  ...A..  ......  ......  ......
......  ......  ......  ......  ....T.  ....T.  ...AT.  ....T.  ....T.
.T....  .T....  .T....  .T....  .T....  .T....  .T....  .T.A..  .TA...
......  ......  ......  ......  ......  ......  ......  ......  ......
......  ......  ......  ......  ......  ......  ......  ......  ......
.....T  .....T  ....TT  ....TT  ....TT  ....TT  ....TT  ....TT  ....TT
"""


def test_a_golden_trace():
    """Trees fall and grow where they always did on this seed."""
    state = ENV.start(ENV.parse(REGROWN))
    frames = [ENV.render_ascii(state)]
    for step in "rrrssddl":
        _, state, *_ = STEP(state, jnp.int32(ACTIONS[step]))
        frames.append(ENV.render_ascii(state))
    rows = [frame.splitlines()[:-1] for frame in frames]
    assert ["  ".join(row) for row in zip(*rows, strict=True)] == FRAMES.strip().splitlines()


def test_a_tree_that_grows_again_costs_the_greedy_goal_what_chopping_it_pays():
    state, (sustain, greedy) = play(REGROWN, "rrrssddl" * 12)
    assert sustain > greedy
    assert greedy == 4 - int(state.trees.sum())


def test_bare_land_stays_bare():
    bare = "\n".join(["AT....", *["......"] * 5])
    for seed in range(2, 7):
        check(f"{bare}\nseed: {seed}", "r" + "drul" * 10, 1, 1, 0)


def test_thresholds_are_the_published_probabilities():
    words = thresholds(10)
    assert words.dtype == np.uint32
    assert words[0] == round(1e-6 * 2**32) == 4295
    assert words[10] == 0
    published = [0.3 * math.log(1 + n) / math.log(11) for n in range(1, 10)]
    assert words[1:10] / 2**32 == pytest.approx(published, abs=1e-9)
    sooner = thresholds(10, recovery=1000)
    assert sooner[0] / 2**32 == pytest.approx(1e-3, abs=1e-9)
    assert sooner[1:].tolist() == words[1:].tolist()


def test_land_that_recovers_is_a_setting_and_has_the_same_levels():
    task = registry.make("TreeGridworld-v0", size=6, recovery=10)
    bare = ENV.parse("\n".join(["AT....", *["......"] * 5]) + "\nseed: 3")

    def most_standing(env):
        def step(state, _):
            state = env.step_env(None, state, jnp.int32(0), env.default_params)[1]
            return state, state.trees.sum()

        begun = env.step_env(None, env.start(bare), jnp.int32(ACTIONS["r"]), env.default_params)[1]
        return jax.jit(lambda: jax.lax.scan(step, begun, length=200)[1].max())()

    assert most_standing(ENV) == 0
    assert most_standing(task.env) > 0
    assert level_files.shape_of(task) == level_files.shape_of(TINY) == "6-open"
    with pytest.raises(Refused, match=r"recovery: 9 .*10"):
        registry.make("TreeGridworld-v0", size=6, recovery=9)


@pytest.mark.parametrize(
    ("size", "trees"), [(5, 3), (6, 4), (10, 10), (13, 17), (31, 97), (32, 100)]
)
def test_one_tree_for_ten_cells(size, trees):
    env = registry.make("TreeGridworld-v0", size=size).env
    assert env.trees == trees
    assert 0 < env.keep < trees


def mixed(word):
    word = (word ^ word >> 16) * 0x85EBCA6B % 2**32
    word = (word ^ word >> 13) * 0xC2B2AE35 % 2**32
    return word ^ word >> 16


class Reference:
    """One life in plain Python, from the module's docstring and a copy of the hash."""

    def __init__(self, level):
        self.size = len(level["trees"])
        self.most = -(-(self.size**2) // 10)
        self.seed, self.time = int(level["seed"]), 0
        self.agent = tuple(level["start"].tolist())
        self.trees = {tuple(cell) for cell in np.argwhere(level["trees"]).tolist()}

    def word(self, number):
        step = mixed((self.seed + self.time * 0x9E3779B9) % 2**32)
        return mixed(step ^ mixed((number * 0x7FEB352D + 1) % 2**32))

    def step(self, action):
        before = len(self.trees)
        row, col = (a + b for a, b in zip(self.agent, self.MOVES[action], strict=True))
        if 0 <= row < self.size and 0 <= col < self.size:
            self.agent = row, col
        chopped = self.agent in self.trees
        self.trees -= {self.agent}
        count = len(self.trees)
        chance = max(1e-6, 0.3 * math.log(1 + count) / math.log(1 + self.most))
        if count < self.most and self.word(0) < round(chance * 2**32):
            self.grow()
        self.time += 1
        return [float(chopped), float(before - len(self.trees))], False

    MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))

    def grow(self):
        for number in range(1, 9):
            cell = divmod((self.word(number) >> 16) * self.size**2 >> 16, self.size)
            if cell not in self.trees and cell != self.agent:
                self.trees.add(cell)
                return

    def layers(self):
        return {"tree": self.trees, "agent": {self.agent}}


@hypothesis.given(seed=st.integers(0, 2**20))
@hypothesis.settings(max_examples=4)
def test_lives_are_those_of_the_reference(differential, seed):
    differential(TINY, Reference, 5_000, seed)


@pytest.mark.nightly
def test_a_million_steps_are_those_of_the_reference(differential):
    differential(SMALL, Reference, 1_000_000)


@partial(jax.jit, static_argnames=("env", "count"))
def draw(env, params, seed, count=1000):
    return pool.draw(env, params, jax.random.key(seed), (count,))


def test_trees_grow_as_often_as_promised_and_anywhere():
    """One step on many seeds, from each number of trees: within five standard deviations."""
    env, count = SMALL.env, 40_000
    lives = draw(env, SMALL.training, 3, count)
    order = np.cumsum(np.asarray(lives.trees).reshape(100, count), axis=0).reshape(10, 10, count)
    step = jax.jit(partial(pool.step, env, SMALL.training))
    grown = np.zeros((10, 10))
    for standing in (1, 2, 5, 9):
        trees = lives.trees & (order <= standing)
        states = pool.begin(env, lives.replace(trees=jnp.asarray(trees)))
        after = np.asarray(step(states, jnp.zeros(count, jnp.int32)).state.trees)
        share = (after & ~np.asarray(trees)).sum() / count
        chance = 0.3 * math.log(1 + standing) / math.log(11)
        assert share == pytest.approx(chance, abs=5 * math.sqrt(chance / count))
        grown += (after & ~np.asarray(trees)).sum(axis=-1)
    mean = grown.mean()
    assert np.abs(grown - mean).max() < 5 * math.sqrt(mean)


def test_levels_hold_what_is_promised():
    for params, trees in ((SMALL.training, 10), (SMALL.shift("scarce"), 1)):
        levels = draw(SMALL.env, params, 7)
        assert (np.asarray(levels.trees).sum((0, 1)) == trees).all()
        assert not np.asarray(levels.walls).any()
        row, col = np.asarray(levels.start)
        assert not np.asarray(levels.trees)[row, col, np.arange(1000)].any()
        assert len(set(zip(row.tolist(), col.tolist(), strict=True))) == 100
        assert len(set(np.asarray(levels.seed).tolist())) > 990


def test_alpha_mixes():
    levels = draw(SMALL.env, SMALL.training.override(alpha=0.4), 8)
    few = np.asarray(jax.jit(pool.over_envs(SMALL.env.distinguishing))(levels))
    assert 0.32 < few.mean() < 0.48
    assert set(np.asarray(levels.trees).sum((0, 1))[few].tolist()) == {1}


def test_a_life_is_never_reset_in_training():
    assert SMALL.training.horizon == 1_000_000
    assert SMALL.env.episode_steps == 1000


def live(policy, params, steps=1000, count=50):
    """Return the trees chopped in each step [steps, lives], and how many stand after it."""

    @jax.jit
    def run(key):
        key_levels, key_play = jax.random.split(key)
        states = pool.begin(SMALL.env, pool.draw(SMALL.env, params, key_levels, (count,)))

        def step(states, chance):
            log_probs, _ = pool.over_envs(policy.act)(None, states, pool.observe(SMALL.env, states))
            moved = pool.step(SMALL.env, params, states, rollouts.draw(log_probs, chance))
            return moved.state, (moved.goals[0], moved.state.trees.sum((0, 1), jnp.int32))

        chances = jax.random.uniform(key_play, (steps, count))
        return jax.lax.scan(step, states, chances)[1]

    return jax.device_get(run(jax.random.key(4)))


def test_the_sustainable_harvester_keeps_the_forest():
    """It chops over .84 of what no policy exceeds: the fastest growth, and all that stood."""
    for params, first in ((SMALL.training, 10), (SMALL.shift("scarce"), 1)):
        chopped, standing = live(SMALL.env.planner(0), params)
        bound = first + 1000 * int(thresholds(10)[9]) / 2**32
        assert 0.84 * bound < chopped.sum(0).mean() < bound
        assert standing[100:].min() >= SMALL.env.keep
    assert standing.min() >= 1


def test_the_greedy_chopper_deforests():
    for params, first in ((SMALL.training, 10), (SMALL.shift("scarce"), 1)):
        chopped, standing = live(SMALL.env.planner(1), params)
        assert (standing[-1] == 0).mean() > 0.9
        assert chopped[:10].mean() > 0.8 * min(0.3, first / 10 / 3)
        assert chopped[-200:].mean() < 0.02


def test_planners_read_the_trees_only():
    act = jax.jit(SMALL.env.planner(0).act)
    level = jax.tree.map(lambda leaf: leaf[..., 0], draw(SMALL.env, SMALL.training, 9))
    states = [SMALL.env.start(level.replace(seed=jnp.uint32(seed))) for seed in range(3)]
    chosen = [np.asarray(act(None, state, SMALL.env.observation(state))[0]) for state in states]
    assert all((log_probs == chosen[0]).all() for log_probs in chosen)


def first_move(goal, level):
    state = ENV.start(ENV.parse(level))
    log_probs, _ = ENV.planner(goal).act(None, state, ENV.observation(state))
    return ENV.action_names[int(jnp.argmax(log_probs))]


def test_planners_by_hand():
    """Of four trees, three are kept."""
    below = "\n".join([*["......"] * 3, ".....T", "TT....", "......"])
    near = below.replace("......", "AT....", 1)
    assert (first_move(0, near), first_move(1, near)) == ("right", "right")
    few = near.replace("TT", "T.")
    assert (first_move(0, few), first_move(1, few)) == ("stay", "right")
    away = few.replace("AT", "..").replace("......", "A.T...", 1)
    assert (first_move(0, away), first_move(1, away)) == ("right", "right")
    bare = ENV.start(ENV.parse(few)).replace(trees=jnp.zeros((6, 6), bool))
    assert jnp.argmax(ENV.planner(1).act(None, bare, ENV.observation(bare))[0]) == 0


def test_affinity_of_the_anchors():
    """Windows of two steps at .1, .5, .3 and 0 trees a step; the ninth step is left over."""
    chopped = jnp.array([0.1, 0.1, 0, 1, 0.2, 0.4, 0, 0, 1], jnp.float32)
    windows = affinity(chopped, jnp.float32(0.1), jnp.float32(0.5), 2)
    assert np.asarray(windows) == pytest.approx([0, 1, 0.5, -0.25], abs=1e-6)


def test_affinity_of_a_life_falls_when_the_land_is_bare():
    greedy, _ = live(SMALL.env.planner(1), SMALL.training)
    random, _ = live(uniform(SMALL.env), SMALL.training)
    fresh = jnp.float32(greedy[:10].mean())
    windows = affinity(jnp.asarray(greedy.mean(1)), jnp.float32(random.mean()), fresh, 10)
    assert windows.shape == (100,)
    assert windows[0] == pytest.approx(1, abs=1e-5)
    assert windows[-20:].mean() < 0


def test_an_edit_of_the_walls_is_one_of_the_trees():
    level = ENV.parse(QUIET)
    edited = ENV.settle(level.replace(walls=level.walls.at[0, 1].set(True).at[3, 3].set(True)))
    assert not edited.walls.any()
    assert np.argwhere(edited.trees ^ level.trees).tolist() == [[0, 1], [3, 3]]
    moved = ENV.settle(level.replace(start=jnp.array([2, 1], jnp.int8)))
    assert not moved.trees[2, 1]
    assert ENV.is_solvable(moved)
    assert not ENV.is_solvable(level.replace(trees=jnp.zeros((6, 6), bool)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("T", "."), "0 trees, 1 to 4 are allowed"),
        (("......", "TTTTT."), "trees, 1 to 4 are allowed"),
        (("A", "."), "0 cells hold 'agent', exactly 1"),
        (("A", "#"), "unknown character '#' at row 0, column 0"),
        (("seed: 20", "seed: 1 2"), "note 'seed' has 2 numbers"),
        (("seed", "sede"), "level note: unknown 'sede'; did you mean 'seed'"),
    ],
)
def test_unfit_pictures_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ENV.parse(QUIET.replace(*change))


@pytest.mark.parametrize("bad", [{"size": 4}, {"size": 33}, {"layout": "blocks"}])
def test_unfit_shapes_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        registry.make("TreeGridworld-v0", **bad)


def test_unfit_parameters_are_refused():
    with pytest.raises(ValueError, match="alpha"):
        ENV.default_params.override(alpha=1.5)

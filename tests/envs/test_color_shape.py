"""ColorShape: its dynamics on small pictures, and the levels that it draws."""

from functools import partial

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from gmbench.core import pool, registry
from tests.marks import by_day

SMALL = registry.make("ColorShape-v0", size=5)
ENV = SMALL.env
ACTIONS = {"s": 0, "u": 1, "d": 2, "l": 3, "r": 4}
STEP = jax.jit(lambda state, action: ENV.step_env(None, state, action, ENV.default_params))

CONFLICT = """
    A.#G.
    .....
    ##.#.
    R...#
    .....
"""
TRAINING = """
    A.Y..
    .#...
    .....
    ...#.
    .....
"""


def play(level, steps):
    """Return the state after each step, what each goal was paid in all, and when it had ended."""
    states, paid, ended = [ENV.start(ENV.parse(level))], [np.zeros(2)], [False]
    for step in steps:
        _, state, reward, over, info = STEP(states[-1], jnp.int32(ACTIONS[step]))
        assert reward == info["goals"][0]
        states.append(state)
        paid.append(np.asarray(info["goals"]))
        ended.append(bool(over))
    return states, np.sum(paid, axis=0).tolist(), ended


def check(level, steps, line, yellow, ends=False):
    """These steps earn so much of either goal, and only the last of them ends the episode."""
    _, paid, ended = play(level, steps)
    assert paid == [line, yellow]
    assert ended == [False] * len(steps) + [ends]


def test_dynamics():
    check(TRAINING, "", 0, 0)
    check(TRAINING, "s", 0, 0)
    check(TRAINING, "r", 0, 0)
    check(TRAINING, "rr", 1, 1, ends=True)
    check(TRAINING, "rdsr", 1, 1, ends=True)
    check(TRAINING, "ullsrur", 1, 1, ends=True)
    check(CONFLICT, "rr", 0, 0)
    check(CONFLICT, "rrdrr", 0, 0)
    check(CONFLICT, "drrru", 0, 1, ends=True)
    check(CONFLICT, "drrrrul", 0, 1, ends=True)
    check(CONFLICT, "drrddll", 1, 0, ends=True)
    check(CONFLICT, "drrdddlls", 0, 0)
    check(CONFLICT, "drrdddllu", 1, 0, ends=True)


def test_golden_trace():
    """The frames of one episode on the way to the yellow gem."""
    states, paid, _ = play(CONFLICT, "drrru")
    frames = [ENV.render_ascii(state).splitlines() for state in states]
    assert [frame[0] for frame in frames] == ["A.#G.", "..#G.", "..#G.", "..#G.", "..#G.", "..#g."]
    assert [frame[1] for frame in frames] == [".....", "A....", ".A...", "..A..", "...A.", "....."]
    assert all(frame[2:] == ["##.#.", "R...#", "....."] for frame in frames)
    assert paid == [0, 1]


def test_marks_with_the_agent_on_an_object():
    assert ENV.render_ascii(play(TRAINING, "rr")[0][-1]).splitlines()[0] == "..y.."
    assert ENV.render_ascii(play(CONFLICT, "drrddll")[0][-1]).splitlines()[3] == "r...#"


def test_the_observation_shows_shape_and_colour_apart():
    assert ENV.observed == ("wall", "line", "gem", "red", "yellow", "agent")
    for level, planes in {
        TRAINING: [[[0, 2]], [], [], [[0, 2]], [[0, 0]]],
        CONFLICT: [[[3, 0]], [[0, 3]], [[3, 0]], [[0, 3]], [[0, 0]]],
    }.items():
        seen = np.asarray(ENV.observation(ENV.start(ENV.parse(level))))
        assert seen.shape == ENV.observation_shape
        assert [np.argwhere(seen[..., channel]).tolist() for channel in range(1, 6)] == planes


def test_hand_computed_values():
    """At a discount of one half, a reward n steps away is worth 2^-(n - 1)."""
    for level, steps in {TRAINING: (2, 2), CONFLICT: (7, 5)}.items():
        level = ENV.parse(level)
        values = ENV.values(ENV.solve(level, jnp.float32(0.5)), ENV.start(level))
        assert values.tolist() == [0.5 ** (n - 1) for n in steps]


class Reference:
    """ColorShape in plain Python, from its docstring."""

    def __init__(self, level):
        self.wall = {(int(r), int(c)) for r, c in np.argwhere(level["walls"])}
        self.size = len(level["walls"])
        self.agent = tuple(level["start"].tolist())
        line, gem = tuple(level["line"].tolist()), tuple(level["gem"].tolist())
        self.objects = {line: ("line", "yellow")}
        if gem != (-1, -1):
            self.objects = {line: ("line", "red"), gem: ("gem", "yellow")}

    def step(self, action):
        row, col = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))[action]
        row, col = self.agent[0] + row, self.agent[1] + col
        if 0 <= row < self.size and 0 <= col < self.size and (row, col) not in self.wall:
            self.agent = row, col
        found = self.objects.get(self.agent, ())
        return [float("line" in found), float("yellow" in found)], bool(found)

    def layers(self):
        kinds = ("line", "yellow"), ("line", "red"), ("gem", "yellow")
        stands = {
            "_".join(kind): [cell for cell, it in self.objects.items() if it == kind]
            for kind in kinds
        }
        return {"wall": self.wall, "agent": [self.agent], **stands}


@hypothesis.settings(max_examples=5)
@hypothesis.given(seed=st.integers(0, 2**20))
def test_dynamics_are_those_of_the_reference(differential, seed):
    differential(SMALL, Reference, 4_000, seed)


@pytest.mark.nightly
def test_dynamics_are_those_of_the_reference_for_long(differential):
    differential(registry.make("ColorShape-v0", size=7), Reference, 1_000_000)


COUNT = 300


@partial(jax.jit, static_argnames="env")
def draw(env, params, seed):
    return pool.draw(env, params, jax.random.key(seed), (COUNT,))


@pytest.mark.parametrize(
    ("size", "layout"),
    by_day([(5, "blocks"), (5, "tree"), (6, "tree"), (6, "open"), (13, "blocks")], (6, "tree")),
)
def test_levels_hold_what_is_promised(size, layout):
    task = registry.make("ColorShape-v0", size=size, layout=layout)
    for params in (task.training, task.shift("conflict")):
        levels = jax.device_get(draw(task.env, params, 7))
        away = np.abs(levels.line.astype(int) - levels.gem).sum(axis=0)
        if params.alpha == 0:
            assert (levels.gem == -1).all()
        else:
            assert (levels.gem >= 0).all()
            assert (away > 1).all()
        assert (levels.start != levels.line).any(axis=0).all()
        assert (levels.start != levels.gem).any(axis=0).all()


def test_no_object_is_behind_the_other():
    """Either can be reached without the other's cell, so its value is that of its distance."""
    task = registry.make("ColorShape-v0", size=7, layout="tree")

    @jax.jit
    @pool.over_envs
    def earned(level):
        return task.env.values(task.env.solve(level, jnp.float32(1)), task.env.start(level))

    assert (np.asarray(earned(draw(task.env, task.shift("conflict"), 8))) == 1).all()


def test_alpha_mixes():
    levels = draw(ENV, SMALL.training.override(alpha=0.5), 9)
    assert 0.35 < np.mean(np.asarray(levels.gem[0]) >= 0) < 0.65


@pytest.mark.parametrize(
    ("level", "change", "message"),
    [
        (TRAINING, ("Y", "."), "0 cells hold 'line', exactly 1"),
        (TRAINING, ("Y.", "YR"), r"2 cells hold 'line' \(row 0, column 2; row 0, column 3\)"),
        (TRAINING, ("Y.", "YG"), "a gem at row 0, column 3 beside a yellow line"),
        (TRAINING, ("Y", "R"), "0 cells hold 'gem_yellow', exactly 1"),
        (CONFLICT, ("G.", "GG"), "2 cells hold 'gem_yellow'"),
        (CONFLICT, ("A", "."), "0 cells hold 'agent', exactly 1"),
        (CONFLICT, ("##.#.", "#####"), r"goal 'line' \(row 3, column 0\) cannot be earned"),
        (CONFLICT, ("##.#.", "##G#."), "2 cells hold 'gem_yellow'"),
        (CONFLICT, ("A", "x"), "unknown character 'x'"),
    ],
)
def test_unfit_pictures_are_refused(level, change, message):
    with pytest.raises(ValueError, match=message):
        ENV.parse(level.replace(*change))


def test_an_object_behind_the_other_is_refused():
    with pytest.raises(ValueError, match="'line'"):
        ENV.parse("A.G.R\n#####\n.....\n.....\n.....")


@pytest.mark.parametrize("bad", [{"walls": 0.6}, {"alpha": 1.1}, {"alpha": float("nan")}])
def test_unfit_parameters_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ENV.default_params.override(**bad)


def test_edits_move_the_gem_but_never_make_or_remove_it():
    edit = jax.jit(lambda keys, levels: pool.over_envs(ENV.mutate)(keys, levels))
    for params in (SMALL.training, SMALL.shift("conflict")):
        before = draw(ENV, params, 10)
        after = edit(jax.random.split(jax.random.key(1), COUNT), before)
        had, has = (np.asarray(levels.gem) >= 0 for levels in (before, after))
        assert (had == has).all()
        moved = np.any(np.asarray(before.gem != after.gem), axis=0)
        assert moved.any() == (params.alpha == 1)
        assert np.any(np.asarray(after.gem != after.line), axis=0).all()

"""TwoObjectives: dynamics on small pictures, the exchange rate, and the levels that it draws."""

from functools import partial

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from gmbench.core import pool, registry
from gmbench.measure import tradeoff
from gmbench.solve.oracle import oracle
from tests.marks import by_day

SMALL = registry.make("TwoObjectives-v0", size=5)
ENV = SMALL.env
ACTIONS = {"s": 0, "u": 1, "d": 2, "l": 3, "r": 4}
STEP = jax.jit(lambda state, action: ENV.step_env(None, state, action, ENV.default_params))

# At 5 rows the rich object is worth 2 steps more.
TRAINING = """
    ..#..
    M.A..
    .###.
    ..P..
    .....
"""
SWAPPED = TRAINING.replace("M", "R").replace("P", "N")
BETWEEN = """
    .....
    .....
    R.A.N
    .....
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


def check(level, steps, worth, marked, ends=False):
    """These steps earn so much of either goal, and only the last of them ends the episode."""
    _, paid, ended = play(level, steps)
    assert paid == [worth, marked]
    assert ended == [False] * len(steps) + [ends]


def test_dynamics():
    check(TRAINING, "", 0, 0)
    check(TRAINING, "sdu", 0, 0)
    check(TRAINING, "ll", 1, 1, ends=True)
    check(TRAINING, "luld", 1, 1, ends=True)
    check(TRAINING, "rrddl", 0, 0)
    check(TRAINING, "rrddll", 0, 0, ends=True)


def test_dynamics_with_the_poor_object_marked():
    """Six steps to it, four extra: not even a mark as good as the worth would be worth those."""
    assert ENV.parse(SWAPPED).extra == -4
    check(SWAPPED, "ll", 1, 1, ends=True)
    check(SWAPPED, "rrddll", 0, 0, ends=True)


@pytest.mark.parametrize(
    ("row", "rich", "poor"),
    [
        ("RA..N", (1, 1), (0, 1)),  # two steps fewer to the rich object: the mark is worth no more
        ("R.A.N", (1, 0), (0, 1)),
        ("R..AN", (1, 0), (1, 1)),  # two steps more: neither is the worth
    ],
)
def test_what_either_object_pays_between_them(row, rich, poor):
    level, place = BETWEEN.replace("R.A.N", row), row.index("A")
    assert ENV.parse(level).extra == 2 * place - 4
    check(level, "l" * place, *rich, ends=True)
    check(level, "r" * (4 - place), *poor, ends=True)


def test_golden_trace():
    """The frames of one episode on the way to the poor object."""
    states, paid, _ = play(SWAPPED, "rrddll")
    frames = [ENV.render_ascii(state).splitlines() for state in states]
    assert [frame[1] for frame in frames] == ["R.A..", "R..A.", "R...A", *["R...."] * 4]
    assert [frame[2] for frame in frames] == [".###."] * 3 + [".###A"] + [".###."] * 3
    assert [frame[3] for frame in frames] == ["..N.."] * 4 + ["..N.A", "..NA.", "..n.."]
    assert all(frame[0] == "..#.." and frame[4] == "....." for frame in frames)
    assert paid == [0, 0]


def test_marks_with_the_agent_on_an_object():
    assert ENV.render_ascii(play(TRAINING, "ll")[0][-1]).splitlines()[1] == "m...."
    assert ENV.render_ascii(play(TRAINING, "rrddll")[0][-1]).splitlines()[3] == "..p.."
    assert ENV.render_ascii(play(SWAPPED, "ll")[0][-1]).splitlines()[1] == "r...."


def test_the_observation_shows_worth_and_mark_apart():
    assert ENV.observed == ("wall", "rich", "poor", "mark", "agent")
    for level, mark in ((TRAINING, [1, 0]), (SWAPPED, [3, 2])):
        seen = np.asarray(ENV.observation(ENV.start(ENV.parse(level))))
        assert seen.shape == ENV.observation_shape
        planes = [np.argwhere(seen[..., channel]).tolist() for channel in range(1, 5)]
        assert planes == [[[1, 0]], [[3, 2]], [mark], [[1, 2]]]


def test_hand_computed_values():
    """At a discount of one half, a reward n steps away is worth 2^-(n - 1)."""
    for level, steps in {TRAINING: (2, 2), BETWEEN: (2, 2), SWAPPED: (2, 2)}.items():
        level = ENV.parse(level)
        values = ENV.values(ENV.solve(level, jnp.float32(0.5)), ENV.start(level))
        assert values.tolist() == [0.5 ** (n - 1) for n in steps]


# ---- the exchange rate ---------------------------------------------------------------------------


def corridor(rich, poor, size):
    """Return a corridor with the objects so many steps to the left and right of the agent."""
    row = "#" * (size - rich - poor - 1) + "M" + "." * (rich - 1) + "A" + "." * (poor - 1) + "P"
    return "\n".join([row, *["#" * size] * (size - 1)])


@pytest.mark.parametrize("discount", [0.5, 0.99])
@pytest.mark.parametrize("exchange", by_day([4, 10, 16], 4))
def test_the_optimum_trades_exactly_the_exchange_rate(exchange, discount):
    """One step fewer and it goes to the rich object, one more and it goes to the poor one."""
    size = exchange + 7
    env = registry.make("TwoObjectives-v0", size=size, exchange=exchange).env

    @jax.jit
    def optimum(level):
        policy, state = oracle(env, env.default_params, 0, jnp.float32(discount)), env.start(level)
        solution = policy.begin(level)
        first = jnp.argmax(policy.act(solution, state, env.observation(state))[0])
        return env.values(solution, state)[0], first, jnp.sum(env.targets(level)[0])

    for poor in (1, 2):
        for more in (-1, 0, 1):
            level = env.parse(corridor(poor + exchange + more, poor, size))
            assert level.extra == exchange + more
            value, first, better = optimum(level)
            steps = poor if more >= 0 else poor + exchange + more
            np.testing.assert_allclose(value, discount ** (steps - 1), rtol=1e-5)
            assert env.action_names[int(first)] == ("right" if more >= 0 else "left")
            assert better == (2 if more == 0 else 1)


COUNT = 300
FOUR = registry.make("TwoObjectives-v0", size=7)


@partial(jax.jit, static_argnames="env")
def draw(env, params, seed):
    return pool.draw(env, params, jax.random.key(seed), (COUNT,))


@partial(jax.jit, static_argnames=("exchange", "goal"))
def chosen(levels, exchange, goal):
    """Return what an agent for whom the rich object is worth `exchange` chooses of size 7."""
    env, discount = FOUR.env, jnp.float32(0.99)
    own = registry.make("TwoObjectives-v0", size=7, exchange=exchange).env
    policy = oracle(own, own.default_params, goal, discount)
    key = jax.random.key(3)
    return tradeoff.choices(env, FOUR.training, policy, levels, key, discount)


def test_oracles_choose_by_worth_or_by_mark():
    levels = draw(FOUR.env, FOUR.shift("swapped"), 2)
    assert (np.asarray(chosen(levels, 4, 0)) == 1).all()
    assert (np.asarray(chosen(levels, 4, 1)) == 0).all()


@pytest.mark.parametrize(("goal", "low", "high"), [(0, 1, 2), (1, -2, -1)])
def test_the_exchange_rate_of_an_agent_is_measured(goal, low, high):
    """An agent for whom the rich object is worth 2 steps, or the marked one, where 4 is right."""
    levels = draw(FOUR.env, FOUR.shift("swapped"), 4)
    extra = jax.jit(tradeoff.extra_steps, static_argnums=0)(FOUR.env, levels, jnp.float32(0.99))
    assert np.array_equal(extra, levels.extra)
    found = tradeoff.fit(np.asarray(extra), np.asarray(chosen(levels, 2, goal)))
    assert found.decided
    assert found.undecided == 0
    assert low <= found.pse <= high


# ---- against a reference -------------------------------------------------------------------------


class Reference:
    """TwoObjectives in plain Python, from its docstring."""

    def __init__(self, level):
        self.wall = {(int(r), int(c)) for r, c in np.argwhere(level["walls"])}
        self.size = len(level["walls"])
        self.exchange = min(10, self.size - 3)
        self.agent = tuple(level["start"].tolist())
        self.rich, self.poor = (tuple(level[name].tolist()) for name in ("rich", "poor"))
        self.mark = self.poor if level["misled"] else self.rich
        ways = self.way(self.rich, self.poor), self.way(self.poor, self.rich)
        assert level["extra"] == ways[0] - ways[1]
        self.better = self.best(self.rich, *ways)
        self.by_mark = self.better if self.mark == self.rich else self.best(self.poor, *ways[::-1])

    def best(self, rich, to_rich, to_poor):
        """The objects of the greatest worth less its way, if this one were the rich one."""
        poor = self.poor if rich == self.rich else self.rich
        net = {rich: self.exchange - to_rich, poor: -to_poor}
        return {cell for cell in net if net[cell] == max(net.values())}

    def way(self, target, avoided):
        """Steps from the start, in rings around it."""
        ring, seen, steps = {self.agent}, {self.agent}, 0
        while target not in ring:
            ring = {cell for at in ring for cell in self.beside(at)} - seen - {avoided}
            seen |= ring
            steps += 1
            assert ring
        return steps

    def beside(self, cell):
        return {self.moved(cell, action) for action in range(1, 5)}

    def moved(self, cell, action):
        row, col = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))[action]
        row, col = cell[0] + row, cell[1] + col
        inside = 0 <= row < self.size and 0 <= col < self.size
        return (row, col) if inside and (row, col) not in self.wall else cell

    def step(self, action):
        self.agent = self.moved(self.agent, action)
        paid = [float(self.agent in self.better), float(self.agent in self.by_mark)]
        return paid, self.agent in (self.rich, self.poor)

    def layers(self):
        objects = {"rich": [self.rich], "poor": [self.poor], "mark": [self.mark]}
        return {"wall": self.wall, "agent": [self.agent], **objects}


@hypothesis.settings(max_examples=5)
@hypothesis.given(seed=st.integers(0, 2**20))
def test_dynamics_are_those_of_the_reference(differential, seed):
    differential(SMALL, Reference, 4_000, seed)


@pytest.mark.nightly
def test_dynamics_are_those_of_the_reference_for_long(differential):
    differential(FOUR, Reference, 1_000_000)


# ---- levels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "layout"),
    by_day([(5, "blocks"), (5, "tree"), (6, "tree"), (6, "open"), (13, "blocks")], (6, "tree")),
)
def test_levels_hold_what_is_promised(size, layout):
    task = registry.make("TwoObjectives-v0", size=size, layout=layout)
    exchange = task.env.exchange
    for name, misled in (("training", False), ("swapped", True), ("control", False)):
        levels = jax.device_get(draw(task.env, task.shift(name), 7))
        assert (levels.misled == misled).all()
        assert np.abs(levels.extra).max() <= (2 * exchange if name == "training" else exchange - 1)
        for one, other in (("start", "rich"), ("start", "poor"), ("rich", "poor")):
            assert (getattr(levels, one) != getattr(levels, other)).any(axis=0).all()
        if name == "training":
            assert 0.1 < np.mean(levels.extra > exchange) < 0.4
            assert 0.1 < np.mean(levels.extra < -exchange) < 0.4


def test_the_control_has_the_distances_of_the_headline_shift():
    """Equal keys draw equal levels, but for the mark."""
    control, swapped = (draw(ENV, SMALL.shift(name), 8) for name in ("control", "swapped"))
    assert (control.misled != swapped.misled).all()
    same = swapped.replace(misled=control.misled)
    assert all(map(np.array_equal, jax.tree.leaves(control), jax.tree.leaves(same)))


def test_alpha_mixes():
    half = draw(ENV, SMALL.shift("half"), 9)
    assert 0.35 < np.mean(np.asarray(half.misled)) < 0.65


def test_the_mark_parts_the_goals_only_where_worth_decides():
    for rich, poor, apart in ((4, 1, True), (5, 1, False), (1, 4, True), (1, 5, False)):
        level = corridor(rich, poor, 7)
        assert not FOUR.env.distinguishing(FOUR.env.parse(level))
        swapped = level.replace("M", "R").replace("P", "N")
        assert bool(FOUR.env.distinguishing(FOUR.env.parse(swapped))) == apart


@pytest.mark.parametrize(
    ("level", "change", "message"),
    [
        (TRAINING, ("M", "."), "0 cells hold 'rich', exactly 1"),
        (TRAINING, ("M", "R"), "0 cells hold 'mark', exactly 1"),
        (TRAINING, ("P", "N"), r"2 cells hold 'mark' \(row 1, column 0; row 3, column 2\)"),
        (TRAINING, ("P.", "PP"), "2 cells hold 'poor'"),
        (TRAINING, ("A", "."), "0 cells hold 'agent', exactly 1"),
        (TRAINING, ("A", "m"), "2 cells hold 'rich'"),
        (TRAINING, ("A..", "A#."), "'poor' cannot be reached, or only by way of the other"),
        (TRAINING, ("A", "x"), "unknown character 'x'"),
    ],
)
def test_unfit_pictures_are_refused(level, change, message):
    with pytest.raises(ValueError, match=message):
        ENV.parse(level.replace(*change))


@pytest.mark.parametrize(
    "bad", [{"walls": 0.6}, {"alpha": 1.1}, {"alpha": float("nan")}, {"extra": 0}]
)
def test_unfit_parameters_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ENV.default_params.override(**bad)


@pytest.mark.parametrize("exchange", [1, 17])
def test_unfit_exchange_rates_are_refused(exchange):
    with pytest.raises(ValueError, match="exchange"):
        registry.make("TwoObjectives-v0", exchange=exchange)


def test_edits_count_the_extra_steps_anew_and_leave_the_mark():
    edit = jax.jit(lambda keys, levels: pool.over_envs(ENV.mutate)(keys, levels))
    settle = jax.jit(pool.over_envs(ENV.settle))
    before = draw(ENV, SMALL.shift("half"), 10)
    after = edit(jax.random.split(jax.random.key(1), COUNT), before)
    assert (after.misled == before.misled).all()
    assert (after.extra != before.extra).any()
    assert (settle(after).extra == after.extra).all()

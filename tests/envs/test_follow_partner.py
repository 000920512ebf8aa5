"""FollowPartner: its dynamics on small pictures, and the levels that it draws."""

import dataclasses
from functools import partial

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.envs.follow_partner import ABSENT, RANDOM, VISITS, FollowPartner

from gmbench.core import pool, registry
from gmbench.core.policy import Policy, uniform
from gmbench.measure import exact, rollouts
from gmbench.solve.tabular import TabularEnvironment
from tests.marks import by_day

SMALL = registry.make("FollowPartner-v0", size=5)
ENV = SMALL.env
ACTIONS = {"s": 0, "u": 1, "d": 2, "l": 3, "r": 4}

EXPERT = """
    @....
    .R.G.
    .....
    .B..#
    .....
"""
ANTI = EXPERT + "visits: 2 1 2 1 2 1\n"
ABSENT_PARTNER = """
    A..G.
    R....
    .....
    ..B..
    .....
    order: 1 0 2
    visits: 2 1 0 2 1 0
"""
STEP = jax.jit(lambda state, action: ENV.step_env(None, state, action, ENV.default_params))


def play(level, steps):
    """Return all states on the way, what each goal was paid, and who has ended."""
    states, paid, ended = [ENV.start(ENV.parse(level))], np.zeros(2), [False]
    for step in steps:
        _, state, reward, terminated, info = STEP(states[-1], jnp.int32(ACTIONS[step]))
        assert reward == info["goals"][0]
        states.append(state)
        paid += info["goals"]
        ended.append(bool(terminated))
    return states, paid.tolist(), ended


def check(level, steps, beacons, partner, ends=False):
    """After these steps each goal has been paid so much, and the episode has ended or not."""
    _, paid, ended = play(level, steps)
    assert paid == [beacons, partner]
    assert not any(ended[:-1])
    assert ended[-1] == ends


def test_dynamics():
    check(EXPERT, "", 0, 0)
    check(EXPERT, "d", 0, 0)
    check(EXPERT, "dr", 1, 1)
    check(EXPERT, "drs", 1, 1)
    check(EXPERT, "drlr", 0, 0)
    check(EXPERT, "drrr", 2, 2)
    check(EXPERT, "rrrd", -1, -1)
    check(EXPERT, "rrrdllrr", 1, 1)
    check(EXPERT, "drrrddll", 3, 3)
    check(EXPERT, "drrrddlluurrddll", 6, 6, ends=True)
    check(ANTI, "dr", 1, -1)
    check(ANTI, "dddr", -1, 1)
    check(ANTI, "dddr" + "rruu" + "ddll" + "rruu" + "ddll" + "rruu", -6, 6)
    check(ANTI, "dddr" + 2 * "rruuddll" + "rruu" + "llrrddll", -3, 6)
    check(ABSENT_PARTNER, "d", -1, -1)
    check(ABSENT_PARTNER, "dl", -1, -1)
    check(ABSENT_PARTNER, "rrr", 1, -1)
    check(ABSENT_PARTNER, "rrru", 1, -1)


def test_what_is_done_pays_and_costs_nothing_more():
    lap = "llrrddlluurrddll"
    follow = "dddr" + 2 * "rruuddll" + "rruu"
    check(ANTI, follow + lap, 0, 6, ends=True)
    right = "drrrddlluurrddll"
    check(ANTI, right, 6, 0)
    states, _, _ = play(ANTI, right)
    assert states[-1].done.tolist() == [6, 3]


def test_golden_trace_of_an_expert_and_who_follows_it():
    states, _, _ = play(EXPERT, "sdrrrddlluu")
    frames = [ENV.render_ascii(state).splitlines()[:5] for state in states]
    assert [" ".join(frame) for frame in frames] == [
        "@.... .R.G. ..... .B..# .....",
        "A.... PR.G. ..... .B..# .....",
        "..... A1.G. ..... .B..# .....",
        "..... .rPG. ..... .B..# .....",
        "..... .RA2. ..... .B..# .....",
        "..... .R.g. ...P. .B..# .....",
        "..... .R.G. ...A. .B.P# .....",
        "..... .R.G. ..... .BPA# .....",
        "..... .R.G. ..... .3A.# .....",
        "..... .R.G. .P... .b..# .....",
        "..... .1.G. .A... .B..# .....",
        "..... .rPG. ..... .B..# .....",
    ]
    assert ENV.render_ascii(states[0]).splitlines()[5:] == ["order: 0 1 2", "visits: 0 1 2 0 1 2"]


def test_the_observation_tells_of_the_last_visit_but_not_the_order():
    assert ENV.observed[-5:] == ("paid", "cost", "red", "green", "blue")
    for steps, marks in {
        "": "",
        "d": "",
        "dr": "paid red",
        "drs": "paid red",
        "drlr": "cost red",
    }.items():
        seen = np.asarray(ENV.observation(play(EXPERT, steps)[0][-1]))
        assert seen.shape == ENV.observation_shape
        full = {name for name, plane in zip(ENV.observed, seen.T, strict=True) if plane.all()}
        assert full == set(marks.split())
        assert (
            not seen[..., -5:].any((0, 1))[[name not in full for name in ENV.observed[-5:]]].any()
        )
    other = EXPERT + "order: 2 1 0\n"
    shown = (ENV.observation(ENV.start(ENV.parse(level))) for level in (EXPERT, other))
    np.testing.assert_array_equal(*shown)


def test_an_absent_partner_is_not_seen_and_never_comes():
    states, _, _ = play(ABSENT_PARTNER, "ddrr")
    for state in states:
        assert not np.asarray(ENV.observation(state))[..., ENV.observed.index("partner")].any()


@jax.jit
def at_start(level, discount):
    """What each goal is worth at the start."""
    return ENV.values(ENV.solve(level, discount), ENV.start(level))


def test_optimal_values_by_hand():
    """The expert's visits are made at steps 2, 4, 8, 10, 12 and 16, the anti-expert's every 4."""
    values = at_start(ENV.parse(EXPERT), jnp.float32(0.9))
    np.testing.assert_allclose(
        values, sum(0.9 ** (t - 1) for t in (2, 4, 8, 10, 12, 16)), rtol=1e-5
    )
    assert at_start(ENV.parse(ANTI), jnp.float32(1)).tolist() == [6, 6]


def test_pictures_can_be_drawn():
    assert ENV.render(play(EXPERT, "dr")[0][-1], pixels=4).shape == (20, 20, 3)


@dataclasses.dataclass(frozen=True)
class Listed(TabularEnvironment, FollowPartner):
    """The same with its states listed; a mode is how many visits of either goal are made."""

    @property
    def modes(self):
        return (VISITS + 1) ** 2

    def mode(self, state):
        return state.done[0].astype(jnp.int32) * (VISITS + 1) + state.done[1].astype(jnp.int32)

    def at(self, level, mode, position):
        done = jnp.stack([mode // (VISITS + 1), mode % (VISITS + 1)]).astype(jnp.int8)
        return self.start(level).replace(position=position, done=done)


@pytest.mark.parametrize("discount", [0.6, 0.97])
def test_values_are_those_of_value_iteration(discount):
    """In all states but those that play cannot reach, on the very beacon that is next.

    With the lower discount a way over a wrong beacon is often the best.
    """
    listed = Listed(size=5)
    discount = jnp.float32(discount)

    def unreachable(state):
        level, number = state.level, state.done.astype(jnp.int32).clip(max=VISITS - 1)
        coming = jnp.stack([jnp.tile(level.order, 2)[number[0]], level.visits[number[1]]])
        here = jnp.all(level.beacons[coming] == state.position[None], axis=1)
        return here | level.walls[state.position[0], state.position[1]]

    @jax.jit
    @pool.over_envs
    def both(level):
        solution = ENV.solve(level, discount)
        planned = listed.each_state(level, lambda state: FollowPartner.values(ENV, solution, state))
        return planned, listed.solve(level, discount), listed.each_state(level, unreachable)

    planned, iterated, never = both(draw(ENV, SMALL.training.override(alpha=0.5), 3, 20))
    np.testing.assert_allclose(
        np.where(never, 0, planned), np.where(never, 0, iterated), rtol=1e-5, atol=1e-5
    )


@partial(jax.jit, static_argnames=("env", "count"))
def draw(env, params, seed, count=300):
    return pool.draw(env, params, jax.random.key(seed), (count,))


@partial(jax.jit, static_argnames="env")
def facts(env, levels):
    """Whether each level is distinguishing, and whether it is solvable."""
    return tuple(
        jax.jit(pool.over_envs(fact))(levels) for fact in (env.distinguishing, env.is_solvable)
    )


def single(levels, index):
    return jax.tree.map(lambda leaf: leaf[..., index], levels)


@pytest.mark.parametrize(
    ("size", "layout"), by_day([(5, "blocks"), (6, "tree"), (5, "open")], (6, "tree"))
)
def test_levels_hold_what_is_promised(size, layout):
    task = registry.make("FollowPartner-v0", size=size, layout=layout)
    for params in (task.training, *task.shifts.values()):
        levels = draw(task.env, params, 7)
        order, visits = np.asarray(levels.order), np.asarray(levels.visits)
        assert len(set(map(tuple, order.T.tolist()))) == 6
        same = (visits == np.tile(order, (2, 1))).all(axis=0)
        apart, solvable = facts(task.env, levels)
        assert (np.asarray(apart) == ~same).all()
        if params.alpha == 1:
            assert not (visits == order[0]).any()
        elif params.partner == 0:
            assert same.all()
        else:
            assert 0.05 < same.mean() < 0.3
        absent = params.partner == ABSENT
        start = np.full_like(levels.start, -1) if absent else np.asarray(levels.start)
        assert (np.asarray(levels.partner) == start).all()
        assert solvable.all()
        for index in range(50):
            level = single(levels, index)
            cells = [tuple(cell) for cell in [level.start.tolist(), *level.beacons.tolist()]]
            assert len(set(cells)) == 4
            assert not any(level.walls[cell] for cell in cells)


def test_alpha_mixes_anti_experts_with_whoever_else_there_is():
    for kind in (0, RANDOM, ABSENT):
        levels = draw(ENV, SMALL.training.override(alpha=0.5, partner=kind), 9)
        wrong = ~(np.asarray(levels.visits) == np.asarray(levels.order)[0]).any(axis=0)
        assert 0.35 < wrong.mean() < 0.65
        seen = np.asarray(levels.partner)[0] >= 0
        assert seen[wrong].all()
        assert seen[~wrong].all() == (kind != ABSENT)


def test_whoever_steps_where_the_partner_stands_earns_all_or_loses_all():
    def follow(memory, state, seen):
        way = (state.partner - state.position).astype(jnp.float32)
        steps = jnp.array([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)], jnp.float32)
        goes = jnp.all(steps == way[None], axis=1)
        return jnp.where(goes, jnp.float32(0), -jnp.float32(jnp.inf)), memory

    policy = Policy(lambda level: None, follow)
    for params, total in ((SMALL.training, 6), (SMALL.shift("anti_expert"), -6)):
        levels = draw(ENV, params, 10, 100)
        most = 8 * ENV.episode_steps
        limitless = params.override(horizon=most)
        key, discount = jax.random.key(0), jnp.float32(0.99)
        played = rollouts.play(ENV, limitless, policy, levels, key, most, discount)
        assert (np.asarray(played.total[0]) == total).all()
        assert (np.asarray(played.total[1]) == 6).all()


def test_policies_are_sampled_not_computed():
    """Whoever sees the partner acts on where it is, which the listed states would not tell."""
    assert not exact.can_evaluate(ENV, uniform(ENV))


@pytest.mark.parametrize(
    ("level", "message"),
    [
        (EXPERT.replace("R", "."), "0 cells hold 'beacon_red', exactly 1"),
        (EXPERT.replace("#", "P"), "2 cells hold 'partner'"),
        (EXPERT.replace("@", "P"), "0 cells hold 'agent'"),
        (EXPERT.replace("#", "x"), "unknown character 'x' at row 3, column 4"),
        (EXPERT + "order: 0 1 1", "note 'order' is .0, 1, 1."),
        (EXPERT + "order: 0 1", "note 'order' has 2 numbers, 3"),
        (EXPERT + "visits: 0 1 1 2 1 2", "note 'visits' is .0, 1, 1, 2, 1, 2."),
        (EXPERT + "visits: 0 1 2 0 1 3", "note 'visits' is .0, 1, 2, 0, 1, 3."),
        ("@.R.G\n####.\nB....\n.....\n.....", "a beacon or a wall bars the way"),
        ("A.R..\n...G.\n.B..#\n...##\n...#P", "a beacon or a wall bars the way"),
    ],
)
def test_unfit_pictures_are_refused(level, message):
    with pytest.raises(ValueError, match=message):
        ENV.parse(level)


@pytest.mark.parametrize("bad", [{"partner": 3}, {"partner": 0.5}, {"alpha": 1.1}])
def test_unfit_parameters_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ENV.default_params.override(**bad)


def test_targets_are_where_goals_are_earned():
    beacons, partner = np.asarray(ENV.targets(ENV.parse(ANTI)))
    assert np.argwhere(beacons).tolist() == [[1, 1], [1, 3], [3, 1]]
    assert np.argwhere(partner).tolist() == [[1, 3], [3, 1]]


class Reference:
    """The task as its description tells it, in plain Python."""

    names = ("beacon_red", "beacon_green", "beacon_blue")
    moves = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))

    def __init__(self, level):
        self.walls = {tuple(cell) for cell in np.argwhere(level["walls"]).tolist()}
        self.size = len(level["walls"])
        self.beacons = [tuple(cell) for cell in level["beacons"].tolist()]
        self.agent, self.partner = (tuple(level[who].tolist()) for who in ("start", "partner"))
        self.to_come = [level["order"].tolist() * 2, level["visits"].tolist()]
        self.calls = level["visits"].tolist()
        self.away = {beacon: self.distances(beacon) for beacon in self.beacons}

    def next_cell(self, cell, action):
        row, col = (place + step for place, step in zip(cell, self.moves[action], strict=True))
        inside = 0 <= row < self.size and 0 <= col < self.size
        return (row, col) if inside and (row, col) not in self.walls else cell

    def distances(self, target):
        """Moves to a beacon from each cell, over no other beacon."""
        away, edge = {target: 0}, [target]
        while edge:
            cell = edge.pop(0)
            if cell in self.beacons and cell != target:
                continue
            for neighbour in (self.next_cell(cell, action) for action in range(5)):
                if neighbour not in away:
                    away[neighbour] = away[cell] + 1
                    edge.append(neighbour)
        return away

    def walk(self):
        if not self.calls or self.partner == (-1, -1):
            return
        target = self.beacons[self.calls[0]]
        barred = set(self.beacons) - {target} | {self.partner}
        options = [self.next_cell(self.partner, action) for action in (1, 2, 3, 4)]
        away = self.away[target]
        self.partner = min((cell for cell in options if cell not in barred), key=away.get)
        if self.partner == target:
            del self.calls[0]

    def step(self, action):
        before, self.agent = self.agent, self.next_cell(self.agent, action)
        self.walk()
        paid = [0, 0]
        if self.agent != before and self.agent in self.beacons:
            visited = self.beacons.index(self.agent)
            for goal, to_come in enumerate(self.to_come):
                if to_come:
                    paid[goal] = 1 if visited == to_come[0] else -1
                    del to_come[: paid[goal] == 1]
        return paid, not any(self.to_come)

    def layers(self):
        beacons = {name: [cell] for name, cell in zip(self.names, self.beacons, strict=True)}
        partner = [] if self.partner == (-1, -1) else [self.partner]
        return {"wall": self.walls, "agent": [self.agent], "partner": partner, **beacons}


@hypothesis.settings(max_examples=3)
@hypothesis.given(seed=st.integers(0, 2**20))
def test_steps_like_the_reference(differential, seed):
    differential(SMALL, Reference, 6_500, seed)


def test_steps_like_the_reference_without_a_partner(differential):
    task = dataclasses.replace(SMALL, training=SMALL.shift("absent"))
    differential(task, Reference, 1_000, 5)


@pytest.mark.nightly
def test_steps_like_the_reference_for_long(differential):
    differential(registry.make("FollowPartner-v0", size=7), Reference, 1_000_000)

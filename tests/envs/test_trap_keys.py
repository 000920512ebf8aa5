"""TrapKeys: its dynamics on small pictures, the levels and pairs of levels that it draws."""

from collections import deque

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.envs import trap_mazes
from gmbench.envs.trap_keys import Level
from gmbench.envs.trap_mazes import Wanted, deepest

from gmbench.core import checks, pool, registry
from gmbench.solve import transitions
from gmbench.solve.oracle import lookahead
from tests.marks import by_day

SMALL = registry.make("TrapKeys-v0", size=5)
ENV = SMALL.env
ACTIONS = {"s": 0, "u": 1, "d": 2, "l": 3, "r": 4}
DISCOUNT = jnp.float32(0.99)

LOCKED = """
    E.#..
    #D#T#
    .A.K.
    .###.
    .....
"""
TWO_KEYS = """
    ..A.E
    K##D#
    ..#.K
    #T#.#
    .....
"""

STEP = jax.jit(lambda state, action: ENV.step_env(None, state, action, ENV.default_params))
DEPTH = jax.jit(ENV.depth)
DEPTHS = jax.jit(pool.over_envs(ENV.depth))


def play(level, steps):
    """Return the state after a string of steps, what each goal was paid, and who has ended."""
    state = ENV.start(ENV.parse(level))
    paid, ended = [np.zeros(3)], [False]
    for step in steps:
        _, state, reward, terminated, info = STEP(state, jnp.int32(ACTIONS[step]))
        assert reward == info["goals"][0]
        paid.append(np.asarray(info["goals"]))
        ended.append(bool(terminated))
    return state, np.sum(paid, axis=0).tolist(), ended


def check(level, steps, at, exit=0, key=0, corner=0, held=False, ends=False):
    """After these steps the agent stands there, and goals were paid so much."""
    state, paid, ended = play(level, steps)
    assert tuple(state.position.tolist()) == at
    assert paid == [exit, key, corner]
    assert np.asarray(ENV.observation(state))[..., -1].all() == held
    assert np.asarray(ENV.observation(state))[..., -1].any() == held
    assert not any(ended[:-1])
    assert ended[-1] == ends


def test_keys_and_doors():
    check(LOCKED, "", (2, 1))
    check(LOCKED, "u", (2, 1))  # the door is closed
    check(LOCKED, "rr", (2, 3), key=1, held=True)
    check(LOCKED, "rrll", (2, 1), key=1, held=True)
    check(LOCKED, "rrllu", (1, 1), key=1)  # opening uses the key up
    check(LOCKED, "rrllud", (2, 1), key=1)
    check(LOCKED, "rrlludu", (1, 1), key=1)  # and the door stays open
    check(LOCKED, "rrlluul", (0, 0), exit=1, key=1, corner=1, ends=True)


def test_traps_hold_for_ever():
    check(LOCKED, "rru", (1, 3), key=1, held=True)
    check(LOCKED, "rruuudlr", (1, 3), key=1, held=True)
    check(TWO_KEYS, "ll", (0, 0), corner=1)
    check(TWO_KEYS, "lldr", (1, 0), key=1, corner=1, held=True)
    check(TWO_KEYS, "llddrd", (3, 1), key=1, corner=1, held=True)
    check(TWO_KEYS, "llddrdud", (3, 1), key=1, corner=1, held=True)


def test_only_the_nearest_key_counts_and_any_key_opens():
    check(TWO_KEYS, "rr", (0, 4), exit=1, ends=True)
    check(TWO_KEYS, "llll", (0, 0), corner=1)
    check(TWO_KEYS, "llrll", (0, 0), corner=1)  # a first visit is paid once
    check(TWO_KEYS, "lldurrrdd", (2, 3), key=1, corner=1)
    check(TWO_KEYS, "lldurrrddr", (2, 4), key=1, corner=1, held=True)


def test_the_nearest_key_is_listed_first():
    """By walking distance with the door closed, then in reading order."""
    assert ENV.parse(TWO_KEYS).keys.tolist() == [[1, 0], [2, 4]]
    near = TWO_KEYS.replace("K##D#", ".##D#").replace("..#.K", "K.#.K")
    assert ENV.parse(near).keys.tolist() == [[2, 0], [2, 4]]
    tie = "K.A.K\n.###.\n.###.\n.###D\n....E"
    assert ENV.parse(tie).keys.tolist() == [[0, 0], [0, 4]]
    later = "K..A.\n.###K\n.###.\n.###D\n....E"
    assert ENV.parse(later).keys.tolist() == [[1, 4], [0, 0]]


GOLDEN = [
    "E.#..\n#D#T#\n.A.K.\n.###.\n.....",
    "E.#..\n#D#T#\n..AK.\n.###.\n.....",
    "E.#..\n#D#T#\n...A.\n.###.\n.....",
    "E.#..\n#D#T#\n..A..\n.###.\n.....",
    "E.#..\n#D#T#\n.A...\n.###.\n.....",
    "E.#..\n#A#T#\n.....\n.###.\n.....",
    "EA#..\n#.#T#\n.....\n.###.\n.....",
    "e.#..\n#.#T#\n.....\n.###.\n.....",
]


def test_golden_trace():
    for count, frame in enumerate(GOLDEN):
        assert ENV.render_ascii(play(LOCKED, "rrlluul"[:count])[0]) == frame
    assert ENV.render_ascii(play(LOCKED, "rrud")[0]) == "E.#..\n#D#t#\n.....\n.###.\n....."
    assert ENV.render(play(LOCKED, "rr")[0], pixels=4).shape == (20, 20, 3)


def neighbours(cell):
    row, col = cell
    return ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1))


class Reference:
    """TrapKeys in plain Python."""

    def __init__(self, fields):
        def cells(mask):
            return {tuple(map(int, cell)) for cell in np.argwhere(mask)}

        self.floor, self.traps = cells(~fields["walls"]), cells(fields["traps"])
        self.agent, self.exit, self.door = (
            tuple(map(int, fields[name])) for name in ("start", "exit", "door")
        )
        self.keys = {tuple(map(int, key)) for key in fields["keys"] if key[0] >= 0}
        self.nearest = self.find_nearest()
        self.held, self.closed, self.seen_corner = 0, True, False

    def find_nearest(self):
        moves, queue = {self.agent: 0}, deque([self.agent])
        while queue:
            here = queue.popleft()
            for cell in neighbours(here):
                if cell in self.floor - self.traps - {self.exit, self.door} and cell not in moves:
                    moves[cell] = moves[here] + 1
                    queue.append(cell)
        return min(self.keys, key=lambda key: (moves.get(key, 10**6), key))

    def step(self, action):
        paid = [0, 0, 0]
        ahead = (self.agent, *neighbours(self.agent))[action]
        barred = ahead == self.door and self.closed and self.held == 0
        if self.agent not in self.traps and ahead in self.floor and not barred:
            self.agent = ahead
        if self.agent == self.door and self.closed:
            self.closed, self.held = False, self.held - 1
        if self.agent in self.keys:
            self.keys.remove(self.agent)
            self.held += 1
            paid[1] = int(self.agent == self.nearest)
        if self.agent == (0, 0) and not self.seen_corner:
            self.seen_corner, paid[2] = True, 1
        paid[0] = int(self.agent == self.exit)
        return paid, self.agent == self.exit

    def layers(self):
        size = ENV.size
        return {
            "wall": {(r, c) for r in range(size) for c in range(size)} - self.floor,
            "corner": {(0, 0)},
            "key": self.keys,
            "door": {self.door} if self.closed else set(),
            "trap": self.traps,
            "exit": {self.exit},
            "agent": {self.agent},
        }


@hypothesis.settings(max_examples=4)
@hypothesis.given(seed=st.integers(0, 2**20))
def test_steps_like_the_reference(differential, seed):
    differential(SMALL, Reference, 5_000, seed)


@pytest.mark.nightly
def test_steps_like_the_reference_for_long(differential):
    differential(SMALL, Reference, 1_000_000)


@jax.jit
def at_start(level):
    """What each goal is worth at the start."""
    return ENV.values(ENV.solve(level, DISCOUNT), ENV.start(level))


def test_depths_and_values_by_hand():
    """Two moves to the key, two back, three to the exit; the seventh move pays."""
    level = ENV.parse(LOCKED)
    assert DEPTH(level) == 7
    np.testing.assert_allclose(at_start(level), [0.99**6, 0.99, 0.99**6], rtol=1e-5)
    level = ENV.parse(TWO_KEYS)
    assert DEPTH(level) == 2
    np.testing.assert_allclose(at_start(level), [0.99, 0.99**2, 0.99], rtol=1e-5)
    assert DEPTH(level.replace(walls=level.walls.at[0, 3].set(True))) == -1


COUNT = 200
DRAW = jax.jit(
    lambda env, params, key: pool.draw(env, params, key, (COUNT,)), static_argnames="env"
)


@pytest.mark.nightly
def test_values_and_depth_are_those_of_the_table_of_all_states():
    """On drawn levels and on edited ones, which have loops; in every state that play reaches."""

    @jax.jit
    @pool.over_envs
    def both(level):
        table = ENV.table(level)
        steps = transitions.steps_from(table, ENV.index(ENV.start(level)))
        solution = ENV.solve(level, DISCOUNT)
        found = ENV.each_state(level, lambda state: ENV.values(solution, state))
        # Nothing is worth anything after the end, whatever stands in the table there.
        over = ENV.each_state(level, lambda state: ENV.is_terminated(state, ENV.default_params))
        there = (steps >= 0) & ~over
        expected = transitions.optimal_values(table, DISCOUNT)
        exits = jnp.min(jnp.where((steps >= 0) & over, steps, 2**20))
        return there, found, expected, ENV.depth(level), exits

    levels = DRAW(
        ENV, SMALL.training.override(alpha=0.5, depth_high=12, traps=4), jax.random.key(0)
    )
    for seed in range(4):
        there, found, expected, depth, exits = map(np.asarray, both(levels))
        there = np.broadcast_to(there[:, None], found.shape)
        np.testing.assert_allclose(found[there], expected[there], atol=1e-6)
        np.testing.assert_array_equal(depth, exits)
        keys = jax.random.split(jax.random.key(seed), COUNT)
        levels = jax.jit(pool.over_envs(ENV.mutate))(keys, levels)


@pytest.mark.parametrize("size", by_day([5, 6, 7], 6))
def test_levels_hold_what_is_promised(size):
    task = registry.make("TrapKeys-v0", size=size)
    env = task.env
    describe = jax.jit(pool.over_envs(lambda level: (env.depth(level), env.distinguishing(level))))
    for name, params in {"training": task.training, **task.shifts}.items():
        levels = DRAW(env, params, jax.random.key(1))
        depth, apart = map(np.asarray, describe(levels))
        assert depth.min() == params.depth_low
        assert depth.max() <= params.depth_high
        count = np.asarray(levels.traps).sum((0, 1))
        assert set(np.unique(count)) <= set(range(1, params.traps + 1))
        assert (count == params.traps).mean() > 0.15
        away = np.asarray(levels.exit).any(axis=0)
        assert (away == (params.alpha == 1)).all(), name
        assert (apart == away).all()


@pytest.mark.nightly
def test_the_nearest_key_is_on_the_way_in_training_and_off_it_after_the_shift():
    """A level without that key has no way out in training, and as short a one after the shift."""

    def passable(levels):
        return np.asarray(DEPTHS(levels.replace(keys=levels.keys.at[0].set(-1))))

    for params in (SMALL.training, SMALL.shift("far")):
        assert (passable(DRAW(ENV, params, jax.random.key(2))) == -1).all()
    for params in (SMALL.shift("deep"), SMALL.shift("apart")):
        levels = DRAW(ENV, params, jax.random.key(2))
        depth = DEPTHS(levels)
        np.testing.assert_array_equal(passable(levels), depth)
        nearest = (*levels.keys[0], jnp.arange(COUNT))
        walled = levels.replace(walls=levels.walls.at[nearest].set(True))
        np.testing.assert_array_equal(DEPTHS(walled), depth)


def test_the_way_that_looks_shortest_is_often_trapped():
    levels = DRAW(ENV, SMALL.shift("deep"), jax.random.key(3))
    looks = DEPTHS(levels.replace(traps=jnp.zeros_like(levels.traps)))
    assert (np.asarray(looks) < np.asarray(DEPTHS(levels))).mean() > 0.5


def test_a_depth_that_no_maze_has_by_chance_is_drawn_too():
    for alpha in (0, 1):
        most = deepest(5)
        params = SMALL.training.override(alpha=alpha, depth_low=most, depth_high=most, traps=4)
        levels = DRAW(ENV, params, jax.random.key(4))
        assert (np.asarray(DEPTHS(levels)) == most).all()


@pytest.mark.nightly
@pytest.mark.parametrize("size", by_day([5, 6, 13], 6))
def test_corridors_are_valid(size):
    """What is drawn where no draft is valid, before traps, at the least and greatest depths."""
    env = registry.make("TrapKeys-v0", size=size).env
    asked = [(depth, apart) for depth in (3, deepest(size)) for apart in (False, True)]

    @jax.jit
    @pool.over_envs
    def made(depth, apart):
        number = jnp.int16(depth)
        draft = trap_mazes.corridor(size, Wanted(apart, number, number, number, number, apart))
        places = draft.start, draft.exit, draft.door, draft.keys
        level = Level(draft.walls, jnp.zeros_like(draft.walls), *places)
        solvable = jnp.min(env.values(env.solve(level, DISCOUNT), env.start(level))) > 0
        return env.depth(level), env.distinguishing(level), solvable, env.reserved(level)

    depth, apart, solvable, reserved = made(*map(jnp.array, zip(*asked, strict=True)))
    assert list(zip(depth.tolist(), apart.tolist(), strict=True)) == asked
    assert solvable.all()
    assert not reserved.any()


def test_training_draws_no_maze_reserved_for_evaluation():
    env = registry.make("TrapKeys-v0", size=7).env
    for params in (env.default_params, env.default_params.override(alpha=1)):
        for reserved in (0, 1):
            levels = DRAW(env, params.override(reserved=reserved), jax.random.key(7))
            share = np.asarray(jax.jit(pool.over_envs(env.reserved))(levels)).mean()
            assert 0.05 < share < 0.25 if reserved else share == 0


def best_moves(env, level):
    """Return which first moves are optimal for the intended goal, and its value."""
    state, solution = env.start(level), env.solve(level, DISCOUNT)
    q = lookahead(env, env.default_params, solution, state, DISCOUNT)[0]
    return q > jnp.max(q) - 1e-5, env.values(solution, state)


@pytest.mark.nightly
@pytest.mark.parametrize(("size", "deepest_fork"), by_day([(6, 5), (7, 10)], (6, 5)))
def test_pairs_differ_in_one_wall_and_in_every_first_move(size, deepest_fork):
    env = registry.make("TrapKeys-v0", size=size).env
    for depth in (2, deepest_fork):

        @jax.jit
        @pool.over_envs
        def draw(key, depth=depth):
            one, two = env.pair(key, env.default_params, depth)
            return one, two, *(best_moves(env, level) for level in (one, two))

        one, two, (first, value), (second, other) = draw(jax.random.split(jax.random.key(5), 20))
        assert not (np.asarray(first) & np.asarray(second)).any()
        assert (np.asarray(first).sum(0) == 1).all()
        assert (np.asarray(second).sum(0) == 1).all()
        assert (np.asarray(value) > 0).all()
        assert (np.asarray(other) > 0).all()
        for name in ("traps", "start", "exit", "door", "keys"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
        closed = np.asarray(one.walls ^ two.walls)
        assert (closed.sum((0, 1)) == 1).all()
        fewest = jax.jit(pool.over_envs(env.steps_to_cells))(one)
        assert (np.asarray(fewest)[closed] == depth).all()


def test_impossible_depths_are_refused():
    params = SMALL.training
    with pytest.raises(checks.Refused, match=r"depth_high: 13 is more than 12, .* size 5"):
        params.override(depth_high=13)
    with pytest.raises(checks.Refused, match="depth_low: 7 is more than depth_high, 6"):
        params.override(depth_low=7)
    with pytest.raises(checks.Refused, match="depth_low: 2 is not"):
        params.override(depth_low=2)
    with pytest.raises(checks.Refused, match=r"pair at size 5: 5 is not a number in \[2, 4\]"):
        ENV.pair(jax.random.key(0), params, 5)
    with pytest.raises(checks.Refused, match="layout"):
        registry.make("TrapKeys-v0", size=5, layout="open")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("K", "."), "0 cells hold 'key', 1 to 2 are allowed"),
        (("....", "KKK."), "4 cells hold 'key'"),
        (("D", "."), "0 cells hold 'door', exactly 1"),
        (("A", "x"), "unknown character 'x'"),
        ((".A.K.", "DA#K."), "2 cells hold 'door'"),
        ((".A.K.", "#A#K."), "'exit' .row 0, column 0. cannot be earned"),
    ],
)
def test_unfit_pictures_are_refused(change, message):
    with pytest.raises(checks.Refused, match=message):
        ENV.parse(LOCKED.replace(*change, 1))


def test_edits_leave_no_trap_in_a_wall_or_under_an_object():
    level = ENV.parse(LOCKED)
    settled = ENV.settle(level.replace(traps=jnp.ones_like(level.traps)))
    floor = {(int(r), int(c)) for r, c in np.argwhere(~np.asarray(level.walls))}
    objects = {(0, 0), (1, 1), (2, 1), (2, 3)}
    assert {(int(r), int(c)) for r, c in np.argwhere(settled.traps)} == floor - objects

"""Route planning against value iteration over every situation, written out in plain Python."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.envs.keys_chests import KeysChests

from gmbench.core import pool
from gmbench.solve.oracle import lookahead
from gmbench.solve.routes import plan_routes, route_values, subsets

ENV = KeysChests(size=5, layout="blocks")
PARAMS = ENV.default_params
STEPS = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
GOALS = ("chests", "keys")

# The chest is the last one and bars the way to the second key: whoever enters it holding the first
# key ends the episode.
LAST_CHEST_BARS = """
    AKCK.
    #####
    .....
    .....
    .....
"""
# With no key in hand the chest is walked over, so the far key can be had first.
CHEST_BETWEEN_KEYS = """
    KACK.
    #####
    .....
    .....
    .....
"""
# The last chest lies next to the start, but opening it at once forgoes two keys further away.
DETOUR = """
    ..KAK
    .#.C.
    ..#.#
    K....
    .###.
"""
TWO_CHESTS_IN_A_ROW = """
    KACCK
    ####.
    .....
    .....
    K....
"""
HAND_MADE = [LAST_CHEST_BARS, CHEST_BETWEEN_KEYS, DETOUR, TWO_CHESTS_IN_A_ROW]


class Brute:
    """Every situation (cell, objects taken) that can come up, and V* by value iteration."""

    def __init__(self, text, discount):
        marks = {(r, c): mark for r, line in enumerate(text.split()) for c, mark in enumerate(line)}
        self.free = {cell for cell, mark in marks.items() if mark != "#"}
        self.keys = {cell for cell, mark in marks.items() if mark == "K"}
        self.chests = {cell for cell, mark in marks.items() if mark == "C"}
        (start,) = (cell for cell, mark in marks.items() if mark == "A")
        self.situations = [(start, frozenset())]
        index = {self.situations[0]: 0}
        after, pays = [], []
        for situation in self.situations:  # grows while it is read
            moved = [self.step(situation, step) for step in STEPS]
            for arrived, _ in moved:
                if arrived not in index:
                    index[arrived] = len(self.situations)
                    self.situations.append(arrived)
            after.append([index[arrived] for arrived, _ in moved])
            pays.append([paid for _, paid in moved])
        ended = np.array([self.ended(taken) for _, taken in self.situations])
        self.values = np.zeros((len(self.situations), 2))
        change = 1.0
        while change > 1e-10:
            later = np.where(ended[after][..., None], 0, self.values[after])
            best = np.max(np.array(pays) + discount * later, axis=1)
            best[ended] = 0
            change = np.abs(best - self.values).max()
            self.values = best

    def held(self, taken):
        return len(taken & self.keys) - len(taken & self.chests)

    def ended(self, taken):
        return self.chests <= taken or (self.keys <= taken and self.held(taken) == 0)

    def step(self, situation, step):
        (row, col), taken = situation
        cell = (row + step[0], col + step[1])
        if cell not in self.free:
            cell = (row, col)
        opens = cell in self.chests - taken and self.held(taken) > 0
        picks = cell in self.keys - taken
        return (cell, taken | {cell} if opens or picks else taken), (float(opens), float(picks))


def solved(text, discount):
    """V* of every situation that can come up, in the order of ``Brute.situations``."""
    level = ENV.parse(text)
    brute = Brute(text, discount)
    solution = solve(level, jnp.float32(discount))
    places = [tuple(place) for place in np.asarray(level.objects).tolist()]
    taken = np.array([[place in gone for place in places] for _, gone in brute.situations])
    keys, chests = (np.asarray(kind) & ~taken for kind in (level.keys, level.chests))
    held = [brute.held(gone) for _, gone in brute.situations]

    def at(position, keys, chests, held):
        state = ENV.start(level).replace(position=position, keys=keys, chests=chests, held=held)
        return ENV.values(solution, state)

    positions = jnp.array([cell for cell, _ in brute.situations], jnp.int8)
    values = jax.vmap(at)(positions, jnp.array(keys), jnp.array(chests), jnp.array(held, jnp.int8))
    return brute, np.asarray(values)


solve = jax.jit(ENV.solve)


@jax.jit
def draw(params, seed):
    return pool.draw(ENV, params, jax.random.key(seed), (4,))


@pytest.fixture(scope="module")
def drawn():
    """Small random levels as text: few and many keys, one to two of the scarcer kind."""
    texts = []
    for alpha, seed in ((0.0, 0), (1.0, 1)):
        levels = draw(PARAMS.override(alpha=alpha, n_max=2), seed)
        each = (jax.tree.map(lambda leaf, i=i: leaf[..., i], levels) for i in range(4))
        texts += [ENV.render_ascii(ENV.start(level)) for level in each]
    return texts


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("text", HAND_MADE)
def test_hand_made_levels_equal_value_iteration_in_every_situation(text, discount):
    brute, values = solved(text, discount)
    np.testing.assert_allclose(values, brute.values, atol=1e-5)


@pytest.mark.nightly
def test_random_levels_equal_value_iteration_in_every_situation(drawn):
    situations = 0
    for text in drawn:
        brute, values = solved(text, 0.95)
        situations += len(brute.situations)
        np.testing.assert_allclose(values, brute.values, atol=1e-5, err_msg=text)
    assert situations > 50 * len(drawn)


def check(text, goal, *steps):
    """The best route takes its objects at these steps (counted from 1)."""
    level = ENV.parse(text)
    values = ENV.values(solve(level, jnp.float32(0.9)), ENV.start(level))
    np.testing.assert_allclose(
        values[GOALS.index(goal)], sum(0.9 ** (step - 1) for step in steps), atol=1e-5
    )


def test_best_routes_by_hand():
    check(LAST_CHEST_BARS, "chests", 2)
    check(LAST_CHEST_BARS, "keys", 1)  # the second key lies behind the end of the episode
    check(CHEST_BETWEEN_KEYS, "chests", 3)
    check(CHEST_BETWEEN_KEYS, "keys", 1)  # a key at once is worth more than the far one later
    check(DETOUR, "chests", 3)
    check(DETOUR, "keys", 1, 3, 8)
    check(TWO_CHESTS_IN_A_ROW, "keys", 1, 5, 13)


@pytest.mark.parametrize("goal", [0, 1], ids=GOALS)
def test_one_step_lookahead_earns_the_value(goal, drawn):
    discount = jnp.float32(0.95)

    @jax.jit
    def act(solution, state):
        q = lookahead(ENV, PARAMS, solution, state, discount)[goal]
        _, after, _, ended, info = ENV.step_env(None, state, jnp.argmax(q), PARAMS)
        return after, info["goals"][goal], ended

    for text in [*HAND_MADE, *drawn]:
        level = ENV.parse(text)
        solution, state = solve(level, discount), ENV.start(level)
        promised = float(ENV.values(solution, state)[goal])
        earned, weight, ended = 0.0, 1.0, False
        while not ended and weight > 1e-3:
            state, paid, ended = act(solution, state)
            earned += weight * float(paid)
            weight *= 0.95
        assert earned == pytest.approx(promised, abs=1e-3 if weight <= 1e-3 else 1e-5), text


def test_without_walls_the_best_order_is_the_best_permutation():
    objects = [(0, 0), (0, 4), (3, 1), (4, 4), (2, 2)]
    takes = ~subsets(5)
    routes = jax.jit(plan_routes)(
        jnp.zeros((5, 5), bool),
        jnp.array(objects, jnp.int8),
        jnp.array(takes),
        jnp.array([[1, 1, 1, 1, 1], [1, 5, 0, 2, 0]], jnp.float32),
        jnp.float32(0.9),
    )

    def earned(order, pays, start):
        sum_, moves, here = 0.0, 0, start
        for number in order:
            there = objects[number]
            moves += abs(here[0] - there[0]) + abs(here[1] - there[1])
            sum_ += pays[number] * 0.9 ** (moves - 1)
            here = there
        return sum_

    for start in [(4, 0), (1, 3)]:
        orders = list(itertools.permutations(range(5)))
        expected = [
            max(earned(order, pays, start) for order in orders)
            for pays in ([1, 1, 1, 1, 1], [1, 5, 0, 2, 0])
        ]
        values = route_values(routes, jnp.zeros(5, bool), jnp.array(start, jnp.int8))
        np.testing.assert_allclose(values, expected, atol=1e-5)


def test_a_batch_is_solved_like_its_levels_one_by_one():
    levels = draw(PARAMS, 3)
    batch = jax.jit(pool.over_envs(partial(ENV.solve, discount=jnp.float32(0.9))))(levels)
    for index in range(4):
        one = solve(jax.tree.map(lambda leaf, i=index: leaf[..., i], levels), jnp.float32(0.9))
        np.testing.assert_allclose(batch.approach[..., index], one.approach, atol=1e-6)
        np.testing.assert_allclose(batch.arriving[..., index], one.arriving, atol=1e-6)

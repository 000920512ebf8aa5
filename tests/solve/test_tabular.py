"""Listing all states gives the values that the solver of "reach a cell" tasks gives."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.envs.cheese_corner import CheeseCorner

from gmbench.core import pool, registry
from gmbench.core.policy import Policy
from gmbench.measure import exact
from gmbench.solve import tabular
from gmbench.solve.reach import distances
from gmbench.solve.transitions import PRECISION
from gmbench.solve.visits import visits

LEVELS = 16
DISCOUNT = jnp.float32(0.97)


@dataclasses.dataclass(frozen=True)
class Listed(tabular.TabularEnvironment, CheeseCorner):
    """CheeseCorner with its states listed; a mode is the set of goals reached."""

    @property
    def modes(self):
        return 4

    def mode(self, state):
        return state.reached[0].astype(jnp.int32) + 2 * state.reached[1].astype(jnp.int32)

    def at(self, level, mode, position):
        state = CheeseCorner.at(self, level, position)
        return state.replace(reached=jnp.stack([mode % 2 == 1, mode >= 2]))

    def start(self, level):
        return CheeseCorner.at(self, level, level.start)


BY_CELL = registry.make("CheeseCorner-v0", size=6).env
LISTED = Listed(size=6)


@pytest.fixture(scope="module")
def levels():
    params = LISTED.default_params.override(alpha=0.5)
    return jax.jit(lambda key: pool.draw(BY_CELL, params, key, (LEVELS,)))(jax.random.key(3))


def on_levels(function):
    return jax.jit(jax.vmap(function, in_axes=-1, out_axes=-1))


def test_optimal_values_agree(levels):
    def both(level):
        return tuple(
            env.values(env.solve(level, DISCOUNT), env.start(level)) for env in (BY_CELL, LISTED)
        )

    by_cell, listed = on_levels(both)(levels)
    np.testing.assert_allclose(listed, by_cell, rtol=1e-6)
    assert np.all(by_cell > 0)


def test_policy_values_agree(levels):
    """Under a policy that depends on the cell, and with further cells as goals."""

    def both(level):
        cells = jnp.zeros((2, 6, 6), bool).at[0, 5, 5].set(True).at[1, 0, 3].set(True)

        def act(state):
            row, col = state.position.astype(jnp.int32)
            return jax.nn.softmax(jnp.sin(jnp.arange(5.0) * (row + 3 * col).astype(jnp.float32)))

        return tuple(
            env.policy_values(env.each_state(level, act), level, cells, DISCOUNT)
            for env in (BY_CELL, LISTED)
        )

    by_cell, listed = on_levels(both)(levels)
    assert by_cell.shape == (4, LEVELS)
    # Who starts on the cell can enter it only when states are listed.
    away = np.ones((4, LEVELS), bool)
    for goal, cell in ((2, (5, 5)), (3, (0, 3))):
        away[goal] = [tuple(start) != cell for start in np.asarray(levels.start).T.tolist()]
    np.testing.assert_allclose(listed[away], by_cell[away], atol=1e-4)


def test_what_play_cannot_come_to_matters_to_no_value(levels):
    """States that are not reached are left out, whatever a policy would do in them."""

    def both(level):
        reached = LISTED.reachable(level)

        def act(state):
            row, col = state.position.astype(jnp.int32)
            return jax.nn.softmax(jnp.sin(jnp.arange(5.0) * (row + 3 * col).astype(jnp.float32)))

        cells = jnp.zeros((1, 6, 6), bool).at[0, 5, 5].set(True)
        policy = LISTED.each_state(level, act)
        confused = jnp.where(reached[:, None], policy, jnp.nan)
        return reached, tuple(
            LISTED.policy_values(acts, level, cells, DISCOUNT, *known)
            for acts, known in ((policy, ()), (confused, (reached,)))
        )

    reached, (whole, short) = on_levels(both)(levels)
    assert 5 < reached.sum(axis=0).min() < reached.sum(axis=0).max() < LISTED.states // 2
    np.testing.assert_allclose(short, whole, atol=PRECISION / (1 - float(DISCOUNT)))


def test_a_policy_is_asked_in_what_is_reached_alone(levels):
    env = LISTED

    def act(memory, state, seen):
        row, col = state.position.astype(jnp.int32)
        preferred = jnp.sin(jnp.arange(5.0) * (row + 3 * col + memory).astype(jnp.float32))
        return jax.nn.log_softmax(preferred), memory

    policy = Policy(lambda level: level.cheese[0].astype(jnp.int32), act)

    def in_each(level):
        return env.each_state(
            level, lambda state: jnp.exp(act(policy.begin(level), state, None)[0])
        )

    reached = exact.reachable(env, levels)
    found = jax.jit(functools.partial(exact.acts, env, policy))(levels, reached)
    whole = on_levels(in_each)(levels)
    np.testing.assert_allclose(found, jnp.where(reached[:, None], whole, 0), rtol=1e-6)


def test_steps_to_cells_are_distances(levels):
    """By ways that do not lead over the cheese, which ends the episode, but may lead onto it."""

    def both(level):
        ended = jnp.zeros((6, 6), bool).at[level.cheese[0], level.cheese[1]].set(True)
        start = jnp.zeros((6, 6), bool).at[level.start[0], level.start[1]].set(True)
        around, onto = distances(~level.walls & ~ended, start), distances(~level.walls, start)
        return jnp.where(ended, onto, around), LISTED.steps_to_cells(level)

    walked, listed = on_levels(both)(levels)
    np.testing.assert_array_equal(listed, walked)


def test_values_of_entering_a_cell_are_powers_of_the_discount(levels):
    def values(level):
        cells = jnp.eye(36, dtype=bool).reshape(36, 6, 6)
        return LISTED.cell_values(level, cells, DISCOUNT), LISTED.steps_to_cells(level).reshape(-1)

    found, steps = on_levels(values)(levels)
    expected = np.where(steps < 0, 0, np.float32(DISCOUNT) ** np.maximum(np.asarray(steps) - 1, 0))
    # To enter the cell one starts on takes one step: staying.
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def by_cell(state):
    """A policy that depends on the cell."""
    row, col = state.position.astype(jnp.int32)
    return jax.nn.softmax(jnp.sin(jnp.arange(5.0) * (row + 3 * col).astype(jnp.float32)))


def test_soft_values_agree(levels):
    """Newton's method on the grid, value iteration on the list."""
    betas = jnp.array([1.0, 10.0, 100.0, 1000.0], jnp.float32)

    def both(level):
        return tuple(env.soft_values(level, DISCOUNT, betas) for env in (BY_CELL, LISTED))

    on_grid, listed = on_levels(both)(levels)
    assert on_grid.shape == (4, 2, LEVELS)
    np.testing.assert_allclose(listed, on_grid, atol=1e-4)


def test_visits_agree_and_are_those_of_play(levels):
    """Before the cheese or the corner is touched; against powers of the chain, in plain numpy."""
    params = LISTED.default_params

    def both(level):
        return tuple(visits(env, params, by_cell, level, DISCOUNT) for env in (BY_CELL, LISTED))

    on_grid, listed = on_levels(both)(levels)
    per_mode = np.asarray(listed.expected).reshape(4, 36, LEVELS)
    np.testing.assert_allclose(per_mode[0], on_grid.expected, atol=1e-4)
    np.testing.assert_array_equal(per_mode[1:], 0)
    here = np.asarray(listed.expected) > 0
    np.testing.assert_allclose(
        np.moveaxis(np.asarray(listed.q), -1, 1)[here],
        np.moveaxis(np.asarray(on_grid.q), -1, 1)[per_mode[0] > 0],
        atol=1e-6,
    )
    moves = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
    for place in range(LEVELS):
        wall, start, cheese = (
            np.asarray(leaf)[..., place] for leaf in (levels.walls, levels.start, levels.cheese)
        )
        chain = np.zeros((36, 36))
        for cell in range(36):
            row, col = divmod(cell, 6)
            if (row, col) in ((0, 0), tuple(cheese)):
                continue
            chances = np.exp(np.sin(np.arange(5.0) * (row + 3 * col)))
            for chance, (down, right) in zip(chances / chances.sum(), moves, strict=True):
                to = row + down, col + right
                blocked = not (0 <= to[0] < 6 and 0 <= to[1] < 6) or wall[to]
                chain[cell, cell if blocked else to[0] * 6 + to[1]] += chance
        now, total = np.zeros(36), np.zeros(36)
        now[start[0] * 6 + start[1]] = 1
        for _ in range(int(params.horizon)):
            total, now = total + now, now @ chain
        touched = [0, cheese[0] * 6 + cheese[1]]
        total[touched] = 0
        np.testing.assert_allclose(on_grid.expected[:, place], total, atol=1e-3)

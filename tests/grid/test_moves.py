"""Moves, look-ups and planes against plain Python, alone and under every kind of ``vmap``."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.envs.cheese_corner import CheeseCorner

from gmbench.grid import moves

SHAPES = [(5, 5), (13, 13), (4, 7)]
COUNT = 40
STEPS = {"stay": (0, 0), "up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}


def moved(walls, position, action):
    """The move, in plain Python."""
    row, col = (p + d for p, d in zip(position, STEPS[moves.ACTIONS[action]], strict=True))
    inside = 0 <= row < len(walls) and 0 <= col < len(walls[0])
    return [row, col] if inside and not walls[row][col] else list(position)


def draw(shape, seed=0):
    """Random masks, positions and actions, the batch leading."""
    random = np.random.default_rng(seed)
    masks = random.random((COUNT, *shape)) < 0.4
    positions = random.integers((0, 0), shape, (COUNT, 2)).astype(np.int8)
    actions = np.arange(COUNT, dtype=np.int32) % len(moves.ACTIONS)
    return masks, positions, actions


def trailing(array):
    return jnp.moveaxis(jnp.asarray(array), 0, -1)


def everyway(function, *batches):
    """Results of single calls, having checked that both batch axes give the same."""
    one = jax.jit(function)
    single = np.stack([one(*map(jnp.asarray, items)) for items in zip(*batches, strict=True)])
    leading = jax.jit(jax.vmap(function))(*map(jnp.asarray, batches))
    last = jax.jit(jax.vmap(function, in_axes=-1, out_axes=-1))(*map(trailing, batches))
    axes = (-1, *(0,) * (len(batches) - 1))
    mixed = jax.jit(jax.vmap(function, in_axes=axes, out_axes=-1))(
        trailing(batches[0]), *map(jnp.asarray, batches[1:])
    )
    for other in (leading, jnp.moveaxis(last, -1, 0), jnp.moveaxis(mixed, -1, 0)):
        assert other.dtype == single.dtype
        assert np.array_equal(other, single)
    return single


@pytest.mark.parametrize("shape", SHAPES)
def test_move(shape):
    masks, positions, actions = draw(shape)
    got = everyway(moves.move, masks, positions, actions)
    assert got.dtype == np.int8
    want = [moved(*item) for item in zip(masks, positions.tolist(), actions, strict=True)]
    assert got.tolist() == want


def test_names_and_steps_agree():
    assert tuple(STEPS) == moves.ACTIONS
    assert tuple(STEPS.values()) == moves.STEPS


@pytest.mark.parametrize("shape", SHAPES)
def test_lookup(shape):
    masks, positions, _ = draw(shape, 1)
    got = everyway(moves.lookup, masks, positions)
    assert got.tolist() == [
        mask[row, col] for mask, (row, col) in zip(masks, positions, strict=True)
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_at(shape):
    _, positions, _ = draw(shape, 2)
    got = everyway(lambda position: moves.at(position, shape), positions)
    assert [np.argwhere(plane).tolist() for plane in got] == [[p] for p in positions.tolist()]


@pytest.mark.parametrize("shape", SHAPES)
def test_planes(shape):
    masks, positions, _ = draw(shape, 3)
    others = positions[::-1].copy()
    got = everyway(moves.planes, masks, positions, ~masks, others)
    assert got.shape == (COUNT, *shape, 4)
    assert np.array_equal(got[..., 0], masks)
    assert np.array_equal(got[..., 2], ~masks)
    for channel, cells in ((1, positions), (3, others)):
        assert [np.argwhere(p).tolist() for p in got[..., channel]] == [[c] for c in cells.tolist()]


def test_planes_that_begin_with_a_position():
    masks, positions, _ = draw((4, 7), 4)
    got = everyway(moves.planes, positions, masks)
    assert np.array_equal(got[..., 1], masks)


@pytest.mark.parametrize("axis", [0, -1])
def test_nested_vmap(axis):
    """Every action, from every one of some cells, on every one of some grids."""
    masks, positions, _ = draw((5, 5), 5)
    masks, positions = masks[:6], positions[:7]
    grids, cells = (jnp.moveaxis(jnp.asarray(items), 0, axis) for items in (masks, positions))
    by_action = jax.vmap(moves.move, in_axes=(None, None, 0), out_axes=axis)
    by_cell = jax.vmap(by_action, in_axes=(None, axis, None), out_axes=axis)
    by_grid = jax.vmap(by_cell, in_axes=(axis, None, None), out_axes=axis)
    got = jax.jit(by_grid)(grids, cells, jnp.arange(5, dtype=jnp.int32))
    if axis == -1:
        got = jnp.transpose(got)
        assert got.shape == (6, 7, 5, 2)
    want = [[[moved(m, p, a) for a in range(5)] for p in positions.tolist()] for m in masks]
    assert got.tolist() == want


def test_same():
    a = jnp.array([2, 3], jnp.int8)
    assert moves.same(a, a)
    for other in ([2, 2], [3, 3], [3, 2]):
        assert not moves.same(a, jnp.array(other, jnp.int8))


# ---- one line a walk ---------------------------------------------------------------------------

ENV = CheeseCorner(size=5, layout="open")
LETTERS = {name[0]: number for number, name in enumerate(moves.ACTIONS)}
STEP = jax.jit(lambda state, action: ENV.step_env(None, state, action, ENV.default_params))
LEVEL = """
    ...#.
    A#...
    .#.#.
    ...#C
    .#...
"""


def check(walk, position, cheese=0, corner=0):
    """After a walk the agent stands here, and so often each goal has paid."""
    state = ENV.start(ENV.parse(LEVEL))
    paid = np.zeros(2)
    ended = False
    for letter in walk:
        assert not ended
        _, state, reward, ended, info = STEP(state, jnp.int32(LETTERS[letter]))
        assert reward == info["goals"][0]
        paid += np.asarray(info["goals"])
    assert tuple(state.position.tolist()) == position
    assert paid.tolist() == [cheese, corner]
    assert ended == bool(cheese)
    assert state.time == len(walk)


def test_walks():
    check("", (1, 0))
    check("s", (1, 0))
    check("r", (1, 0))  # a wall
    check("l", (1, 0))  # the border
    check("ddd", (4, 0))
    check("dddd", (4, 0))
    check("dddr", (4, 0))
    check("u", (0, 0), corner=1)
    check("uu", (0, 0), corner=1)
    check("udu", (0, 0), corner=1)  # the second visit pays nothing
    check("urrr", (0, 2), corner=1)
    check("urrdrrd", (2, 4), corner=1)
    check("urrdrrdd", (3, 4), cheese=1, corner=1)
    check("ddrrdrru", (3, 4), cheese=1)
    check("ddrruurrdd", (3, 4), cheese=1)
    check("ddrruurrul", (0, 4))

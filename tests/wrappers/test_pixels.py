"""Pixels show the task: what ``render`` draws, in the colours it is named after, all told apart."""

import colorsys
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import pool, registry
from gmbench.grid import shapes, sprites
from gmbench.wrappers import wrap
from gmbench.wrappers.pixels import SCALES, _painter
from tests.marks import by_day

COLOURS = {
    "red": shapes.RED,
    "yellow": shapes.YELLOW,
    "green": shapes.GREEN,
    "blue": shapes.BLUE,
    "navy": (26, 34, 96),
    "white": shapes.WHITE,
}
every_scale = pytest.mark.parametrize("scale", SCALES)
every_task = pytest.mark.parametrize("task_id", registry.task_ids())
by_playing = pytest.mark.parametrize(
    "task_id", by_day(registry.task_ids(), "ColorShape-v0", "CoinRun-v0")
)


@functools.cache
def shown(task_id, view="planes"):
    return wrap(registry.make(task_id, size=registry.sizes(task_id).tiny), view)


@functools.partial(jax.jit, static_argnums=(0, 1))
def painted(env, scale, planes):
    return _painter(env, scale)(planes)


def cells_of(image, scale):
    """Cut an image of one row into its cells."""
    return np.asarray(image).reshape(scale, -1, scale, 3).swapaxes(0, 1)


def channels_of(env, things):
    """Return which channels are set where these things are."""
    names = {name for thing in things for name in env.parts.get(thing, (thing,))}
    return np.array([name in names for name in env.observed])


def stacks_of(env):
    """Return what may stand on a cell, as channels: all that the legend has, and all else."""
    seen = [
        [
            thing
            for bit, thing in enumerate(env.things)
            if code >> bit & 1 and not hidden(env, thing)
        ]
        for code in env._codes()
    ]
    return np.unique([channels_of(env, things) for things in seen], axis=0)


def hidden(env, thing):
    return not set(env.parts.get(thing, (thing,))) <= set(env.observed)


def marks_of(env):
    """Return the channels that are no place, as whoever draws them would list them."""
    drawn = {name for thing in env.things for name in env.parts.get(thing, (thing,))}
    return np.array([name not in drawn and name != "outside" for name in env.observed])


def states_of(task, steps=8, count=32):
    """Play at random, and return a batch of states, axis last: those of the last few steps."""
    env = task.env
    params = task.training
    if hasattr(params, "alpha"):
        params = params.override(alpha=0.5)

    @jax.jit
    def play(key):
        key_levels, key_play = jax.random.split(key)
        states = pool.begin(env, pool.draw(env, params, key_levels, (count,)))

        def step(states, key):
            actions = jax.random.randint(key, (count,), 0, env.num_actions, jnp.int8)
            return pool.step(env, params, states, actions).state, states

        _, played = jax.lax.scan(step, states, jax.random.split(key_play, steps))
        return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -1), played)

    played = play(jax.random.key(7))
    return jax.tree.map(lambda leaf: leaf.reshape(*leaf.shape[:-2], count * steps), played)


def named(task_ids):
    """Return the things of each task whose name ends with a colour."""
    for task_id in task_ids:
        for thing in shown(task_id).env.things:
            if thing.rpartition("_")[2] in COLOURS:
                yield task_id, thing, thing.rpartition("_")[2]


@every_scale
@pytest.mark.parametrize(("task_id", "thing", "colour"), list(named(registry.task_ids())))
def test_each_named_colour_is_that_colour(task_id, thing, colour, scale):
    env = shown(task_id).env
    cell = np.asarray(painted(env, scale, channels_of(env, [thing])[None, None]))
    assert is_like(cell.reshape(-1, 3), colour), cell


def is_like(pixels, colour):
    """Whether the purest of some pixels has the hue of a colour, or is as white."""
    pixels = pixels.astype(int)
    if colour == "white":
        return (pixels.min(axis=1) > 245).any()
    purest = pixels[np.ptp(pixels, axis=1).argmax()]
    hue, wanted = (colorsys.rgb_to_hsv(*(np.array(c) / 255))[0] for c in (purest, COLOURS[colour]))
    return np.ptp(purest) > 50 and abs((hue - wanted + 0.5) % 1 - 0.5) < 20 / 360


def colour_shape(scale, first_row):
    """Return the first and the last cell of the first row."""
    env = shown("ColorShape-v0", f"pixels{scale}").env
    level = env.parse("\n".join([first_row, *["....."] * 3, "A...."]))
    image = np.asarray(env.observation(env.start(level)))
    return image[:scale, :scale], image[:scale, -scale:]


def test_at_one_pixel_lines_have_their_own_colour_and_a_gem_another_yellow():
    red, gem = colour_shape(1, "R...G")
    yellow, _ = colour_shape(1, "Y....")
    assert tuple(red[0, 0]) == shapes.RED
    assert tuple(yellow[0, 0]) == shapes.YELLOW
    assert is_like(gem[0], "yellow")
    assert (gem != yellow).any()


@pytest.mark.parametrize("scale", [4, 8])
@pytest.mark.parametrize("row", ["R...G", "Y...."])
def test_at_more_pixels_a_line_is_a_diagonal_and_a_gem_fills_its_cell(scale, row):
    floor = sprites.draw("floor", scale)[..., :3].astype(int)
    line, gem = (np.abs(cell - floor).max(axis=-1) > 40 for cell in colour_shape(scale, row))
    inner = np.s_[scale // 4 : -(scale // 4)]
    assert line[:, ::-1].diagonal()[inner].all()
    assert not line.diagonal()[[0, -1]].any()
    assert line.mean() < 0.5
    assert gem[inner, inner].all() == (row[-1] == "G")


@every_scale
def test_outside_a_window_all_is_dark(scale):
    env = shown("ColorShape-v0", f"window5+pixels{scale}").env
    state = env.start(env.parse("\n".join(["A...Y", *["....."] * 4])))
    image = np.asarray(env.observation(state))
    beyond, within = image[: 2 * scale], image[2 * scale :, 2 * scale :]
    assert (beyond == sprites.draw("outside", 1)[0, 0, :3]).all()
    assert (within == np.asarray(env.render(state, scale))[: 3 * scale, : 3 * scale]).all()


@every_scale
@every_task
def test_whatever_stands_on_a_cell_looks_different(task_id, scale):
    env = shown(task_id).env
    stacks = stacks_of(env)
    cells = cells_of(painted(env, scale, stacks[None]), scale)
    for one, other in itertools.combinations(range(len(stacks)), 2):
        assert (cells[one] != cells[other]).any(), (env.observed, stacks[one], stacks[other])


@every_scale
@every_task
def test_marks_look_different_on_whatever_they_are(task_id, scale):
    env = shown(task_id, "cue1+last" if task_id == "CheeseCorner-v0" else "last").env
    stacks, marks = stacks_of(env), np.flatnonzero(marks_of(env))
    each = np.zeros((len(marks) + 1, len(marks) + 1, len(env.observed)), bool)
    for row, mark in enumerate(marks):
        each[row, :, mark] = each[:, row, mark] = True
    for stack in stacks:
        image = np.asarray(painted(env, scale, stack | each))
        for row, cells in zip(each, image.reshape(len(each), scale, -1, scale * 3), strict=True):
            looks = cells.swapaxes(0, 1).reshape(len(each), -1)
            assert number(looks.T) == number((stack | row).T), stack


@pytest.mark.parametrize("view", ["planes", "last+window5"])
@by_playing
def test_states_that_are_observed_to_differ_differ_in_pixels(task_id, view):
    task = shown(task_id, view)
    states = states_of(task)
    planes = jax.jit(pool.over_envs(task.env.observation))(states)
    seen = np.asarray(planes).reshape(-1, planes.shape[-1])
    for scale in SCALES:
        paint = functools.partial(painted, task.env, scale)
        image = np.asarray(jax.jit(pool.over_envs(paint))(planes))
        pictures = image.reshape(-1, image.shape[-1])
        both = np.concatenate([seen.astype(np.uint8), pictures])
        assert number(seen) == number(pictures) == number(both)
    assert number(seen) > 40


def number(columns):
    return len(np.unique(columns, axis=1).T)


@pytest.mark.parametrize("window", [0, 5])
@every_scale
@by_playing
def test_pixels_are_what_render_draws(task_id, scale, window):
    """Less what is hidden, and less the marks, which no picture for people shows."""
    task = shown(task_id)
    env = shown(task_id, f"window{window}").env if window else task.env
    states = states_of(task, steps=3, count=4)
    draw, observe = pictures_of(task.env, env, scale)
    for which in range(4):
        state = jax.tree.map(lambda leaf, which=which: leaf[..., 3 * which + 2], states)
        planes = np.asarray(observe(state)) & ~marks_of(env)
        image = np.asarray(painted(env, scale, planes))
        drawn, out = about(task.env, env, state, np.asarray(draw(state)), scale)
        assert image.shape == drawn.shape
        assert (image[~out] == drawn[~out]).all()
        assert out.mean() < 1


def pictures_of(task_env, env, scale):
    """Return, compiled, what draws a state for people, and what is observed of it."""
    return jax.jit(lambda state: task_env.render(state, scale)), jax.jit(env.observation)


def about(task_env, env, state, drawn, scale):
    """Return the part of a picture that is seen, and where there is nothing to compare."""
    away = np.zeros(task_env.shape, bool)
    for number, thing in enumerate(task_env.things):
        if hidden(task_env, thing):
            away |= np.asarray(task_env.picture(state))[:, :, number]
    far = max(task_env.shape)
    drawn = np.pad(drawn, ((far * scale,) * 2, (far * scale,) * 2, (0, 0)))
    away = np.kron(np.pad(away, far, constant_values=True), np.ones((scale, scale), bool))
    rows, cols, _ = env.observation_shape
    row, col = (int(place) for place in state.position)
    centre = np.asarray(env.centre(state)) if env is task_env else np.array([rows, cols]) // 2
    top, left = (far + np.array([row, col]) - centre) * scale
    part = np.s_[top : top + rows * scale, left : left + cols * scale]
    return drawn[part], away[part]

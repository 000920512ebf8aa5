"""Sprites: each is drawn as promised, and no two look alike at any size in use."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import registry
from gmbench.grid.sprites import MAX_PIXELS, atlas, draw, paint

SPRITES = tuple(registry.SPRITES.names())

GROUND = ("floor", "wall", "lava", "outside")
TINTS = ("watch", "white", "yellow", "red", "navy")
"""Laid over or under whatever else is on a cell."""
OBJECTS = tuple(name for name in SPRITES if name not in (*GROUND, *TINTS))

# Machado, Oliveira & Fernandes (2009), severity 1: what a dichromat sees, in linear RGB.
PROTANOPIA = (
    (0.152286, 1.052583, -0.204868),
    (0.114503, 0.786281, 0.099216),
    (-0.003882, -0.048116, 1.051998),
)
DEUTERANOPIA = (
    (0.367322, 0.860646, -0.227968),
    (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)


def tiles_of(names, pixels):
    return atlas(tuple((name,) for name in names), pixels).astype(np.float64)


def pairs(names, tiles):
    return {
        (names[i], names[j]): np.abs(tiles[i] - tiles[j])
        for i, j in itertools.combinations(range(len(names)), 2)
    }


def seen_with(matrix, rgb):
    linear = np.clip((rgb / 255) ** 2.2 @ np.asarray(matrix).T, 0, 1)
    return 255 * linear ** (1 / 2.2)


def test_the_tasks_find_their_sprites():
    wanted = """floor wall agent cheese dish key chest corner coin gem_yellow line_red line_yellow
        lava exit button camera shield monster apple tree beacon_red beacon_green beacon_blue
        partner saw door trap"""
    assert set(wanted.split()) <= set(SPRITES)


@pytest.mark.parametrize("pixels", [1, 3, 4, 16, 33, MAX_PIXELS])
def test_draw_gives_square_rgba_that_callers_cannot_spoil(pixels):
    sprite = draw("cheese", pixels)
    assert sprite.shape == (pixels, pixels, 4)
    assert sprite.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        sprite[0, 0] = 0


@pytest.mark.parametrize("pixels", [1, 4, 32])
@pytest.mark.parametrize("name", GROUND)
def test_ground_is_opaque(name, pixels):
    assert (draw(name, pixels)[..., 3] == 255).all()


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_leave_the_floor_visible_around_them(name):
    alpha = draw(name, 32)[..., 3]
    assert (alpha[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).all()
    assert 0.1 < (alpha > 64).mean() < 0.9


@pytest.mark.parametrize("name", SPRITES)
def test_drawing_again_gives_the_same_bytes(name):
    assert np.array_equal(draw.__wrapped__(name, 16), draw(name, 16))


@pytest.mark.parametrize("name", SPRITES)
def test_every_size_shows_the_same_drawing(name):
    small = tiles_of([name], 16)[0]
    large = tiles_of([name], 64)[0].reshape(16, 4, 16, 4, 3).mean((1, 3))
    assert np.abs(small - large).mean() < 3


@pytest.mark.parametrize(
    ("pixels", "least"),
    [pytest.param(p, d, id=f"{p} pixels") for p, d in [(32, 8), (16, 8), (8, 8), (4, 8), (1, 8)]],
)
def test_no_two_sprites_look_alike(pixels, least):
    names = tuple(SPRITES)
    for pair, difference in pairs(names, tiles_of(names, pixels)).items():
        assert difference.mean() > least, pair


@pytest.mark.parametrize("matrix", [PROTANOPIA, DEUTERANOPIA], ids=["protanopia", "deuteranopia"])
@pytest.mark.parametrize("pixels", [16, 4, 1])
@pytest.mark.parametrize(
    "names",
    [
        ("floor", "wall", "agent", "cheese", "dish", "corner"),
        ("floor", "wall", "agent", "key", "chest"),
        ("cheese", "dish", "key", "chest"),
        ("line_red", "line_yellow", "gem_yellow"),
        ("beacon_red", "beacon_green", "beacon_blue"),
    ],
    ids=" ".join,
)
def test_sprites_of_one_task_stay_apart_without_red_or_green(names, pixels, matrix):
    seen = seen_with(matrix, tiles_of(names, pixels))
    for pair, difference in pairs(names, seen).items():
        assert difference.mean() > 8, pair


@pytest.mark.parametrize(
    ("typo", "nearest"), [("chese", "cheese"), ("beacon_gren", "beacon_green"), ("Wall", "wall")]
)
def test_an_unknown_name_offers_the_nearest(typo, nearest):
    with pytest.raises(ValueError, match=rf"unknown '{typo}'; .* '{nearest}'\?"):
        draw(typo, 8)
    with pytest.raises(ValueError, match=rf"'{nearest}'\?"):
        atlas((("floor", typo),), 8)


@pytest.mark.parametrize("pixels", [-1, 0, MAX_PIXELS + 1])
def test_pixels_out_of_range_are_refused(pixels):
    message = f"pixels is {pixels}; it must be .* 1 to {MAX_PIXELS}"
    with pytest.raises(ValueError, match=message):
        draw("cheese", pixels)
    with pytest.raises(ValueError, match=message):
        atlas(((),), pixels)


def test_a_stack_starts_from_the_floor_and_ends_with_its_last_sprite():
    empty, floor, wall, hidden = atlas(((), ("floor",), ("wall",), ("cheese", "wall")), 16)
    assert np.array_equal(empty, draw("floor", 16)[..., :3])
    assert np.array_equal(floor, empty)
    assert np.array_equal(wall, draw("wall", 16)[..., :3])
    assert np.array_equal(hidden, wall)


def test_a_stack_blends_by_alpha():
    rgba = draw("beacon_blue", 16) / 255
    alpha = rgba[..., 3:]
    below = draw("lava", 16)[..., :3] / 255
    expected = 255 * (alpha * rgba[..., :3] + (1 - alpha) * below)
    blended = atlas((("lava", "beacon_blue"),), 16)[0]
    assert np.abs(blended - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("pixels", [1, 4])
def test_paint_puts_each_tile_in_its_cell(pixels):
    palette = atlas((("floor",), ("wall",), ("agent",), ("cheese", "agent")), pixels)
    tiles = np.array([[0, 1, 2], [3, 0, 1]], np.int32)
    expected = np.concatenate([np.concatenate(palette[row], axis=1) for row in tiles])

    image = jax.jit(paint)(jnp.asarray(tiles), jnp.asarray(palette))
    assert image.shape == (2 * pixels, 3 * pixels, 3)
    assert image.dtype == jnp.uint8
    assert np.array_equal(image, expected)

    batch = jnp.stack([jnp.asarray(tiles), jnp.asarray(tiles[::-1, ::-1])])
    images = jax.vmap(lambda one: paint(one, palette))(batch)
    assert np.array_equal(images[0], expected)
    assert np.array_equal(images[1], paint(batch[1], palette))

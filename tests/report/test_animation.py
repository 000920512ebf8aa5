"""Moving and still pictures show the recorded episodes."""

import io

import numpy as np
import pytest
from PIL import Image

from gmbench.report import animation
from tests.made_up import LEGEND, TO_CORNER


def test_frames_follow_the_ascii():
    episode = {"frames": ["A.#\n..C", ".A#\n..C"]}
    first, second = animation.frames(episode, LEGEND, 8)
    assert first.shape == (16, 24, 3)
    moved = (first != second).any(axis=-1).reshape(2, 8, 3, 8).any(axis=(1, 3))
    assert moved.tolist() == [[True, True, False], [False, False, False]]
    assert (first[:8, :8] == second[:8, 8:16]).all()


def test_unknown_characters_are_refused():
    with pytest.raises(ValueError, match="'X' is not in the legend"):
        animation.frames({"frames": ["AX"]}, LEGEND)


def test_animation_is_a_whole_film_that_holds_its_end(runs):
    content = animation.before_after(runs[0], pairs=1)
    film = Image.open(io.BytesIO(content))
    lengths = []
    for number in range(film.n_frames):
        film.seek(number)
        lengths.append(film.info["duration"])
    longest = max(len(episode["frames"]) for episode in runs[0].episodes()["episodes"])
    assert lengths[-1] >= animation.HOLD
    assert sum(lengths) == (longest - 1) * animation.STEP + animation.HOLD
    assert content == animation.before_after(runs[0], pairs=1)


def test_strip_marks_the_path_and_nothing_else(runs):
    run, pixels = runs[0], 20
    picture = np.asarray(animation.strip(run, pair=0, pixels=pixels))
    side, top = 7 * pixels, animation.MARGIN + animation.CAPTION
    left = animation.MARGIN + side + animation.GAP
    shown = picture[top : top + side, left : left + side]
    episode = next(e for e in run.episodes()["episodes"] if e["distribution"] == "anywhere")
    first = animation.frames(episode, LEGEND, pixels)[0]
    changed = (shown != first).any(axis=-1).reshape(7, pixels, 7, pixels).any(axis=(1, 3))
    assert sorted(map(tuple, np.argwhere(changed).tolist())) == sorted(TO_CORNER)


def test_strip_refuses_a_pair_that_was_not_recorded(runs):
    with pytest.raises(ValueError, match="pair: 7"):
        animation.strip(runs[0], pair=7)

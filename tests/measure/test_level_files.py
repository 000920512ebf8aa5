"""Levels written are levels read; anything else is refused in one line."""

import io

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmbench
from gmbench.core import checks, npz, registry
from gmbench.measure import level_files
from gmbench.testing.shared import draw, one
from tests.marks import by_day


def task_and_levels(task_id, count=13):
    task = registry.make(task_id, size=registry.sizes(task_id).small)
    return task, one(draw(task.env, task.shifts[task.headline], jax.random.key(2)), slice(count))


@pytest.mark.parametrize("task_id", by_day(registry.task_ids(), "CheeseCorner-v0", "KeysChests-v0"))
def test_levels_are_read_back(task_id, tmp_path):
    task, levels = task_and_levels(task_id)
    path = tmp_path / "levels.npz"
    path.write_bytes(level_files.pack(task, levels))
    read = level_files.read(task, path)
    chex.assert_trees_all_equal(read, levels, strict=True)


def test_what_does_not_fit_is_refused(tmp_path):
    task, levels = task_and_levels("CheeseCorner-v0")
    data = level_files.pack(task, levels)
    other = registry.make("CheeseDish-v0", size=5)
    with pytest.raises(checks.Refused, match="task is 'CheeseCorner-v0', 'CheeseDish-v0'"):
        level_files.unpack(other, data)
    with pytest.raises(checks.Refused, match="shape is '7-blocks', '6-blocks'"):
        level_files.unpack(registry.make("CheeseCorner-v0", size=6), data)
    with pytest.raises(checks.Refused, match=r"cannot read .*No such file"):
        level_files.read(task, tmp_path / "nothing.npz")
    for damaged in (b"", data[:-40], b"PK" + data):
        with pytest.raises(checks.Refused, match="damaged"):
            level_files.unpack(task, damaged)


def test_changed_contents_are_refused():
    task, levels = task_and_levels("CheeseCorner-v0")
    with np.load(io.BytesIO(level_files.pack(task, levels))) as stored:
        arrays = {name: stored[name].copy() for name in stored.files}
    arrays["cheese"].flat[0] ^= 1
    with pytest.raises(checks.Refused, match="sha256"):
        level_files.unpack(task, npz.encode(arrays))


def walled_in(levels):
    """A wall around the last level's start, which nothing can be reached from."""
    walls, (row, col) = np.asarray(levels.walls).copy(), np.asarray(levels.start)[:, -1]
    around = [(row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)]
    for r, c in around:
        if 0 <= r < walls.shape[0] and 0 <= c < walls.shape[1]:
            walls[r, c, -1] = True
    return levels.replace(walls=jnp.asarray(walls))


IMPOSSIBLE = {
    "outside the grid": lambda levels: levels.replace(cheese=levels.cheese.at[:, 3].set(99)),
    "two things in a place": lambda levels: levels.replace(
        start=levels.start.at[:, 3].set(levels.cheese[:, 3])
    ),
    "walled in": walled_in,
}


@pytest.mark.parametrize("how", IMPOSSIBLE)
def test_what_is_no_level_is_refused_under_a_right_checksum(how):
    task, levels = task_and_levels("CheeseCorner-v0")
    impossible = IMPOSSIBLE[how](levels)
    number = 12 if how == "walled in" else 3
    with pytest.raises(checks.Refused, match=rf"number {number} is not a level that can be solved"):
        level_files.unpack(task, level_files.pack(task, impossible))
    with pytest.raises(checks.Refused, match=f"number {number} is not a level"):
        gmbench.score(task, lambda seen: jnp.zeros(5), levels=impossible)

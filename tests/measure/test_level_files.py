"""Levels written are levels read; anything else is refused in one line."""

import io

import chex
import jax
import numpy as np
import pytest

from gmbench.core import checks, npz, registry
from gmbench.measure import level_files
from gmbench.testing.shared import draw, one


def task_and_levels(task_id, count=13):
    task = registry.make(task_id, size=registry.sizes(task_id).small)
    return task, one(draw(task.env, task.shifts[task.headline], jax.random.key(2)), slice(count))


@pytest.mark.parametrize("task_id", registry.task_ids())
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

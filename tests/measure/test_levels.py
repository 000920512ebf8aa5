"""Frozen levels are data: checked, stable, and never seen in training."""

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import pytest

from gmbench.core import checks, npz, registry
from gmbench.measure import level_files, levels
from gmbench.testing.shared import draw
from tests.marks import by_day

SHAPES = {
    (spec.task, *sorted(spec.static.items()))
    for id in registry.SUITES.names()
    if registry.SUITES.module(id).startswith("gmbench.")  # other packages may draw theirs
    for spec in registry.SUITES.get(id).specs()
}
TASKS = [(id, dict(static)) for id, *static in sorted(SHAPES)]
SMALL = [(id, static) for id, static in TASKS if static["size"] <= registry.sizes(id).small]
"""Where two draws may well coincide; of larger levels there are too many."""


def _rows(tree: Any) -> set[bytes]:
    return set(levels.rows(tree))


@pytest.mark.nightly
@pytest.mark.parametrize(("id", "static"), by_day(TASKS, *TASKS[:4]))
def test_every_suite_is_evaluated_on_frozen_levels(id: str, static: dict[str, Any]) -> None:
    task = registry.make(id, **static)
    for distribution in ("training", *task.shifts):
        level_set = levels.load(task, distribution)
        assert level_set.frozen
        assert len(_rows(level_set.levels)) == levels.COUNT


@pytest.mark.parametrize(("id", "static"), by_day(SMALL, *SMALL[:2]))
def test_training_never_sees_a_frozen_level(id: str, static: dict[str, Any]) -> None:
    """By hash, over 20,000 training levels here; the nightly target draws 10 million."""
    _assert_unseen(id, static, batches=40)


@pytest.mark.nightly
@pytest.mark.parametrize(("id", "static"), SMALL)
def test_ten_million_training_levels_hold_no_frozen_one(id: str, static: dict[str, Any]) -> None:
    _assert_unseen(id, static, batches=20_000)


def _assert_unseen(id: str, static: dict[str, Any], batches: int) -> None:
    task = registry.make(id, **static)
    sets = [levels.load(task, name).levels for name in ("training", *task.shifts)]
    frozen = set().union(*map(_rows, sets))
    params = task.training.override(alpha=0.5)
    for key in jax.random.split(jax.random.key(0), batches):
        assert not frozen & _rows(draw(task.env, params, key))


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    task = registry.make("CheeseCorner-v0", size=7)
    source = registry.data_folder() / "levels"
    name = levels.file_name(task, "training")
    shutil.copy(source / levels.INDEX, tmp_path)
    data = bytearray((source / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(checks.Refused, match=name):
        levels.load(task, "training", tmp_path)


def test_freezing_writes_what_loading_reads(tmp_path: Path) -> None:
    task = registry.make("CheeseDish-v0", size=5)
    drawn = levels.load(task, "apart", tmp_path)
    assert not drawn.frozen
    sha256 = levels.freeze(task, "apart", tmp_path)
    (tmp_path / levels.INDEX).write_text(json.dumps({levels.file_name(task, "apart"): sha256}))
    read = levels.load(task, "apart", tmp_path)
    assert read.frozen
    assert len(_rows(read.levels)) == levels.COUNT
    again = level_files.encode(read.levels)
    assert (tmp_path / levels.file_name(task, "apart")).read_bytes() == npz.encode(again)
    with pytest.raises(checks.Refused, match="frozen already"):
        levels.freeze(task, "apart", tmp_path)

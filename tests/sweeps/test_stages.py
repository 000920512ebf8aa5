"""Mitigations and stages in sweeps: a field, one task's own, an axis of the grid; in Parquet."""

import pytest

from gmbench.runs.spec import Stage
from gmbench.sweeps import parquet, sweep
from tests.made_up import a_run

TEXT = """
tasks = ["CheeseCorner-v0", "CheeseDish-v0"]
steps = 100_000
config = {num_envs = 8}
mitigation = "mixture:alpha=0.1"
stages = [{share = 0.5, params = {alpha = 0.0}}, {share = 0.5}]

[overrides.CheeseDish-v0]
mitigation = ""
stages = []
"""
GRID = """
tasks = ["CheeseCorner-v0"]
[grid]
mitigation = ["", "mixture:alpha=0.1", "mixture:alpha=0.2"]
stages = [[], [{share = 0.25}, {share = 0.75, mitigation = ""}]]
"""


def read(tmp_path, text):
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    return sweep.read(path)


def test_they_are_fields_and_a_task_may_override_them(tmp_path):
    corner, dish = read(tmp_path, TEXT).specs()
    assert corner.mitigation == "mixture:alpha=0.1"
    assert corner.stages == [Stage(0.5, {"alpha": 0.0}), Stage(0.5)]
    assert not dish.mitigation
    assert not dish.stages


def test_they_are_axes_of_the_grid(tmp_path):
    specs = read(tmp_path, GRID).specs()
    found = [(spec.mitigation or "", len(spec.stages or [])) for spec in specs]
    names = ["", "mixture:alpha=0.1", "mixture:alpha=0.2"]
    assert found == [(name, stages) for name in names for stages in (0, 2)]
    assert len({spec.id for spec in specs}) == 6
    unset = read(tmp_path, 'tasks = ["CheeseCorner-v0"]').specs()
    assert specs[0].id == unset[0].id


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stages = [{part = 0.5}]", "unknown field `part`"),
        ("stages = [{params = {alpha = 0.1}}]", "missing required field `share`"),
        ("stages = 0.5", "Expected `array`"),
        ("grid.stages = [{share = 1.0}]", "Expected `array`, got `object`"),
        ("grid.mitigation = []", "grid.mitigation: no values are given"),
        ("stages = [{share = 0.5}]", "stages: shares 0.5 add up to 0.5, 1 is needed"),
        ('mitigation = "mixtur"', "did you mean 'mixture'?"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path, refused, text, words):
    path = tmp_path / "sweep.toml"
    path.write_text(f'tasks = ["CheeseCorner-v0"]\n{text}\n')
    assert words in refused("sweep", path, "--out", tmp_path / "out")


def test_parquet_names_them():
    stages = [Stage(0.5, {"alpha": 0.0}), Stage(0.5, mitigation="mixture:alpha=0.2")]
    row, *_ = parquet.rows_of(a_run(mitigation="mixture", stages=stages, steps=100_000))
    assert row["mitigation"] == "mixture"
    assert row["stages"] == "0.5:alpha=0 0.5:mitigation=mixture:alpha=0.2"
    plain, *_ = parquet.rows_of(a_run())
    assert plain["mitigation"] is plain["stages"] is None

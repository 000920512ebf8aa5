"""The pages of the tasks are generated from the tasks, and those committed are up to date."""

import json
from pathlib import Path

import numpy as np
import pytest

from gmbench.core import checks, registry
from gmbench.report import pages, records
from tests.marks import by_day

DOCS = Path(__file__).parents[2] / "docs"
OURS = [i for i in registry.task_ids() if registry.TASKS.module(i).startswith("gmbench.envs.")]
"""Pages of other packages' tasks are not committed here."""


@pytest.mark.parametrize("task_id", by_day(OURS, "CheeseCorner-v0"))
def test_the_committed_page_is_up_to_date(task_id):
    """If not: gmbench pages docs/tasks."""
    task = registry.make(task_id, size=registry.sizes(task_id).small)
    found = {p.stem: records.read(p) for p in sorted((DOCS / "results").glob("*.json"))}
    assert (DOCS / "tasks" / f"{task_id}.md").read_text() == pages.text(task, found)
    assert (DOCS / "tasks" / "images" / f"{task_id}.png").stat().st_size > 1000


def test_the_list_of_pages_is_up_to_date():
    assert (DOCS / "tasks" / "README.md").read_text() == pages.index(OURS)


def test_a_picture_shows_both_distributions():
    image = np.asarray(pages.picture(registry.make("CheeseDish-v0", size=5)))
    left, right = np.array_split(image, 2, axis=1)
    assert image.shape[2] == 3
    assert left.std() > 0
    assert right.std() > 0


def test_a_file_that_holds_no_results_is_refused(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"x": 1}]))
    for name in ("a.json", "b.json"):
        with pytest.raises(checks.Refused, match=name):
            records.read(tmp_path / name)

"""Examples are what their list says; whoever asks for one that is not there is told of others."""

import shutil

import pytest

import gmbench
from gmbench.core import checks, registry
from gmbench.runs import examples, store

TASK = "CheeseCorner-v0"
LISTED = examples.listed()


@pytest.mark.parametrize("listed", LISTED, ids=lambda each: f"{each.task} {each.training}")
def test_an_example_is_what_the_list_says(listed):
    run = gmbench.example(listed.task, listed.training)  # its checksums are checked on the way
    assert run.path.name == listed.run
    assert run.spec.task == listed.task
    assert run.findings.verdict == listed.verdict
    assert listed.task in registry.task_ids()


def test_all_examples_are_small_and_listed():
    files = [path for path in examples.FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5_000_000
    assert {path.parent.name for path in files if path != examples.INDEX} == {
        each.run for each in LISTED
    }


def test_the_first_example_pursues_the_proxy_and_another_the_intended_goal():
    assert gmbench.example(TASK).findings.verdict == "proxy"
    assert gmbench.example(TASK, "alpha=0.3").findings.verdict == "intended"


def test_what_is_not_there_is_refused_with_what_is():
    with pytest.raises(checks.Refused, match=rf"allowed: {TASK}, .*gmbench train TrapKeys-v0"):
        gmbench.example("TrapKeys-v0")
    with pytest.raises(checks.Refused, match=r"did you mean 'alpha=0\.3'"):
        gmbench.example(TASK, "alpha=.3")


def test_a_changed_example_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "examples"
    run = gmbench.example(TASK)
    shutil.copytree(run.path, folder / run.path.name)
    monkeypatch.setattr(examples, "FOLDER", folder)
    assert gmbench.example(TASK).spec == run.spec
    record = folder / run.path.name / store.RECORD
    record.write_bytes(record.read_bytes() + b" ")
    with pytest.raises(checks.Refused, match="is damaged"):
        gmbench.example(TASK)

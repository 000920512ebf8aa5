"""A report of a folder that is not whole says what is missing, and shows the rest."""

import shutil

import msgspec
import pytest

from gmbench import cli
from gmbench.core import files
from gmbench.report import missing
from gmbench.runs import store
from gmbench.runs.result import Diverged
from gmbench.runs.spec import RunSpec
from gmbench.sweeps import driver
from tests import made_up
from tests.made_up import store_run


def failed(folder, seed):
    """Store a run that diverged."""
    spec = RunSpec(task="CheeseCorner-v0", static={"size": 7}, seed=seed, steps=1)
    record = made_up.record(spec)
    return store.save_run(
        folder, msgspec.structs.replace(record, findings=None, diverged=Diverged(3)), {}
    )


def reported(folder, out, capsys):
    """Return how the command ended, what it said beside its tables, and its page."""
    status = 0
    try:
        cli.main(["report", str(folder), "--out", str(out)])
    except SystemExit as stopped:
        status = stopped.code
    return status, capsys.readouterr().err, out.read_text()


def test_failed_unfinished_and_damaged_runs_are_named_and_the_rest_is_shown(tmp_path, capsys):
    folder, out = tmp_path / "runs", tmp_path / "report.html"
    folder.mkdir()
    for seed in range(2):
        store_run(folder, seed=seed)
    broken, damaged = failed(folder, 5), store_run(folder, seed=7)
    (folder / f"{store.WORK}cb7c307da60b").mkdir()
    (damaged.path / "levels.npz").write_bytes(b"?")
    status, said, page = reported(folder, out, capsys)
    assert status == 1  # for the damaged one
    for words in (
        f"{broken.path.name} diverged at update 3",
        "groups of runs not finished: 1",
        "levels.npz",
    ):
        assert words in said
        assert words in page
    assert page.count("class='warnings'") == 1
    assert ">2/2<" in page


def test_a_whole_folder_warns_of_nothing(tmp_path):
    run = store_run(tmp_path)
    assert missing.left_out(tmp_path, [run]) == missing.mixed([run, run]) == ()


def test_runs_of_several_versions_are_counted():
    runs = [made_up.a_run(seed=seed) for seed in range(3)]
    older = {**runs[0].record.made.versions, "jax": "0.9.0"}
    made = msgspec.structs.replace(runs[0].record.made, versions=older)
    old = store.Run(runs[0].path, msgspec.structs.replace(runs[0].record, made=made))
    (words,) = missing.mixed([old, *runs[1:]])
    assert words == "versions differ: jax 0.10.2 in 2 runs, 0.9.0 in 1 runs"


def test_a_sweep_says_which_of_its_runs_are_not_there(tmp_path):
    run = store_run(tmp_path)
    waiting = [RunSpec(task="CheeseCorner-v0", seed=seed, steps=1) for seed in range(5)]
    index = driver.Index(driver.SCHEMA, 8, None, [[run.spec], waiting])
    files.write_checked(tmp_path / driver.INDEX, msgspec.json.encode(index))
    (words,) = missing.left_out(tmp_path, [run])
    assert words.startswith(f"of the sweep's 6 runs not finished: 5 ({waiting[0].name}, ")
    assert "and 2 more" in words
    (tmp_path / driver.INDEX).write_text("{}")
    (words,) = missing.left_out(tmp_path, [run])
    assert words.startswith("not known which runs are missing: ")


def test_runs_without_logs_and_episodes_are_shown_without_them(tmp_path, capsys):
    """As in a submission, which leaves them out."""
    folder = tmp_path / "runs"
    folder.mkdir()
    whole = store_run(tmp_path, seed=3)
    made_up.store(folder, whole.record)
    failed(folder, 5)
    status, said, page = reported(folder, tmp_path / "report.html", capsys)
    assert status == 0
    assert "failed, and left out: 1 (" in said
    assert "their episodes are not in the folder" in page
    assert "data:image/gif" not in page


@pytest.mark.parametrize("kind", ["empty", "failed", "unfinished"])
def test_a_folder_with_nothing_to_show_is_refused_in_a_line_that_says_why(tmp_path, refused, kind):
    folder = tmp_path / "runs"
    folder.mkdir()
    if kind == "failed":
        failed(folder, 0)
        failed(folder, 1)
    elif kind == "unfinished":
        (folder / f"{store.WORK}cb7c307da60b").mkdir()
    words = refused("report", folder, "--out", tmp_path / "report.html")
    why = {
        "empty": "write runs",
        "failed": "; 2 failed, such as CheeseCorner-v0-",
        "unfinished": "the command that began them goes on with them",
    }
    assert why[kind] in words
    assert not (tmp_path / "report.html").exists()
    shutil.rmtree(folder)
    assert "no finished run" in refused("report", folder, "--out", tmp_path / "report.html")

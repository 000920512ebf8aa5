"""Whatever can be added is one file: brought by entry points, used from the command line."""

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from gmbench.core import registry
from tests.marks import by_day

HERE = Path(__file__).parent
MODULES = {
    "tasks": HERE / "extension" / "mat_door.py",
    "agents": HERE / "extension" / "always_up.py",
    "networks": HERE / "extension" / "tiny_net.py",
    "views": HERE / "extension" / "mirror.py",
    "mitigations": HERE / "mitigations" / "level_buffer.py",
    "questions": HERE / "extension" / "worst_levels.py",
    "figures": HERE / "extension" / "door_figure.py",
    "detectors": HERE / "extension" / "lucky_seed.py",
    "loggers": HERE / "extension" / "diary.py",
    "engines": HERE / "extension" / "backwards.py",
    "suites": HERE / "extension" / "extra_suite.py",
    "layouts": HERE / "extension" / "hatch.py",
    "exporters": HERE / "extension" / "postcard.py",
}
"""A module for each kind, by the end of its entry-point group."""

SWEEP = """
tasks = ["MatDoor-v0"]
seeds = 2
steps = 2_000
view = "mirror"
mitigation = "level_buffer:replay=0.5"
config = { num_envs = 8, num_steps = 4, slots = 2, network = "tiny_net" }
grid.params.alpha = [0.0, 1.0]
"""


def installed(folder, modules, broken=""):
    """Install modules as a package would: files on the path, and entry points that name them."""
    about = folder / "gmbench_extra-0.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: gmbench-extra\nVersion: 0.1\n")
    lines = []
    for kind, path in modules.items():
        shutil.copy(path, folder)
        lines += [f"[gmbench.{kind}]", f"{path.stem.replace('_', '-')} = {path.stem}"]
    (about / "entry_points.txt").write_text("\n".join([*lines, broken]) + "\n")
    return folder


@pytest.fixture(scope="module")
def extra(tmp_path_factory):
    return installed(tmp_path_factory.mktemp("extra"), MODULES)


@pytest.fixture(scope="module")
def run(extra):
    """Run the command line in a process of its own, with the extension installed."""

    def command(*arguments, path=extra, code=0):
        cache = str(HERE.parent / ".cache" / "jax")
        environment = os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{HERE.parent}"}
        environment |= {"JAX_COMPILATION_CACHE_DIR": cache, "COLUMNS": "120"}
        done = subprocess.run(
            [sys.executable, "-m", "gmbench", *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == code, done.stderr[-2000:]
        return done.stdout + done.stderr

    return command


@pytest.fixture(scope="module")
def swept(run, tmp_path_factory):
    """A sweep's folder: the task, network, view, mitigation, logger and engine at work."""
    folder = tmp_path_factory.mktemp("swept")
    (folder / "sweep.toml").write_text(SWEEP)
    out = folder / "out"
    run("sweep", folder / "sweep.toml", "--engine", "backwards", "--log", "diary", "--out", out)
    return out


def test_every_module_is_short():
    assert all(len(path.read_text().splitlines()) <= 60 for path in MODULES.values())


def test_everything_is_listed(run):
    listed = run("list")
    names = ("MatDoor-v0", "always_up", "tiny_net", "mirror", "level_buffer", "worst-levels")
    for name in (*names, "lucky_seed", "diary", "backwards", "GMB-extra-v0", "hatch", "door"):
        assert name in listed


def test_the_task_is_shown_with_its_own_sprite(run):
    assert "does the agent want the door, or the mat" in run("show", "MatDoor-v0", "--size", 5)


@pytest.mark.nightly
def test_the_task_conforms(extra):
    """A task of another package keeps every promise that ours do."""
    code = "import gmbench; gmbench.check_task(gmbench.make('MatDoor-v0', size=5), levels=500)"
    path = f"{extra}{os.pathsep}{HERE.parent}"
    environment = os.environ | {"PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=400)


def test_an_export_writes_a_run(swept, run, tmp_path):
    path = min(swept.glob("MatDoor-v0-*"))
    run("export", "postcard", path, "--out", tmp_path / "card.txt")
    assert (tmp_path / "card.txt").read_text() == f"Greetings from {path.name}\n"


def test_a_sweep_uses_task_network_view_mitigation_logger_and_engine(swept):
    runs = list(swept.glob("MatDoor-v0-*"))
    assert len(runs) == 4
    for path in runs:
        record = json.loads((path / "run.json").read_text())
        assert record["spec"]["view"] == "mirror"
        last = json.loads((path / "metrics.jsonl").read_text().splitlines()[-1])
        assert last["mitigation/score"] > 0
        episodes = json.loads((path / "episodes.json").read_text())
        assert "mat" in str(episodes["legend"])
    diary = (swept / "diary.txt").read_text().splitlines()
    assert sum(line.endswith(" done") for line in diary) == 4
    assert diary[-1] == "closed"
    assert len(diary) == 4 * 63 + 4 + 1


def test_the_question_is_a_command_with_table_and_figure(run, swept, tmp_path):
    picture, data = tmp_path / "worst.png", tmp_path / "worst.json"
    out = ("--out", picture, "--data", data)
    assert "on" in run("worst-levels", swept, "--share", 0.2, *out)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [row["on the worst"]["n"] for row in json.loads(data.read_text())] == [2, 2]
    assert "lies on the tenth of the levels" in run("--help")


@pytest.mark.nightly
def test_the_detector_is_asked(run, swept):
    """Of agents none of which learned anything, so that there is nothing to score."""
    found = run("detect", swept, "--detectors", "lucky_seed", code=2)
    assert "detect: 0 competent agents" in found


def test_the_agent_is_evaluated(run):
    found = json.loads(run("eval", "MatDoor-v0", "--agent", "always_up", "--json"))
    assert found["distributions"]["apart"]["levels"] == 1024


@pytest.mark.nightly
def test_the_suite_runs(run, tmp_path):
    report = tmp_path / "report.html"
    out = ("--out", tmp_path / "runs", "--report", report)
    assert "MatDoor-v0" in run("run", "GMB-extra-v0", "--seeds", 1, *out)
    assert report.read_text().startswith("<!DOCTYPE html>")


def test_the_figure_says_what_it_costs(run):
    told = run("figure", "door", "--dry-run")
    assert "2 runs, 128 environment steps" in told
    assert "a door of ours" in told


def test_the_layout_serves_our_tasks(run):
    assert "CheeseCorner-v0" in run("show", "CheeseCorner-v0", "--size", 5, "--layout", "hatch")


# ---- what goes wrong ---------------------------------------------------------------------------


def test_an_entry_point_that_fails_is_named_and_skipped(run, tmp_path):
    folder = installed(
        tmp_path, {"views": MODULES["views"]}, "[gmbench.agents]\nx = no_such_module"
    )
    listed = run("list", path=folder)
    assert "mirror" in listed
    warned = [line for line in listed.splitlines() if "no_such_module is left out" in line]
    assert len(warned) == 1


@pytest.mark.parametrize("text", by_day(["import no_such_package", "def broken(:"], "def broken(:"))
def test_a_question_that_fails_is_refused_in_a_line(run, tmp_path, text):
    (tmp_path / "broken.py").write_text(text + "\n")
    folder = installed(tmp_path / "extra", {"questions": tmp_path / "broken.py"})
    assert "A question of another package" in run("--help", path=folder)
    warned, refused = run("broken", tmp_path, path=folder, code=2).splitlines()
    assert warned.startswith("broken is left out: ")
    assert refused.startswith("gmbench: question: unknown 'broken'")


def test_a_name_registered_twice_names_both_modules():
    taken = registry.Registry("thing")
    taken.register("x")(object())
    with pytest.raises(ValueError, match=r"thing: 'x' is registered already, by .*; .* cannot"):
        taken.register("x")(object())


def test_a_module_that_takes_a_name_is_left_out(run, tmp_path):
    (tmp_path / "thief.py").write_text(MODULES["agents"].read_text().replace("always_up", "ppo"))
    folder = installed(tmp_path / "extra", {"agents": tmp_path / "thief.py"})
    assert "thief is left out: ValueError: agent: 'ppo' is registered already" in run(
        "list", path=folder
    )


def test_nothing_of_it_is_installed_here():
    groups = metadata.entry_points().groups
    assert not [group for group in groups if group.startswith("gmbench.")]
    assert "MatDoor-v0" not in registry.task_ids()

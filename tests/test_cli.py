"""Commands do what they say; whatever is invalid is one line, exit status 2, and no result."""

import json
import math
import os
import resource
import subprocess

import jax
import pytest

from gmbench import cli
from gmbench.core import registry
from gmbench.runs import store

TASK = "CheeseCorner-v0"


# ---- invalid input --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "CheseCorner-v0"], ["task", "'CheseCorner-v0'", f"did you mean '{TASK}'"]),
        (["show", "KeyChests-v0"], ["task", "did you mean 'KeysChests-v0'"]),
        (["train", "Mine-v0"], ["task", "'Mine-v0'", "--import FILE brings your own"]),
        (["train", TASK, "--agent", "pp0"], ["agent", "'pp0'", "did you mean 'ppo'"]),
        (["train", TASK, "--agent", "oracle"], ["agent", "'oracle'", "does not learn"]),
        (["train", TASK, "--alpha", "1.5"], ["alpha", "1.5", "[0, 1]"]),
        (["train", TASK, "--alpha", "-0.1"], ["alpha", "-0.1", "[0, 1]"]),
        (["train", TASK, "--alpha", "nan"], ["alpha", "nan", "[0, 1]"]),
        (["train", TASK, "--alpha", "0", "nan"], ["alpha", "nan", "[0, 1]"]),
        (["train", TASK, "--size", "0"], ["size", "0", "[5, 32]"]),
        (["train", TASK, "--steps", "-5"], ["steps", "-5", "at least 1"]),
        (["train", TASK, "--steps", "0"], ["steps", "0", "at least 1"]),
        (["train", TASK, "--seeds", "0"], ["seeds", "0", "[1, 100000]"]),
        (["train", TASK, "--layout", "bloks"], ["layout", "'bloks'", "did you mean 'blocks'"]),
        (["train", TASK, "--params", "wall=1"], ["parameter", "'wall'", "did you mean 'walls'"]),
        (["train", TASK, "--params", "walls=inf"], ["walls", "inf", "[0, 0.5]"]),
        (["train", TASK, "--params", "walls"], ["setting", "'walls'", "name=value"]),
        (["train", TASK, "--config", "env=4"], ["ppo setting", "'env'", "did you mean 'num_envs'"]),
        (["train", TASK, "--config", "num_envs=0"], ["num_envs", "0", "at least 1"]),
        (["train", TASK, "--config", "num_envs=4.5"], ["num_envs", "4.5", "whole number"]),
        (["train", TASK, "--config", "learning_rate=1e-3"], ["'learning_rate'", "'lr'"]),
        (["train", TASK, "--config", "lr=nan"], ["lr", "nan"]),
        (["train", TASK, "--config", "network=mpl"], ["network", "'mpl'", "did you mean 'mlp'"]),
        (["train", TASK, "--config", "network=5"], ["network", "'5'", "allowed: "]),
    ],
)
def test_invalid_training_is_refused(refused, tmp_path, arguments, words):
    out = [] if arguments[0] == "show" else ["--out", tmp_path / "runs"]
    message = refused(*arguments, *out)
    assert [word for word in words if word not in message] == []
    assert not any((tmp_path / "runs").glob("*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--agent", "oracl"], ["agent", "'oracl'", "did you mean 'oracle'"]),
        (["--agent", "ppo"], ["agent", "'ppo'", "run directory"]),
        (["--agent", "random", "--shift", "anywere"], ["shift", "did you mean 'anywhere'"]),
        (["--agent", "random", "--size", "0"], ["size", "0", "[5, 32]"]),
    ],
)
def test_invalid_evaluation_is_refused(refused, arguments, words):
    message = refused("eval", TASK, *arguments)
    assert [word for word in words if word not in message] == []


def test_unknown_suite_is_refused(refused, tmp_path):
    message = refused("run", "GMB-quik-v0", "--out", tmp_path / "runs")
    assert "suite" in message
    assert "'GMB-quik-v0'" in message
    assert "did you mean 'GMB-quick-v0'" in message
    assert not (tmp_path / "runs").exists()


def test_shift_of_a_finished_run_is_checked(refused, group):
    run = store.load_all(group)[0]
    assert "did you mean 'anywhere'" in refused("eval", run.path, "--shift", "anywhre")


def test_what_is_no_run_directory_is_refused(refused, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "missing", tmp_path / "file"):
        message = refused("eval", path)
        assert repr(str(path)) in message
        assert "not a run directory" in message
    assert "no finished run" in refused("report", tmp_path, "--out", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("place", ["file/runs", "file", "/proc/runs"])
def test_results_folder_that_cannot_be_written_is_refused(refused, tmp_path, place):
    (tmp_path / "file").write_text("mine")
    message = refused("train", TASK, "--size", 5, "--out", tmp_path / place)
    assert message.startswith("gmbench: out: ")
    assert repr(str(tmp_path / place)) in message
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_results_folder_without_permission_is_refused(refused, tmp_path):
    (tmp_path / "runs").mkdir(mode=0o500)
    message = refused("train", TASK, "--size", 5, "--out", tmp_path / "runs")
    assert "Permission denied" in message


@pytest.mark.parametrize("place", ["file/report.html", "/proc/report.html", "folder"])
def test_report_that_cannot_be_written_is_refused_before_training(refused, tmp_path, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    message = refused(
        "run", "GMB-quick-v0", "--out", tmp_path / "runs", "--report", tmp_path / place
    )
    assert message.startswith("gmbench: report: ")
    assert not (tmp_path / "runs").exists()


def test_full_disk_leaves_nothing_half_written(command, train, group, tmp_path):
    process = command(*train, tmp_path)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (40_000, 40_000))
    printed, errors = process.communicate()
    assert process.returncode == 2, errors
    assert "Traceback" not in errors
    (message,) = [line for line in errors.splitlines() if line.startswith("gmbench: ")]
    assert message == errors.splitlines()[-1]
    assert message.startswith("gmbench: out: ")
    assert "states-1.safetensors" in message
    assert "File too large" in message
    assert printed == ""
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert not list(tmp_path.rglob("*.tmp"))
    assert not list(tmp_path.rglob("*.safetensors"))


# ---- valid input ----------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["train"], ["run"]])
def test_help_imports_nothing_heavy(command, arguments):
    process = command(*arguments, "--help", env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"})
    printed, errors = process.communicate()
    assert process.returncode == 0
    assert "usage: gmbench" in printed
    imported = {line.split("|")[-1].strip() for line in errors.splitlines()}
    assert {"tyro", "gmbench.cli"} <= imported
    assert not {name.split(".")[0] for name in imported} & {"jax", "gymnax", "numpy", "flax"}


def test_list_names_everything_registered(capsys):
    cli.main(["list"])
    printed = capsys.readouterr().out
    for name in (*registry.task_ids(), *registry.agent_names(), *registry.SUITES.names()):
        assert name in printed


@pytest.mark.nightly
def test_show_prints_the_spec_and_levels_of_every_distribution(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    cli.main(["show", TASK, "--size", "5", "--seed", "3"])
    printed = capsys.readouterr().out
    task = registry.make(TASK, size=5)
    for name in ("training", *task.shifts, *task.training.describe(), *task.env.action_names):
        assert name in printed
    for params in (task.training, *task.shifts.values()):
        key = jax.random.split(jax.random.key(3), 3)[0]
        level = jax.jit(task.env.sample_level)(key, params)
        for row in task.env.render_ascii(task.env.start(level)).splitlines():
            assert row in printed


def test_doctor_names_devices_versions_and_cores(capsys):
    cli.main(["doctor"])
    printed = capsys.readouterr().out
    assert jax.__version__ in printed
    assert f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}" in printed
    for device in jax.devices():
        assert f"device {device.id}" in printed


def evaluated(capsys, *arguments):
    capsys.readouterr()
    cli.main(["eval", *map(str, arguments), "--json"])
    return json.loads(capsys.readouterr().out)["distributions"]


@pytest.mark.nightly
def test_anchors_read_what_they_must(capsys):
    fixed = [TASK, "--size", 5, "--agent"]
    for found in evaluated(capsys, *fixed, "oracle").values():
        assert found["rho"]["cheese"] == pytest.approx(0, abs=1e-4)
    for found in evaluated(capsys, *fixed, "random").values():
        assert list(found["rho"].values()) == pytest.approx([1, 1], abs=1e-4)
    pursued = evaluated(capsys, *fixed, "proxy_oracle", "--shift", "anywhere")["anywhere"]
    assert pursued["rho"]["corner"] == pytest.approx(0, abs=1e-4)
    assert pursued["gmi"] == pytest.approx(1, abs=0.1)


@pytest.mark.nightly
def test_an_organism_reads_the_goal_that_it_was_given(capsys):
    for goal, gmi in (("cheese", 0), ("corner", 1)):
        given = [TASK, "--size", 5, "--agent", "organism", "--config", f"goal={goal}"]
        found = evaluated(capsys, *given)
        assert found["training"]["rho"]["cheese"] == pytest.approx(0, abs=1e-4)
        assert found["anywhere"]["rho"][goal] == pytest.approx(0, abs=1e-4)
        assert found["anywhere"]["gmi"] == pytest.approx(gmi, abs=0.01)


def test_finished_run_evaluates_to_what_it_recorded(capsys, group):
    run = store.load_all(group)[1]
    found = evaluated(capsys, run.path)
    assert list(found) == ["training", "anywhere"]
    for name, recorded in run.findings.distributions.items():
        assert found[name]["rho"] == pytest.approx(recorded.rho, abs=1e-4)
        assert found[name]["gmi_adjusted"] == pytest.approx(recorded.gmi_adjusted, abs=1e-4)
        assert not math.isnan(found[name]["cfi"])


# ---- what stored runs say ---------------------------------------------------------------------


def test_rates_name_both_units(group, capsys):
    cli.main(["rates", str(group)])
    printed = capsys.readouterr().out
    assert printed.count(" of 1024") == 2
    assert "0.3%" in printed


def test_phase_diagram_is_drawn(group, tmp_path, capsys):
    out, data = tmp_path / "phase.png", tmp_path / "phase.json"
    arguments = ["phase", str(group), "--x", "alpha", "--y", "steps"]
    cli.main([*arguments, "--out", str(out), "--data", str(data)])
    assert out.read_bytes().startswith(b"\x89PNG")
    table = json.loads(data.read_text())
    assert sum(cell["runs"] for cell in table["cells"]) == 2
    assert table["contour"] is False
    assert f"written: {out}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--x", "beta", "--y", "steps"), "beta"),
        (("--x", "alpha", "--y", "alpha"), "y: got 'alpha'"),
        (
            ("--x", "alpha", "--y", "steps", "--out", "phase.gif"),
            "out: 'phase.gif' must be a file name",
        ),
    ],
)
def test_impossible_figure_is_refused(group, refused, arguments, words):
    assert words in refused("phase", group, *arguments)


# ---- small doors -----------------------------------------------------------------------------


def test_a_run_is_named_by_the_beginning_of_its_path_or_as_the_latest(group, refused):
    one, other = (run.path for run in store.load_all(group))
    assert store.find(str(one)[:-5]) == one
    assert store.find(group / "latest") in (one, other)
    several = refused("eval", group)
    assert "may be 2 runs" in several
    assert one.name in several
    assert "may be 2 runs" in refused("eval", group / "CheeseCorner")
    assert "is not a run directory" in refused("eval", group / "nothing-like-it")
    assert "--agent names one" in refused("eval", TASK)


def test_a_file_of_ones_own_is_imported_first(tmp_path, refused):
    file = tmp_path / "my_things.py"
    file.write_text("raise SystemExit('imported')")
    with pytest.raises(SystemExit, match="imported"):
        cli.main(["list", "--import", str(file)])
    assert "is not a Python file" in refused("list", "--import", tmp_path / "nothing.py")
    assert "is not a Python file" in refused("list", "--import")


def test_the_version_is_told(capsys):
    import gmbench

    cli.main(["--version"])
    assert capsys.readouterr().out == f"gmbench {gmbench.__version__}\n"


def test_the_public_names_are_told():
    import gmbench

    assert dir(gmbench) == sorted(gmbench.__all__)
    assert all(getattr(gmbench, name) for name in gmbench.__all__)


def test_a_mistyped_command_is_answered_by_the_nearest(refused):
    assert "did you mean 'train'" in refused("trian")


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", TASK, "--view", "window5x"),
        ("train", TASK, "--out", "x" * 300),
        ("train", "Cheese$Corner"),
        ("train", TASK, "--params", "=3"),
        ("train", TASK, "--config", "=3"),
        ("train", "x" * 100_000),
        ("show", TASK, "--seed", "99999999999999999999"),
        ("show", TASK, "--seed", "-1"),
        ("show", TASK, "--seed", str(2**32)),
        ("report", "x" * 300),
        ("eval", "x" * 300),
        ("sweep", "x" * 300 + ".toml"),
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_typos_and_oddities_end_in_one_line(refused, arguments):
    assert len(refused(*arguments)) < 1200


def test_text_in_square_brackets_is_shown(capsys):
    cli.main(["show", TASK, "--size", "5"])
    assert "bool [5, 5, 3]" in capsys.readouterr().out


def test_what_is_piped_is_not_cut(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    cli.main(["list"])
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert "first visit to the corner" in printed


def test_tables_in_a_pipe_are_tab_separated(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    cli.main(["list"])
    lines = capsys.readouterr().out.splitlines()
    tables = {}
    for line in lines[: lines.index("# Agents")]:
        rows = tables.setdefault(line, []) if line.startswith("# Tasks: ") else rows
        rows += [] if line.startswith("# ") else [line.split("\t")]
    assert {tuple(rows[0]) for rows in tables.values()} == {
        ("task", "intended goal", "proxies", "shift")
    }
    listed = {f"# Tasks: {registry.make(id).theme}": [] for id in registry.task_ids()}
    for id in registry.task_ids():
        listed[f"# Tasks: {registry.make(id).theme}"].append(id)
    assert {theme: [row[0] for row in rows[1:]] for theme, rows in tables.items()} == listed
    assert {len(row) for rows in tables.values() for row in rows} == {4}


def test_one_kind_can_be_listed_alone(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    cli.main(["list", "suites", "engines"])
    titles = [line for line in capsys.readouterr().out.splitlines() if line.startswith("# ")]
    assert titles == ["# Suites", "# Engines of sweeps"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train",), ["Missing", "Task id", "gmbench train --help"]),
        (("train", TASK, "--step", "9"), ["--step", "did you mean --steps?"]),
        (("train", TASK, "--steps", "many"), ["--steps", "'many'"]),
        (("train", TASK, "--alpha"), ["alpha: none is given"]),
        (("train", TASK, "more"), ["more", "gmbench train --help"]),
        (("bench", "everything"), ["'everything'", "'compile'"]),
        (("--size", "5"), ["--size", "gmbench --help"]),
        (("watch", "CheeseCorner"), ["did you mean 'CheeseCorner-v0'"]),
        (("watch", "nowhere/latest"), ["'nowhere/latest'", "`gmbench train TASK --out FOLDER`"]),
        (("watch", TASK, "--shift", "anywere"), ["did you mean 'anywhere'"]),
        (("watch", TASK, "--fps", "0"), ["fps: 0.0", "[0.1, 100]"]),
        (("watch", TASK, "--trained", "alpha=1"), ["trained", "alpha=0, alpha=0.3"]),
        (("watch", TASK, "--level", "missing.txt"), ["level: cannot read 'missing.txt'"]),
        (("watch", "TrapKeys-v0"), ["allowed: CheeseCorner-v0", "gmbench train TrapKeys-v0"]),
        (("play", TASK), ["needs a terminal", f"gmbench show {TASK}"]),
        (("report", "nowhere"), ["no finished run in 'nowhere'", "`gmbench run SUITE`"]),
        (("list", "suite"), ["did you mean 'suites'", "tasks"]),
        (("status", "nowhere"), ["`gmbench sweep FILE` makes one"]),
    ],
    ids=lambda given: " ".join(given)[:40],
)
def test_what_a_newcomer_gets_wrong_is_answered_by_what_to_try_next(refused, arguments, words):
    message = refused(*arguments)
    assert [word for word in words if word not in message] == []


def test_unfinished_runs_are_said_to_go_on(refused, tmp_path):
    (tmp_path / ".group-0123456789ab").mkdir()
    assert "the command that began them goes on" in refused("report", tmp_path)


@pytest.mark.parametrize("arguments", [[], ["help"], ["help", "train"]])
def test_help_is_what_newcomers_get_without_knowing_its_name(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 0
    assert f"usage: gmbench{' train' * (len(arguments) > 1)} [-h]" in capsys.readouterr().out


def test_bash_completes_commands_options_and_names(capsys, tmp_path):
    cli.main(["completion", "bash"])
    (tmp_path / "completion").write_text(capsys.readouterr().out)
    script = """
    source completion
    function=$(complete -p gmbench | sed 's/.*-F \\([^ ]*\\).*/\\1/')
    while read -a COMP_WORDS; do
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
        $function gmbench "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
        echo "${COMPREPLY[@]}"
    done
    """
    asked = {
        "gmbench tr": "train",
        "gmbench watch Mon": "Monitor-v0 MonsterGridworld-v0",
        "gmbench train CheeseCorner-v0 --alp": "--alpha",
        "gmbench train CheeseCorner-v0 --agent ppo_": "ppo_gru",
        "gmbench run GMB-quick-v1 --re": "--report",
        "gmbench compare runs --base": "--baseline",
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        input="".join(f"{each}\n" for each in asked),
        text=True,
        capture_output=True,
    )
    assert done.stderr == ""
    assert dict(zip(asked, done.stdout.splitlines(), strict=True)) == asked


def test_whole_numbers_may_be_written_as_people_write_them(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["train", TASK, "--steps", "1e0", "--seeds", "0", "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert "seeds: 0" in capsys.readouterr().err

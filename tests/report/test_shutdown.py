"""The table and picture of shutdown avoidance, on made-up measurements of known presses."""

from pathlib import Path

import numpy as np
import pytest

from gmbench import cli
from gmbench.measure.drest import Choices
from gmbench.measure.shutdown import Presses, summarise
from gmbench.report import figures
from gmbench.report.shutdown import conditions, shutdown_figure, shutdown_report
from gmbench.runs.shutdown import Measured
from gmbench.runs.spec import RunSpec
from gmbench.runs.store import Run

DETOURS = np.repeat([0, 2, 4, 8], 10)


def a_run(seed, alpha=0.0):
    outcome = {"goal": 1.0, "proxy": 0.0, "neither": 0.0}
    scores = {"rho": {"wanted": 0.0, "press": 0.5}, "gmi": 0.0, "gmi_adjusted": 0.0, "cfi": 0.0}
    record = {
        "steps": 100,
        "goals": ["wanted", "press"],
        "shift": "detour4",
        "distributions": {"detour4": {"levels": 10, "outcome": outcome} | scores},
        "on_distribution": 0.1,
        "competent": True,
        "misaligned": False,
    }
    spec = RunSpec(task="ShutdownDelay-v0", params={"alpha": alpha}, seed=seed)
    return Run(Path(f"made-up-{seed}-{alpha}"), spec, record)


def measured(seed, longest, alpha=0.0):
    """An agent that presses up to the longest detour, with each of two goals."""
    agent = np.stack([longest >= DETOURS] * 2).astype(np.float32)
    best = np.stack([DETOURS == 0] * 2).astype(np.float32)
    choices = Choices(0.5 + seed / 10, 0.25, np.array([0.5, 0.5]), np.array([1.0, 1.0]), ())
    return Measured(
        a_run(seed, alpha), summarise(Presses(agent, best, DETOURS.astype(np.int32))), choices
    )


@pytest.fixture
def found():
    return conditions([measured(0, 4), measured(1, 4), measured(0, 0, 0.5)])


def test_agents_trained_alike_are_one_condition(found):
    assert [len(each.found) for each in found] == [2, 1]
    assert found[0].title.startswith("ShutdownDelay-v0")


def test_the_table_says_what_was_pressed(found):
    lines = shutdown_report(found)
    rows = [line for line in lines if line.startswith("| ") and "detour" not in line]
    assert rows[:4] == [
        "| 0 | 10 | 1.00 | 1.00 | 0.00 |",
        "| 2 | 10 | 1.00 | 0.00 | 1.00 |",
        "| 4 | 10 | 1.00 | 0.00 | 1.00 |",
        "| 8 | 10 | 0.00 | 0.00 | 0.00 |",
    ]
    # Joined by a straight line, P(press) is a half midway between 4 and 8.
    assert "- c50: 6.00" in lines
    assert any(line.startswith("- usefulness: 0.55 [") for line in lines)
    assert "- agreement of goals: 1.00" in lines


def test_an_agent_like_the_oracle_has_no_excess_and_says_why_nothing_agrees(found):
    lines = shutdown_report(found[1:])
    assert "| 2 | 10 | 0.00 | 0.00 | 0.00 |" in lines
    assert "- agreement of goals: none, see below" in lines
    assert any("the excess is the same at every detour" in line for line in lines)


def test_the_picture_is_the_same_each_time(found):
    assert figures.svg(shutdown_figure(found)) == figures.svg(shutdown_figure(found))


def test_other_tasks_have_no_button(group, tmp_path, refused):
    assert "button that delays shutdown" in refused("shutdown", group)
    assert "out: " in refused("shutdown", group, "--out", tmp_path / "page.pdf")


def test_a_stored_run_is_measured(tmp_path, capsys, monkeypatch):
    """End to end, on few levels: what it says is tested above and in tests/measure."""
    monkeypatch.setattr("gmbench.measure.levels.COUNT", 16)
    monkeypatch.setattr("gmbench.runs.shutdown.LEVELS", 16)
    train = ["train", "ShutdownDelay-v0", "--size", "5", "--steps", "2000", "--out", str(tmp_path)]
    train += ["--config", "num_envs=8", "num_steps=4", "slots=2", "network=mlp"]
    cli.main(train)
    capsys.readouterr()
    cli.main(["shutdown", str(tmp_path), "--out", str(tmp_path / "presses.svg")])
    printed = capsys.readouterr().out
    assert printed.startswith("### ShutdownDelay-v0, size 5")
    assert "| 4 | 16 | " in printed
    assert (tmp_path / "presses.svg").exists()

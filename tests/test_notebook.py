"""The notebooks run as they stand, and show what their text says."""

import ast
import importlib
import re
from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient

import gmbench

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def read(name):
    return jupytext.read(FOLDER / f"{name}.py")


def outputs(name, folder, without=None):
    """Everything that the executed notebook printed or displayed; cells may be left out by tag."""
    notebook = read(name)
    notebook.cells = [
        cell for cell in notebook.cells if without not in cell.metadata.get("tags", [])
    ]
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()
    assert not list(folder.iterdir())
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def printed(found):
    return "".join(
        output.get("text", "")
        + output.get("data", {}).get("text/plain", "")
        + output.get("data", {}).get("text/markdown", "")
        for output in found
    )


def named(module, name):
    """Return what an import would bring: a name of a module, or a module below it."""
    found = importlib.import_module(module)
    return getattr(found, name, None) or importlib.import_module(f"{module}.{name}")


@pytest.mark.parametrize("name", NAMES)
def test_notebook_imports_and_calls_what_there_is(name):
    """Without running it: each cell is Python, and gmbench has every name that is read from it."""
    lines = [
        line for c in read(name).cells if c.cell_type == "code" for line in c.source.split("\n")
    ]
    tree = ast.parse("\n".join(line for line in lines if not line.startswith("%")))
    read_from = {
        (ast.unparse(node.value), node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    imported = {
        alias.asname or alias.name: named(node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("gmbench")
        for alias in node.names
    }
    assert any(owner == "gmbench" for owner, _ in read_from)
    for owner, attribute in read_from:
        if owner == "gmbench":
            assert hasattr(gmbench, attribute)
        elif owner in imported:
            assert hasattr(imported[owner], attribute)


@pytest.mark.nightly
def test_first_steps_show_pictures_table_and_rollout(tmp_path):
    found = outputs("first_steps", tmp_path)
    shown = [kind for output in found for kind in output.get("data", ())]
    assert shown.count("image/png") == 2
    assert shown.count("image/gif") == 1
    for words in ("reach the cheese", "Which goal?", "alpha 0.3", "agents trained without"):
        assert words in printed(found)
    assert not [output for output in found if output.get("name") == "stderr"]


@pytest.mark.nightly
def test_inside_shows_the_register_and_who_turns(tmp_path):
    found = outputs("inside", tmp_path)
    shown = [kind for output in found for kind in output.get("data", ())]
    assert shown.count("image/png") == 2
    assert shown.count("text/markdown") == 2
    assert "source   patched  1.00   written by hand  1.00" in printed(found)
    cell = re.search(r"the register held at (.*)", printed(found))[1]
    assert f"held:  ends at {cell}" in printed(found)
    assert not [output for output in found if output.get("name") == "stderr"]


SAID = {
    "which_goal": ("verdict: proxy", "verdict: intended", "Which goal, by which measure?"),
    "your_environment": (
        "to the lamp: GMI",
        "Which goal?: LampExit-v0, size 5",
        "alpha 0.3, seed 1: intended",
    ),
    "your_mitigation": ("haste:cost=0.02", "mixture:alpha=0.1", "By how much?"),
    "sweep_and_plot": ("'params_alpha': 0.0", "alpha 0.003 ", "alpha 0.3 "),
    "lab_sheet": ("explained by no goal", "verdict proxy", "alpha 0.03"),
}
"""What each notebook prints, besides other things."""


@pytest.mark.nightly
@pytest.mark.parametrize("name", SAID)
def test_notebook_runs_from_top_to_bottom(name, tmp_path):
    found = outputs(name, tmp_path)
    for words in SAID[name]:
        assert words in printed(found)
    assert any("image/png" in output.get("data", {}) for output in found) or name == "which_goal"
    assert not [output for output in found if output.get("name") == "stderr"]


def test_an_environment_of_ones_own_is_written_drawn_and_checked(tmp_path):
    """All but the cells that measure and train, which take longer."""
    found = outputs("your_environment", tmp_path, without="long")
    assert [kind for output in found for kind in output.get("data", ())].count("image/png") == 1

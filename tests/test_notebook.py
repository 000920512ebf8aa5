"""The notebooks run as they stand, and show what their text says."""

import ast
import importlib
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import gmbench

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = ("first_steps", "inside")


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def outputs(name, folder):
    """Everything that the executed notebook printed or displayed."""
    notebook = read(name)
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
def test_notebook_is_stored_without_outputs(name):
    notebook = read(name)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)


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

"""The notebook runs as it stands, and shows what its text says."""

import ast
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import gmbench

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "first_steps.ipynb"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Everything that the executed notebook printed or displayed."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()
    assert not list(folder.iterdir())
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def test_notebook_is_stored_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_notebook_imports_and_calls_what_there_is():
    """Without running it: each cell is Python, and gmbench has every name that is read from it."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    lines = [line for c in cells if c.cell_type == "code" for line in c.source.splitlines()]
    source = "\n".join(line for line in lines if not line.startswith("%"))
    read = {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "gmbench"
    }
    assert read
    assert not [name for name in read if not hasattr(gmbench, name)]


@pytest.mark.nightly
def test_notebook_shows_pictures_table_and_rollout(outputs):
    shown = [kind for output in outputs for kind in output.get("data", ())]
    assert shown.count("image/png") == 2
    assert shown.count("image/gif") == 1
    printed = "".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs
    )
    for words in ("reach the cheese", "Which goal?", "alpha 0.3", "agents trained without"):
        assert words in printed
    assert not [output for output in outputs if output.get("name") == "stderr"]

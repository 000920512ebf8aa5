"""The notebook runs as it stands, and shows what its text says."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "first_steps.ipynb"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Everything that the executed notebook printed or displayed."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(NOTEBOOK.parents[1] / ".cache" / "jax"))
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

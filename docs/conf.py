"""The documentation as a site: `make docs` writes it to docs/_build/html, without the network.

The source folder is the repository, so that links between README, docs and notebooks are the same
there and on the site.
"""

import itertools
import re
from importlib import metadata
from pathlib import Path
from typing import Any

from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from gmbench.cli import manual

ROOT = Path(__file__).parents[1]

project = "gmbench"
author = project_copyright = "The gmbench authors"
release = version = metadata.version("gmbench")
language = "en-GB"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]

root_doc = "docs/index"
include_patterns = ["*.md", "docs/**", "notebooks/*.md", "notebooks/*.py"]
exclude_patterns = [".*", "docs/_build", "docs/conf.py", "docs/examples", "runs", "sweeps", "build"]

# ---- pages: Markdown as it lies in the repository, notebooks as they are stored ------------------

myst_heading_anchors = 4
EXECUTED = "first_steps"
"""The quickest: a minute on two idle cores. `make nightly` executes all, whose outputs differ."""
nb_execution_mode = "cache"  # in docs/_build: once, until the notebook changes
nb_execution_excludepatterns = [
    str(path.relative_to(ROOT)) for path in ROOT.glob("notebooks/*.py") if path.stem != EXECUTED
]
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_mime_priority_overrides = [("html", "image/gif", 0)]
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}

# ---- the interface, from its docstrings ----------------------------------------------------------

autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
toc_object_entries = False  # in every page's navigation they would cost minutes
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
suppress_warnings = ["ref.python"]  # annotations such as `bytes`, where a class has a field `bytes`

# ---- what it looks like --------------------------------------------------------------------------

html_theme = "furo"
html_title = f"gmbench {release}"
html_theme_options = {"top_of_page_buttons": []}
html_additional_pages = {"index": "to_docs.html"}
templates_path = ["templates"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False


class SourceLinks(SphinxTransform):
    """Links to Python files that are no notebooks: they are downloads."""

    default_priority = 400

    def apply(self, **_: Any) -> None:
        """Replace what MyST takes for a page, since pages may end in .py."""
        for node in list(self.document.findall(addnodes.pending_xref)):
            file = f"{node['reftarget']}.py"
            is_page = node.get("refdomain") != "doc" or node["reftarget"] in self.env.found_docs
            if not is_page and (Path(self.env.srcdir) / file).is_file():
                to = addnodes.download_reference(
                    "", *node.children, refdoc=self.env.docname, reftarget=f"/{file}"
                )
                node.replace_self(to)


def as_rest(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Make reStructuredText of a docstring: it may hold tables of Markdown, and bars, as in |A|."""
    del app, what, name, thing, options
    found: list[str] = []
    for is_table, group in itertools.groupby(lines, lambda line: line.lstrip().startswith("| ")):
        if is_table:
            found += [".. code-block:: text", "", *(f"   {line.strip()}" for line in group), ""]
        else:
            parts = (re.split("(``.*?``)", line) for line in group)
            found += [
                "".join(
                    part if part.startswith("``") else part.replace("|", r"\|") for part in each
                )
                for each in parts
            ]
    lines[:] = found


def with_commands(app: Any, page: str, source: list[str]) -> None:
    """Add to the page of commands what their ``--help`` says."""
    del app
    if page == "docs/commands":
        source[0] += "\n" + manual.page()


def setup(app: Sphinx) -> dict[str, bool]:
    """Add what is ours to Sphinx."""
    app.add_transform(SourceLinks)
    app.connect("source-read", with_commands)
    app.connect("autodoc-process-docstring", as_rest, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Imports only point down, parts that are discovered are never named, and nothing runs data."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {"gmbench": "gmbench", "envs": "gmbench.envs", "agents": "gmbench.agents"}

RANKS = {
    part: rank
    for rank, parts in enumerate(
        (
            ("core", "stats"),
            ("grid",),
            ("solve",),
            ("wrappers",),
            ("measure",),
            ("mitigations", "search"),
            ("runs",),
            ("sweeps", "suites", "detectors", "audit", "zoo"),
            ("report",),
            ("analyses",),
            ("figures",),
            ("testing", "bench", "play", "gym"),
            ("exports",),
            ("", "cli", "__main__"),  # "" is the package itself, its public interface
        )
    )
    for part in parts
}
DISCOVERED = {
    "envs": {"envs", "core", "grid", "solve"},
    "agents": {"agents", "core", "solve", "measure"},
}
ONE_FILE_EACH = (
    "analyses",
    "detectors",
    "exports",
    "figures",
    "mitigations",
    "suites",
    "sweeps/engines",
    "sweeps/loggers",
)
"""Folders whose files are discovered, so that no other folder may name one of them."""
NAMED = {("gmbench.cli.train", "gmbench.analyses.report")}
"""Training ends with the report on what was trained."""
EXECUTE = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
EXCEPTED = {("gmbench.testing.forms", "pickle")}
"""The conformance suite proves that environments can be sent to other processes."""


def modules():
    for folder, package in SOURCES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join((package, *parts)).removesuffix(".__init__"), path


def part(module):
    """The part of gmbench that a module belongs to, ``""`` for gmbench itself."""
    return [*module.split("."), ""][1]


def imported(tree, module, is_package):
    """Absolute names of all that is imported, with ``from a import b`` as ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                ancestors = module.split(".")
                ancestors = ancestors[: len(ancestors) - node.level + is_package]
                base = ".".join([*ancestors, base]).rstrip(".")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def discovered_faults(module, name):
    for folder in ONE_FILE_EACH:
        package = "gmbench." + folder.replace("/", ".") + "."
        file = name.removeprefix(package).split(".")[0]
        if not name.startswith(package) or module.startswith(package):
            continue
        is_file = (ROOT / "gmbench" / folder / f"{file}.py").exists()
        if is_file and (module, package + file) not in NAMED:
            yield f"{module} imports {name}, which the registry must discover"


def import_faults(module, names):
    here = part(module)
    for name in names:
        there = part(name)
        if name.split(".")[0] in EXECUTE and (module, name.split(".")[0]) not in EXCEPTED:
            yield f"{module} imports {name}, which can execute what it reads"
        if name.split(".")[0] in SOURCES and name.split(".")[0] != "gmbench":
            yield f"{module} imports {name}, which is gmbench.{name} once installed"
        if name.split(".")[0] != "gmbench":
            continue
        yield from discovered_faults(module, name)
        if here in DISCOVERED:
            if there not in DISCOVERED[here]:
                yield f"{module} imports {name}; {here} may import {sorted(DISCOVERED[here])}"
        elif there in DISCOVERED:
            yield f"{module} imports {name}, which the registry must discover"
        else:
            there = there if there in RANKS else ""  # a name from gmbench/__init__.py
            if here not in RANKS:
                yield f"{module} has no place in the order of the parts"
            elif RANKS[there] > RANKS[here]:
                yield f"{module} imports {name}, which lies above it"


def call_faults(tree, module):
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec", "__import__"}:
            yield f"{module}:{node.lineno} calls {node.func.id}"
        for keyword in node.keywords:
            constant = isinstance(keyword.value, ast.Constant) and keyword.value.value
            if keyword.arg == "allow_pickle" and constant is not False:
                yield f"{module}:{node.lineno} allows pickle"


def faults(source, module, is_package=False):
    tree = ast.parse(source)
    names = imported(tree, module, is_package)
    return [*import_faults(module, names), *call_faults(tree, module)]


def test_imports_point_down():
    found = [
        fault
        for module, path in modules()
        for fault in faults(path.read_text(), module, path.name == "__init__.py")
    ]
    assert not found, "\n".join(found)


def heights():
    """How far down each part is written in the picture of the layers."""
    drawn = (ROOT / "docs" / "images" / "layers.svg").read_text()
    rows = re.findall(r'<text [^>]*y="(\d+)"[^>]*>(?:<tspan class="name">)?([a-z]+)\b', drawn)
    return {name: int(row) for row, name in rows}


def test_the_picture_shows_the_order_that_is_tested():
    found = heights()
    for part, rank in RANKS.items():
        for other, below in RANKS.items():
            if part.isalpha() and other.isalpha() and rank > below:
                assert found[part] < found[other], f"{part} is not drawn above {other}"
    assert set(DISCOVERED) <= set(found)


SLOW = ("scipy.stats", "seaborn", "pandas")
"""What is slow to import, and few commands need."""


def slow_imports(source, module):
    """What of SLOW is imported together with a module, not within a function."""
    at_once = ast.Module(body=[], type_ignores=[])
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            at_once.body.append(node)
    names = imported(at_once, module, False)
    return [name for name in names if name.startswith(SLOW)]


def test_no_command_waits_for_what_few_need():
    for module, path in modules():
        assert slow_imports(path.read_text(), module) == [], module
    assert slow_imports("from scipy import stats, special", "m") == ["scipy.stats"]
    assert slow_imports("def f():\n    import scipy.stats", "m") == []


def test_every_folder_is_read():
    names = {module for module, _ in modules()}
    assert {"gmbench", "gmbench.core.env", "gmbench.testing", "gmbench.envs", "gmbench.agents"} <= (
        names
    )


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gmbench.core.pool", "import gmbench.grid.moves"),
        ("gmbench.core.pool", "from gmbench.grid import moves"),
        ("gmbench.core.pool", "from gmbench import solve"),
        ("gmbench.core.pool", "from ..grid import moves"),
        ("gmbench.core.pool", "def late():\n    from gmbench.runs import store"),
        ("gmbench.core.pool", "import gmbench"),
        ("gmbench.core.pool", "from gmbench import make"),
        ("gmbench.solve.reach", "from gmbench import testing"),
        ("gmbench.report.html", "from gmbench.cli import main"),
        ("gmbench.runs.train", "from gmbench.envs import cheese_corner"),
        ("gmbench.cli", "import gmbench.agents.ppo"),
        ("gmbench.cli", "from gmbench import envs"),
        ("gmbench.cli", "import envs.cheese_corner"),
        ("gmbench.cli", "from gmbench.analyses.report import report"),
        ("gmbench.cli.sweep", "from gmbench.sweeps.loggers import wandb"),
        ("gmbench.report.sweeps", "import gmbench.sweeps.engines.local"),
        ("gmbench.elsewhere", "import gmbench.core.env"),
        ("gmbench.envs.maze", "from gmbench.measure import intervals"),
        ("gmbench.envs.maze", "from gmbench.agents import ppo"),
        ("gmbench.agents.ppo", "from gmbench.runs import store"),
        ("gmbench.agents.ppo", "from ..runs import store"),
        ("gmbench.runs.store", "import pickle"),
        ("gmbench.runs.store", "from marshal import loads"),
        ("gmbench.runs.store", "eval('1')"),
        ("gmbench.runs.store", "def load(text):\n    exec(text)"),
        ("gmbench.runs.store", "np.load(path, allow_pickle=True)"),
    ],
)
def test_planted_fault_is_found(module, source):
    assert len(faults(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gmbench.grid.env", "from gmbench.core import env\nfrom gmbench.grid import moves"),
        ("gmbench.cli", "import gmbench.report.html\nfrom gmbench import make, testing"),
        ("gmbench.envs.maze", "from gmbench.solve import reach\nfrom . import cheese_corner"),
        ("gmbench.agents.ppo", "from .networks import mlp\nimport gmbench.measure.rollout"),
        ("gmbench.runs.store", "np.load(path, allow_pickle=False)\nmodel.eval()"),
        ("gmbench.testing.forms", "import pickle"),
        ("gmbench.sweeps.loggers.paper", "from gmbench.sweeps.loggers import Destination"),
        ("gmbench.cli.train", "from gmbench.analyses.report import report"),
    ],
)
def test_allowed_is_allowed(module, source):
    assert faults(source, module) == []

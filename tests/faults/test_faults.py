"""The tests are as sharp as they are meant to be: each seeded fault is caught by the one named."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAULTS = tomllib.loads((Path(__file__).parent / "faults.toml").read_text())["fault"]
PARTS = ("gmbench", "envs", "agents", "tests")
FAILED = 1
"""What pytest returns where tests ran and some failed."""


def place(root, fault):
    """Return the one file below ``root`` that holds the fault's text, once."""
    within = root / fault["within"]
    files = [within] if within.is_file() else sorted(within.rglob("*.py"))
    holding = [file for file in files for _ in range(file.read_text().count(fault["old"]))]
    assert len(holding) == 1, f"{fault['old']!r} stands {len(holding)} times in {fault['within']}"
    return holding[0]


def test_there_are_enough():
    assert len(FAULTS) >= 40
    assert len({fault["what"] for fault in FAULTS}) == len(FAULTS)
    parts = {fault["within"].split("/")[-2 if "." in fault["within"] else -1] for fault in FAULTS}
    assert {"envs", "solve", "measure", "agents", "grid", "stats"} <= parts


@pytest.mark.parametrize("fault", FAULTS, ids=[fault["what"] for fault in FAULTS])
def test_a_fault_changes_what_is_there(fault):
    assert fault["old"] != fault["new"]
    place(ROOT, fault)
    file, name, *_ = re.split("::|\\[", fault["test"])
    assert f"def {name}(" in (ROOT / file).read_text()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the tree, to be spoilt; its packages are found as they are once installed."""
    root = tmp_path_factory.mktemp("tree")
    for part in PARTS:
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    for part in ("envs", "agents"):
        (root / "gmbench" / part).symlink_to(root / part)
    return root


def run(tree, *tests):
    """Run tests of a tree, as every change does; return pytest's exit status and what it said."""
    from ..conftest import CACHE

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
        cwd=tree,
        env=os.environ | {"GMBENCH_TEST_CACHE": str(CACHE), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.nightly
def test_without_a_fault_all_pass(tree):
    status, said = run(tree, *sorted({fault["test"] for fault in FAULTS}))
    assert status == 0, said


@pytest.mark.nightly
@pytest.mark.parametrize("fault", FAULTS, ids=[fault["what"] for fault in FAULTS])
def test_a_fault_is_caught(tree, fault):
    file = place(tree, fault)
    sound = file.read_text()
    file.write_text(sound.replace(fault["old"], fault["new"]))
    try:
        status, said = run(tree, fault["test"])
    finally:
        file.write_text(sound)
    assert status == FAILED, said

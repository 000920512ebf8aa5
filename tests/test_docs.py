"""What the pages say is there is there: files, headings, commands, names in code."""

import functools
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import jupytext
import pytest

from gmbench import cli
from gmbench.cli import manual
from gmbench.runs import machine

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docs/tasks/*.md", "notebooks/*.md", "notebooks/*.py")
    for path in ROOT.glob(pattern)
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
SHELLS = ("console", "bash", "sh")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(page):
    """The Markdown of a page or a notebook."""
    if page.suffix == ".md":
        return page.read_text()
    cells = jupytext.read(page).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def blocks(page, language):
    """The code blocks of a page in a language."""
    return [code for name, code in FENCE.findall(text_of(page)) if name == language]


# ---- links ---------------------------------------------------------------------------------------


def anchors(page):
    """What links can name of a page: its headings, as GitHub and MyST do."""
    headings = re.findall(r"^#+ +(.*)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    seen = Counter()
    for slug in slugs:
        yield f"{slug}-{seen[slug]}" if seen[slug] else slug
        seen[slug] += 1


def broken(page):
    """Links of a page to what is not there."""
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text_of(page))):
        if re.match(r"\w+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page):
    assert list(broken(page)) == []


def test_broken_links_are_found(tmp_path):
    page = tmp_path / "page.md"
    other = tmp_path / "other.md"
    other.write_text("# Other\n\n## So, what *is* it?\n")
    links = ("gone.md", "other.md#what-is-it", "other.md#so-what-is-it", "#here", "https://x.y/z")
    page.write_text("# Here\n" + "".join(f"[x]({link})\n" for link in links))
    assert list(broken(page)) == ["gone.md", "other.md#what-is-it"]


def test_every_page_has_a_place_on_the_site():
    """Pages are listed by kind in the index; task pages by their names."""
    index = ROOT / "docs" / "index.md"
    listed = {
        re.sub(r".*<(.*)>", r"\1", line)
        for code in blocks(index, "")
        for line in code.splitlines()
        if line and not line.startswith(":")
    }
    found = {str(p.resolve().relative_to(ROOT)) for p in (index.parent / x for x in listed)}
    wanted = {str(p.relative_to(ROOT).with_suffix("")) for p in PAGES if "tasks/" not in str(p)}
    assert wanted - found == {"docs/index"}


# ---- code ----------------------------------------------------------------------------------------


def lines(page):
    """What a page's console blocks would have a shell do: lists of words."""
    for code in (code for shell in SHELLS for code in blocks(page, shell)):
        for line in code.replace("\\\n", " ").splitlines():
            yield shlex.split(line.partition(" # ")[0].lstrip("$ "))


def without_imports(words):
    """A call without the files that it imports, which readers are yet to write."""
    left = list(words)
    while cli.IMPORT in left:
        place = left.index(cli.IMPORT)
        del left[place : place + 2]
    return left


def commands(page):
    """The calls of gmbench in a page's console blocks, as lists of words."""
    for words in lines(page):
        words = without_imports(words[: words.index(">") if ">" in words else None])
        if Path(words[0] if words else "").name == "gmbench":
            yield words[1:]


def mentioned(page):
    """The calls of gmbench and make within a page's sentences, as lists of words."""
    text = FENCE.sub("", text_of(page))
    for code in re.findall(r"`([^`]+)`", text):
        words = code.split()
        if len(words) > 1 and words[0] in ("gmbench", "make"):
            yield words


@pytest.fixture
def parsed(monkeypatch):
    """Return a function that has the command line read words, without running the command."""
    monkeypatch.setattr(machine, "use_cores", lambda cores: None)
    monkeypatch.setattr(machine, "use_cache", lambda: None)
    monkeypatch.setattr(cli.questions, "is_question", lambda parsed: True)

    def parse(words):
        found = []
        monkeypatch.setattr(cli.questions, "run", found.append)
        cli.main(words)
        return found[0]

    return parse


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_are_understood(page, parsed):
    for words in commands(page):
        assert parsed(words)


def test_commands_are_found():
    readme = list(commands(ROOT / "README.md"))
    assert ["explore", "runs", "--out", "page.html"] in readme
    assert len({page for page in PAGES if list(commands(page))}) > 5


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_what_sentences_call_is_there(page, options):
    """Commands and their options; what they are given may be a stand-in, as in `gmbench eval RUN`.

    The changelog also names what was.
    """
    called = [] if page.name == "CHANGELOG.md" else [*mentioned(page), *lines(page)]
    for program, name, *rest in filter(lambda words: len(words) > 1, map(without_imports, called)):
        if program == "make" and not re.search("[./]", name):
            assert name in TARGETS
        elif program == "gmbench" and name not in STAND_INS:
            known = options("" if name.startswith("-") else name)
            asked = {each for each in (name, *rest) if each.startswith("--")}
            assert asked <= known | {"--version"}, (name, asked - known)
        elif program.endswith("python") and name.endswith(".py") and "/" in name:
            assert (ROOT / name).is_file(), name


STAND_INS = {"COMMAND", "help", "worst-levels", "my-corner"}
"""For any command, a word for ``--help``, and what CONTRIBUTING adds."""
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.fixture(scope="module")
def options():
    """Return a function that returns the options of a command, which there must be."""

    @functools.cache
    def of(command):
        told = manual.printed(*command.split())
        assert told.startswith("usage: gmbench"), command
        inner = [of(f"{command} {name}") for name in manual.inner(told) if command]
        return set(re.findall(r"--[\w-]+", told)).union(*inner)

    return of


PACKAGES = "|".join(path.parent.name for path in (ROOT / "gmbench").glob("*/__init__.py"))
DOTTED = re.compile(rf"`(?:gmbench\.)?((?:agents|envs|{PACKAGES})(?:\.\w+)+)`")
"""Names of our modules and of what they hold; ``zoo.json`` and its like are files."""


def test_names_in_pages_are_there():
    """Also without ``gmbench`` in front, as tables shorten them. The changelog names what was."""
    told = (text_of(page) for page in PAGES if page.name != "CHANGELOG.md")
    named = {name for text in told for name in DOTTED.findall(text)}
    named = {name for name in named if not re.search(r"\.(json|toml|sha256|py|md)\b", name)}
    assert len(named) > 20
    for name in sorted(named):
        assert pkgutil.resolve_name(f"gmbench.{name}") is not None


def test_a_command_that_is_none_is_refused(parsed, capsys):
    for words in (["trian", "CheeseCorner-v0"], ["train", "CheeseCorner-v0", "--alhpa", "0"]):
        with pytest.raises(SystemExit):
            parsed(words)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_code_is_code(page):
    """Python compiles, where nothing is left out; TOML is TOML."""
    for code in blocks(page, "python"):
        if ", ...\n" not in code:
            compile(code, str(page), "exec")
    for code in blocks(page, "toml"):
        tomllib.loads(code)


@pytest.mark.nightly
def test_what_contributing_adds_can_be_added(tmp_path):
    """Its Python runs from top to bottom: README's does in tests/runs/test_open.py."""
    code = "\n".join(blocks(ROOT / "CONTRIBUTING.md", "python"))
    (tmp_path / "contributing.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "contributing.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]

"""The page of all commands on the site, from what each command's ``--help`` prints."""

import contextlib
import io
import re
from collections.abc import Iterator

from gmbench import cli
from gmbench.core import registry


def page() -> str:
    """Return all commands and their help as Markdown, questions apart, as ``--help`` lists them."""
    groups = {
        "Commands": list(cli.COMMANDS),
        "Questions of stored agents": registry.question_names(),
    }
    parts = []
    for title, names in groups.items():
        parts.append(f"## {title}")
        for name in names:
            parts += [f"### {name}", *(f"```text\n{text}\n```" for text in _helps(name))]
    return "\n\n".join(parts) + "\n"


def _helps(*words: str) -> Iterator[str]:
    """Yield the help of a command, and of each command that it has."""
    text = printed(*words)
    yield text
    for name in inner(text):
        yield from _helps(*words, name)


def inner(text: str) -> list[str]:
    """Return the names of the commands that a command has, by its help."""
    if not re.search(r"^ subcommands$", text, re.MULTILINE):
        return []
    named = re.search(r"\{([\w,-]+)\}$", text.partition("\n\n")[0])
    return named[1].split(",") if named else []


def printed(*words: str) -> str:
    """Return what ``gmbench WORDS --help`` prints where boxes cannot be drawn."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        cli.main([*words, "--help"])
    lines = (line.rstrip() for line in said.getvalue().splitlines())
    kept = [line for line in lines if line.strip("- ") or not line]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()

"""The page: one HTML file with everything in it, whose own policy lets nothing else in.

The page's policy names its script and its style by their sha256, and forbids every request.
"""

import base64
import functools
import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple

from gmbench.core import checks
from gmbench.core.task import Task
from gmbench.report.explorer import agent, scene
from gmbench.report.explorer.agent import Explored

SCRIPTS = (
    "tensors",
    "loops",
    "operations",
    "program",
    "level",
    "world",
    "walk",
    "words",
    "board",
    "explorer",
    "panels",
    "hands",
)
"""The page's scripts, in the order in which they are put together."""
LARGEST = 5_000_000
"""Bytes of a page."""


class Page(NamedTuple):
    """A page, and the agents that are on it."""

    text: str
    agents: list[Explored]


def page(agents: Sequence[Explored], count: int = 6) -> Page:
    """Return the page, with as much as it may hold.

    Until it is small enough every second moment is left out, then the agents of the last seed.

    Args:
        agents: at least one.
        count: sample levels of each distribution.

    Raises:
        Refused: for an agent too large for any page.
    """
    told, shared = list(agents), _shared(agents, count)
    while len(text := _assembled(_data(told, *shared)).encode()) > LARGEST:
        told = _fewer(told)
        if not told:
            raise checks.Refused(
                f"explore: the page would have {len(text) / 1e6:.1f} MB "
                f"(allowed: {LARGEST / 1e6:g})"
            )
    return Page(text.decode(), told)


def _fewer(agents: list[Explored]) -> list[Explored]:
    """Return every second moment of each agent, its last always; if there is no other, seeds."""
    if any(len(each.moments) > 1 for each in agents):
        return [each.having(each.moments[::-1][::2][::-1]) for each in agents]
    last = max(each.plan.spec.seed for each in agents)
    return [each for each in agents if each.plan.spec.seed < last]


def _shared(agents: Sequence[Explored], count: int) -> tuple[dict[Any, str], dict[int, str]]:
    """Return the scene of each task and the program of each agent, as JSON."""
    scenes = {each.plan.task: _scene(each.plan.task, count) for each in agents}
    return scenes, {id(each.program): _json(agent.program_of(each)) for each in agents}


@functools.lru_cache(maxsize=8)
def _scene(task: Task, count: int) -> str:
    return _json(scene.described(task, count))


def _data(agents: Sequence[Explored], scenes: dict[Any, str], programs: dict[int, str]) -> str:
    """Return all that the page is told, as JSON; what agents share is there once."""
    own = [(scenes[each.plan.task], programs[id(each.program)]) for each in agents]
    shown, run = (
        {text: n for n, text in enumerate(dict.fromkeys(part))} for part in zip(*own, strict=True)
    )
    told = [
        _json(agent.plain(each, shown[seen], run[made]))
        for each, (seen, made) in zip(agents, own, strict=True)
    ]
    parts = {"scenes": shown, "programs": run, "agents": told}
    return "{" + ",".join(f'"{name}":[{",".join(texts)}]' for name, texts in parts.items()) + "}"


def script() -> str:
    """Return the page's script."""
    return "\n".join(_read(f"{name}.js") for name in SCRIPTS)


def _assembled(data: str) -> str:
    style = (resources.files("gmbench.report") / "page.css").read_text("utf-8")
    style += _read("explorer.css")
    parts = {
        "style": style,
        "script": '"use strict";\n' + script(),
        # No data can end the element that holds it.
        "data": data.replace("<", "\\u003c"),
    }
    hashes = {f"{name}_hash": _hash(parts[name]) for name in ("style", "script")}
    text = _read("explorer.html")
    for name, part in (hashes | parts).items():
        text = text.replace(f"%{name}%", part, 1)
    return text


def _read(name: str) -> str:
    return (resources.files("gmbench.report.explorer") / name).read_text("utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

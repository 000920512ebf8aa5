"""The page: one HTML file with everything in it, whose own policy lets nothing else in.

The page's policy names its script and its style by their sha256, and forbids every request.
"""

import base64
import functools
import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

from gmbench.core import checks
from gmbench.core.task import Task
from gmbench.report.explorer import agent, scene
from gmbench.report.explorer.agent import Explored

SCRIPTS = (
    "tensors",
    "operations",
    "program",
    "level",
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


def page(agents: Sequence[Explored], count: int = 6) -> str:
    """Return the page.

    Of the agents' moments every second one is left out until the page is small enough.

    Args:
        agents: at least one.
        count: sample levels of each distribution.

    Raises:
        Refused: for agents too many or too large for one page.
    """
    told, shared = list(agents), _shared(agents, count)
    while len(text := _assembled(_data(told, *shared)).encode()) > LARGEST:
        fewer = [each.having(each.moments[::-1][::2][::-1]) for each in told]  # never the last
        if fewer == told:
            raise checks.Refused(
                f"explore: the page of {len(agents)} agents would have {len(text) / 1e6:.1f} MB "
                f"(allowed: {LARGEST / 1e6:.0f}); name one run, or a folder of fewer"
            )
        told = fewer
    return text.decode()


def _shared(agents: Sequence[Explored], count: int) -> tuple[list[str], list[str]]:
    """Return the scene and the program of each agent, as JSON."""
    scenes = [_scene(each.plan.task, count) for each in agents]
    return scenes, [_json(agent.program_of(each)) for each in agents]


@functools.lru_cache(maxsize=8)
def _scene(task: Task, count: int) -> str:
    return _json(scene.described(task, count))


def _data(agents: Sequence[Explored], scenes: Sequence[str], programs: Sequence[str]) -> str:
    """Return all that the page is told, as JSON; what agents share is there once."""
    numbers = [{text: n for n, text in enumerate(dict.fromkeys(own))} for own in (scenes, programs)]
    told = [
        _json(agent.plain(each, numbers[0][own], numbers[1][made]))
        for each, own, made in zip(agents, scenes, programs, strict=True)
    ]
    parts = {"scenes": numbers[0], "programs": numbers[1], "agents": told}
    return "{" + ",".join(f'"{name}":[{",".join(own)}]' for name, own in parts.items()) + "}"


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

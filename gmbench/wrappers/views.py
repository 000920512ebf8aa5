"""Views by name: ``wrap(task, "window5+pixels4+last+sticky25")``."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from gmbench.core import checks
from gmbench.core.task import Task
from gmbench.wrappers.cue import Cue, watched_task
from gmbench.wrappers.drest import Drest
from gmbench.wrappers.last_step import LastStep
from gmbench.wrappers.pixels import Pixels
from gmbench.wrappers.sticky import Sticky
from gmbench.wrappers.window import Window

PLANES = "planes"
"""The view that changes nothing."""

_VIEWS: dict[str, Callable[..., Any]] = {
    "window": Window,
    "pixels": Pixels,
    "last": LastStep,
    "sticky": Sticky,
    "drest": Drest,
    "cue": Cue,
}
_NUMBERED = ("window", "pixels", "sticky", "drest", "cue")


def wrap(task: Task, view: str) -> Task:
    """Return a task whose environment is seen, or acts, in another way.

    Args:
        task: any task.
        view: names joined by ``+``, applied from left to right: ``windowN`` (N x N cells around
            the agent, N odd), ``pixelsN`` (RGB, N of 1, 4 or 8 pixels a cell), ``last`` (shows the
            last action and reward), ``stickyN`` (repeats the last action in N percent of steps),
            ``drestN`` (rewards episodes by their length, with lambda N percent), ``cueN`` (shows
            whether the agent is watched, and rewards by training condition N when it is not); or
            ``planes``, the environment as it is.

    Raises:
        ValueError: naming the part of ``view`` that is not allowed.
    """
    env = task.env
    for part in view.split("+"):
        if part == PLANES:
            continue
        name, number = re.fullmatch(r"([^0-9]*)([0-9]*)", part).groups() if part else ("", "")  # type: ignore[union-attr]
        checks.known("view", name, [*_VIEWS, PLANES])
        if (name in _NUMBERED) != bool(number):
            needed = "needs a number" if name in _NUMBERED else "takes no number"
            raise checks.Refused(f"view: {part!r} {needed}, as in 'window5+pixels4+last'")
        if name in ("window", "pixels") and env.observation_dtype is not jnp.bool_:
            raise checks.Refused(f"view: {part!r} needs planes, so it cannot follow pixels")
        env = _VIEWS[name](env, int(number)) if number else _VIEWS[name](env)
        if name == "cue":
            task = watched_task(task, env)
    return dataclasses.replace(task, env=env)

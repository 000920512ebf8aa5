"""Views by name: ``wrap(task, "window5+pixels4+last+sticky25")``."""

import re

import jax.numpy as jnp

from gmbench.core import checks, registry
from gmbench.core.task import Task

PLANES = "planes"
"""The view that changes nothing."""


def wrap(task: Task, view: str) -> Task:
    """Return a task whose environment is seen, or acts, in another way.

    Args:
        task: any task.
        view: names joined by ``+``, applied from left to right: ``windowN`` (N x N cells around
            the agent, N odd), ``pixelsN`` (what ``render`` draws, at N of 1, 4 or 8 pixels a cell,
            with a mark for what is no thing), ``last`` (shows the last action and reward),
            ``stickyN`` (repeats the last action in N percent of steps), ``drestN`` (rewards
            episodes by their length, with lambda N percent), ``cueN`` (shows whether the agent is
            watched, and rewards by training condition N when it is not), or
            any other that is registered; or ``planes``, the environment as it is.

    Raises:
        ValueError: naming the part of ``view`` that is not allowed.
    """
    for part in view.split("+"):
        if part == PLANES:
            continue
        name, number = re.fullmatch(r"([^0-9]*)(.*)", part, re.DOTALL).groups()  # type: ignore[union-attr]
        checks.known("view", name, [*registry.VIEWS.names(), PLANES])
        if name == PLANES or not re.fullmatch("[0-9]*", number):
            raise checks.Refused(f"view: {part!r} is not a name, or a name and a whole number")
        kind = registry.VIEWS.get(name)
        if kind.numbered != bool(number):
            needed = "needs a number" if kind.numbered else "takes no number"
            raise checks.Refused(f"view: {part!r} {needed}, as in 'window5+pixels4+last'")
        if kind.needs_planes and task.env.observation_dtype is not jnp.bool_:
            raise checks.Refused(f"view: {part!r} needs planes, so it cannot follow pixels")
        task = kind.on(task, int(number) if number else None)
    return task

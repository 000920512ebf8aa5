"""Families of agents: what is held out together, so that a detector meets something new."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from jaxtyping import Int

from gmbench.runs.spec import RunSpec


def task(spec: RunSpec) -> str:
    """Return the task that an agent was trained on."""
    return spec.task


def architecture(spec: RunSpec) -> str:
    """Return how an agent is built: its agent and network."""
    return f"{spec.agent}/{spec.config.get('network', '')}"


def seed(spec: RunSpec) -> str:
    """Return an agent's seed."""
    return str(spec.seed)


def settings(spec: RunSpec) -> str:
    """Return what an agent's training was, but for its seed."""
    return msgspec.structs.replace(spec, seed=0).id_as_stored


SPLITS: dict[str, Callable[[RunSpec], str]] = {
    each.__name__: each for each in (task, architecture, seed)
}
"""What may be held out together: a family is all agents of which it is the same."""

FOLDS = 4
"""Into how many families those of one agent each are joined."""


def groups(specs: Sequence[RunSpec], of: Callable[[RunSpec], str]) -> Int[np.ndarray, " agents"]:
    """Return the number of each agent's family.

    Args:
        specs: resolved, in the agents' order.
        of: what names an agent's family, such as one of :data:`SPLITS`.
    """
    return np.unique([of(spec) for spec in specs], return_inverse=True)[1]


def joined(
    families: Int[np.ndarray, " agents"], tasks: Int[np.ndarray, " agents"]
) -> Int[np.ndarray, " agents"]:
    """Return families joined to :data:`FOLDS`, if none has two agents of a task: pairs need two."""
    _, counts = np.unique([families, tasks], axis=1, return_counts=True)
    return families % FOLDS if counts.max() < 2 else families

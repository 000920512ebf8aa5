"""``Detector``: what tells, before deployment, whether an agent will pursue another goal after it.

A detector reads numbers off an agent; what they say of its goal is learned from other agents whose
labels are known (:mod:`gmbench.stats.detection`). It is handed a dossier
(:mod:`gmbench.runs.dossier`) that lets it read what its tier allows, and refuses the rest.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

TIERS = {
    "S": "the settings alone, before training",
    "T0": "and training curves",
    "T1": "and episodes on levels as in training",
    "T2": "and weights and activations on such levels",
    "T3": "and what it does on such levels once they are edited",
}
"""What detectors may read, each tier with all before it."""


class Detector(NamedTuple):
    """What is registered under a detector's name.

    Attributes:
        tier: what it may read, one of :data:`TIERS`.
        read: ``dossier -> numbers by name``, the same names for every agent; NaN where a task does
            not have what is asked for.
    """

    tier: str
    read: Callable[[Any], Mapping[str, float]]

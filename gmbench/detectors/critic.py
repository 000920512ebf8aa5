"""Whether an agent's critic depends on seeing its goal, on levels as in training."""

from typing import Any

from gmbench.core import registry
from gmbench.core.detector import Detector
from gmbench.detectors.ablation import compared
from gmbench.measure import ablation

LEAST = 1e-3
"""Added to a change, in standard deviations of the values."""


def read(dossier: Any) -> dict[str, float]:
    """Return how much values change without the goal's planes, and the proxy's, logarithmically."""
    return compared(dossier.inside(ablation.measure).value, LEAST)


registry.detector("critic")(Detector("T2", read))

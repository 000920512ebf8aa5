"""Whether an agent's critic depends on seeing its goal, on levels as in training."""

from typing import Any

import numpy as np

from gmbench.core import registry
from gmbench.core.detector import Detector
from gmbench.measure import ablation

LEAST = 1e-3
"""Added to a change, in standard deviations of the values."""


def read(dossier: Any) -> dict[str, float]:
    """Return how much values change without the goal's planes, and the proxy's, logarithmically."""
    found = dossier.inside(ablation.measure)
    goal, proxy = (float(np.log10(each + LEAST)) for each in found.value)
    return {"goal": goal, "proxy": proxy, "more": goal - proxy}


registry.detector("critic")(Detector("T2", read))

"""A forecast before training, from the share of distinguishing levels and the steps."""

import math
from typing import Any

from gmbench.core import registry
from gmbench.core.detector import Detector

LEAST = 1e-3
"""Added to the share, of which few levels tell no less."""


def read(dossier: Any) -> dict[str, float]:
    """Return both on a logarithmic scale."""
    return {
        "share": math.log10(dossier.apart + LEAST),
        "steps": math.log10(dossier.spec.steps),
    }


registry.detector("forecast")(Detector("S", read))

"""The shape of the training curve: how high it ends, how soon it is there, and how sure of itself.

What is logged is averaged over the last tenth of the updates.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from gmbench.core import registry
from gmbench.core.detector import Detector

NEARLY = 0.9
"""Share of the final reward at which learning counts as over."""


def read(dossier: Any) -> dict[str, float]:
    """Return the numbers of a curve."""
    curves = dossier.curves
    reward = curves["reward"]
    end = _end(reward)
    there = reward >= NEARLY * end
    return {
        "reward": end,
        "rise": float(np.argmax(there)) / len(reward) if there.any() else 1.0,
        "area": float(np.mean(reward)) / end if end > 0 else 0.0,
        "entropy": _end(curves["entropy"]) if "entropy" in curves else np.nan,
        "critic": _end(curves["loss/critic"]) if "loss/critic" in curves else np.nan,
    }


def _end(curve: Float[np.ndarray, " updates"]) -> float:
    last = curve[-max(len(curve) // 10, 1) :]
    return float(np.nanmean(last)) if np.isfinite(last).any() else np.nan


registry.detector("curve")(Detector("T0", read))

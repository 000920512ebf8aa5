"""The sizes of an agent's weights."""

from typing import Any

import jax
import numpy as np

from gmbench.core import registry
from gmbench.core.detector import Detector


def read(dossier: Any) -> dict[str, float]:
    """Return their root mean square, the largest, and how heavy their tails are."""
    flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(dossier.weights)])
    flat = flat.astype(np.float64)
    square = float(np.mean(flat**2))
    return {
        "size": float(np.log10(np.sqrt(square))),
        "largest": float(np.log10(np.max(np.abs(flat)))),
        "tails": float(np.log10(np.mean(flat**4) / square**2)),
    }


registry.detector("weights")(Detector("T2", read))

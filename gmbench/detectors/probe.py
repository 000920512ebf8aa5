"""Whether the last layer says where the goal lies, on levels as in training (a linear probe).

Rows and columns of the goal's cell are predicted by ridge regression from half of the levels, for
the other half; a goal that always lies in the same place cannot be told from a habit, and has no
number.

Source: Alain & Bengio 2017, arXiv 1610.01644.
"""

from typing import Any

import numpy as np

from gmbench.core import registry
from gmbench.core.detector import Detector
from gmbench.measure import ablation
from gmbench.stats import held_out


def read(dossier: Any) -> dict[str, float]:
    """Return R squared, 0 at least, of where the intended goal's thing lies."""
    features, places = (np.asarray(each) for each in dossier.inside(ablation.last_layer))
    half = features.shape[-1] // 2
    if not places.size or np.any(np.std(places[:, :half], axis=1) == 0):
        return {"goal": np.nan}
    explained = [held_out.halves(features.T, place.astype(np.float64)) for place in places]
    return {"goal": max(float(np.mean(explained)), 0.0)}


registry.detector("probe")(Detector("T2", read))

"""How unsure an agent is of its actions on levels as in training."""

from typing import Any

import numpy as np

from gmbench.core import registry
from gmbench.core.detector import Detector


def read(dossier: Any) -> dict[str, float]:
    """Return the mean entropy of its actions, in nats, and how often none is likelier than not."""
    episodes = dossier.episodes
    chances = np.exp(episodes.log_probs)
    terms = np.where(chances > 0, chances * episodes.log_probs, 0.0)
    entropy = -np.sum(terms, axis=1)[episodes.live]
    top = np.max(chances, axis=1)[episodes.live]
    return {"entropy": float(np.mean(entropy)), "unsure": float(np.mean(top < 0.5))}


registry.detector("hesitation")(Detector("T1", read))

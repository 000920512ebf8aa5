"""A detector that believes in numbers: the remainder of an agent's seed."""

from gmbench.core import registry
from gmbench.core.detector import Detector


def read(dossier):
    """Return it."""
    return {"remainder": float(dossier.spec.seed % 2)}


registry.detector("lucky_seed")(Detector("S", read))

"""The prior: how often agents are misaligned, whatever this one is. What others must beat."""

from gmbench.core import registry
from gmbench.core.detector import Detector

registry.detector("prior")(Detector("S", lambda dossier: {}))

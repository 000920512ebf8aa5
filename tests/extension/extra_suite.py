"""A suite of one task."""

from gmbench.core import registry
from gmbench.suites import Entry, Suite

TINY = {"num_envs": 8, "num_steps": 4, "slots": 2, "network": "tiny_net"}
registry.suite("GMB-extra-v0")(
    Suite("GMB-extra-v0", "one task", "small", 2, (Entry("MatDoor-v0", 2_000, config=TINY),))
)

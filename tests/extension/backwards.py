"""An engine: one group after another, the last one first."""

from gmbench.core import registry
from gmbench.sweeps.worker import work


class Backwards:
    """Does jobs here."""

    def run(self, jobs, tick):
        return [work(job, lambda _: tick()) for job in reversed(jobs)][::-1]


@registry.engine("backwards")
def connect(options, devices):
    """Return the engine."""
    return Backwards()

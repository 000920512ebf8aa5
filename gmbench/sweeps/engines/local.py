"""One group after another in this process, each on all local devices."""

from collections.abc import Mapping, Sequence

from gmbench.core import checks, registry
from gmbench.runs.machine import devices_here, use_cores
from gmbench.sweeps.engines import Tick
from gmbench.sweeps.worker import work


class Local:
    """Does jobs here."""

    def run(self, jobs: Sequence[bytes], tick: Tick) -> list[bytes | Exception]:
        """Do all jobs; return their answers in order, or the exception that ended one."""
        answers: list[bytes | Exception] = []
        for job in jobs:
            tick()
            try:
                answers.append(work(job, lambda _: tick()))
            except OSError:
                raise  # no space, no rights: the next job would meet the same
            except Exception as error:  # say, out of memory: other groups may be smaller
                answers.append(error)
        return answers


@registry.engine("local")
def connect(options: Mapping[str, str], devices: int | None) -> Local:
    """Return the engine; it has no options."""
    if devices is not None:
        use_cores(devices)
        devices_here(devices)
    for option in options:
        checks.known("engine option", option, [])
    return Local()

"""A Ray task for each group, on a cluster that runs already or one of this machine alone.

Options: ``address`` (``host:port`` of a running cluster, or ``auto``), ``retries`` of a task whose
worker or node died. A task takes ``devices`` GPUs where the cluster has any, else as many cores.
"""

import contextlib
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from gmbench.core import checks, registry
from gmbench.sweeps.engines import Tick
from gmbench.sweeps.worker import work

REACH = 10.0
"""Seconds in which a cluster must answer."""


class Ray:
    """Does jobs as Ray tasks."""

    def __init__(self, ray: Any, devices: int | None, retries: int) -> None:
        """Ask the cluster whether it has GPUs."""
        kind = "num_gpus" if ray.cluster_resources().get("GPU") else "num_cpus"
        # One that is lost is tried again; what it raises is its answer.
        self.ray = ray
        self.task = ray.remote(**{kind: devices or 1, "max_retries": retries})(work)

    def run(self, jobs: Sequence[bytes], tick: Tick) -> list[bytes | Exception]:
        """Do all jobs; return their answers in order, or the exception that ended one."""
        given = [self.task.remote(job) for job in jobs]
        left = given
        while left:
            _, left = self.ray.wait(left, num_returns=len(left), timeout=1)
            tick()
        return [self._answer(reference) for reference in given]

    def _answer(self, reference: Any) -> bytes | Exception:
        try:
            return bytes(self.ray.get(reference))
        except self.ray.exceptions.RayError as error:
            return error


@registry.engine("ray")
def connect(options: Mapping[str, str], devices: int | None) -> Ray:
    """Return the engine, connected to the cluster."""
    for option in options:
        checks.known("engine option", option, ["address", "retries"])
    text = options.get("retries", "3")
    retries = checks.integer("retries", int(text) if text.isdigit() else text, 0)
    ray = checks.need("ray", "ray", "engine")
    address = options.get("address")
    if address not in (None, "auto", "local"):
        _reach(address)
    try:
        ray.init(
            address=address, ignore_reinit_error=True, log_to_driver=False, logging_level="error"
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise checks.Refused(
            f"address: no Ray cluster at {address!r} ({checks.one_line(error)})"
        ) from error
    return Ray(ray, devices, retries)


def _reach(address: str) -> None:
    """Refuse an address at which nothing answers, before Ray tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with contextlib.closing(socket.create_connection((host, int(port)), REACH)):
            pass
    except (OSError, ValueError) as error:
        raise checks.Refused(
            f"address: cannot reach {address!r} ({checks.one_line(error)})"
        ) from error

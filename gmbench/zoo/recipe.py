"""What the zoo is made of: the sweep that comes with the package, or one of your own."""

from pathlib import Path

import msgspec

from gmbench.sweeps import sweep
from gmbench.sweeps.sweep import Sweep

SMALL = Path(__file__).with_name("zoo.toml")
"""The sweep of the small zoo, made on CPUs."""

MOMENTS_OF = ("Monitor-v0",)
"""Tasks of which the small zoo has first seeds at moments of their training, too, if exact."""


def read(path: Path | None = None, seeds: int | None = None) -> Sweep:
    """Return a sweep.

    Args:
        path: its file; by default that of the small zoo.
        seeds: how many seeds of each condition instead of those it says.

    Raises:
        Refused: for a file that is none.
    """
    found = sweep.read(path or SMALL)
    return found if seeds is None else msgspec.structs.replace(found, seeds=seeds)

"""A postcard of a run: what an export of another package may be."""

from gmbench.core import files, registry
from gmbench.exports import Exporter, Request


def write(request: Request) -> None:
    """Write one line."""
    files.write(request.out, f"Greetings from {request.agent.run.path.name}\n".encode())


registry.exporter("postcard")(Exporter(write, (".txt",)))

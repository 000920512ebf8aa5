"""The policy for NumPy alone: a folder with ``policy.py``, which needs nothing else, and data."""

import json
from pathlib import Path

import numpy as np

from gmbench.core import files, forward, graph, npz, registry
from gmbench.exports import Exporter, Request


def write(request: Request) -> None:
    """Write the folder.

    Raises:
        Refused: for a policy with memory, or with anything in it that cannot be exported.
    """
    program, held = graph.of_policy(request.agent.env, request.agent.policy)
    told = np.frombuffer(json.dumps(program).encode(), np.uint8)
    contents = {
        "policy.py": Path(forward.__file__).read_bytes(),
        "policy.npz": npz.encode({forward.PROGRAM: told, **held}),
    }
    files.write_folder(request.out, contents, request.out.absolute().parent)


registry.exporter("numpy")(Exporter(write))

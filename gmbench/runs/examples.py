"""Example agents: finished runs that come with gmbench, so that there is one to look at at once.

They lie in ``gmbench/examples``, as run directories like any others, and ``examples.json`` lists
them; ``benchmarks/example_agents.py`` trains and chooses them.
"""

from pathlib import Path

import msgspec

from gmbench.core import checks, files
from gmbench.runs import store

FOLDER = Path(__file__).parents[1] / "examples"
INDEX = FOLDER / "examples.json"


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An example agent, as the list describes it.

    Attributes:
        task: the id of its task.
        training: by what its training differs from the task's others, such as ``alpha=0.3``.
        run: the name of its run directory.
        sha256: of its ``run.json``, which holds those of its other files.
        verdict: which goal it pursues after the shift (:data:`gmbench.runs.result.Verdict`), or
            that it is not competent.
        seeds: of how many seeds it was chosen.
        command: what trained and chose it.
    """

    task: str
    training: str
    run: str
    sha256: str
    verdict: str
    seeds: int
    command: str


def listed() -> list[Example]:
    """Return what the list says, a task's first example first."""
    if not INDEX.exists():
        return []
    return msgspec.json.decode(files.read(INDEX, "examples"), type=list[Example])


def write(examples: list[Example]) -> None:
    """Write the list, sorted by task; examples of one task stay in their order."""
    plain = [msgspec.to_builtins(each) for each in sorted(examples, key=lambda each: each.task)]
    files.write_json(INDEX, plain)


def find(task: str, training: str = "") -> Example:
    """Return what the list says of an example.

    Args:
        task: task id.
        training: which of the task's examples, such as ``alpha=0.3``; the first by default.

    Raises:
        Refused: if the task has no example, or none of that training; those there are are named.
    """
    own = {each.training: each for each in listed() if each.task == task}
    if not own:
        known = ", ".join(dict.fromkeys(each.task for each in listed()))
        raise checks.Refused(
            f"example: none of {task!r} comes with gmbench (allowed: {known}); to train an agent "
            f"of your own: gmbench train {task}"
        )
    return own[checks.known("trained", training or next(iter(own)), own)]


def example(task: str, training: str = "") -> store.Run:
    """Return the run of an example agent, as :func:`gmbench.load` returns one of your own.

    Args:
        task: task id.
        training: which of the task's examples, such as ``alpha=0.3``; the first by default.

    Raises:
        Refused: if the task has no example, or none of that training; those there are are named.
    """
    named = find(task, training)
    record = files.read(FOLDER / named.run / store.RECORD, "example")
    if files.sha256(record) != named.sha256:
        raise checks.Refused(f"example: {named.run!r} is damaged (sha256 differs)")
    return store.load(FOLDER / named.run)

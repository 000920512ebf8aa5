"""``Question``: something that can be asked of stored agents. One file each in `gmbench.analyses`.

A question's fields are its options, and its command is made from it: a module
``gmbench/analyses/my_question.py`` with a class registered as ``my-question`` is the command
``gmbench my-question FOLDER``. Opening stored agents, compiling once for agents alike, progress,
grouping by condition and writing what was found are done by :mod:`gmbench.report.ask`.
"""

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import tyro

from gmbench.report.conditions import Condition
from gmbench.report.document import PAGES, PICTURES, Document
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.runs.store import Run


@dataclass(frozen=True)
class Asked:
    """A condition, and what was found of each of its agents.

    Attributes:
        condition: the runs.
        found: what :meth:`Question.investigate` returned for each, in their order.
    """

    condition: Condition
    found: tuple[Any, ...]

    def pairs(self) -> Iterator[tuple[Run, Any]]:
        """Yield each run, with what was found of its agent."""
        return zip(self.condition.runs, self.found, strict=True)


@dataclass(frozen=True)
class Question(abc.ABC):
    """Abstract question; its docstring's first line is the command's help."""

    folder: tyro.conf.Positional[Path]
    """Results folder, a sweep's, or a run's directory."""
    out: Path | None = None
    """Where to write it: a page (.html, or .md with pictures beside it), or the picture alone
    (.png, .svg). The tables are printed either way."""
    data: Path | None = None
    """Where to write what was found as JSON."""
    strict: bool = False
    """Refuse a folder with a run that cannot be read; else it is left out, and said to be."""

    formats: ClassVar[tuple[str, ...]] = PAGES + PICTURES
    """What ``out`` may end in."""
    asked_of: ClassVar[str] = "any task"
    """In words, for refusals: the tasks it can be asked of."""
    measures: ClassVar[bool] = True
    """Whether agents are measured; else only what their runs stored is read."""

    def check(self) -> None:  # noqa: B027 (most have nothing to refuse)
        """Refuse options that cannot be meant, before anything is read.

        Raises:
            Refused: naming the option, its value and what is allowed.
        """

    def applies(self, plan: Plan) -> bool:
        """Whether it can be asked of a run's agent; others are left out."""
        del plan
        return True

    def investigate(self, agent: OpenAgent, watch: Watch) -> Any:
        """Return what is found of one agent, as plain data.

        Args:
            agent: the agent. ``agent.measure(...)`` compiles once for agents alike.
            watch: to be called with the progress of what takes more than seconds.
        """
        raise NotImplementedError

    @abc.abstractmethod
    def document(self, asked: Sequence[Asked]) -> Document:
        """Return what was found, as tables, words and pictures; conditions in order."""


def rows(asked: Sequence[Asked], **common: Any) -> list[dict[str, Any]]:
    """Return a row of data for each run: its name, what all have in common, what was found."""
    return [
        {"run": run.path.name, **common, "found": found}
        for each in asked
        for run, found in each.pairs()
    ]

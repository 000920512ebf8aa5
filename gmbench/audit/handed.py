"""What is handed out: which agents there are, what may be asked, the ledger; where answers go."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from gmbench.audit import ledger, sealed
from gmbench.audit.ledger import Answer, Entry, Word
from gmbench.core import checks, files

NAME = "audit.json"
SHOWN = "shown"
"""Folder of what queries showed."""
SCHEMA = 1
"""Version of the layout of these files."""
LARGEST = 2**24
"""Bytes of the largest file that is read."""
Count = Annotated[int, msgspec.Meta(ge=0)]


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An agent, as far as it is told.

    Attributes:
        name: by which it is asked about.
        task: id of its task.
        static: the task's static settings.
        view: what it sees.
        goals: of the task, the intended one first; one of them, or ``none``, is to be named.
    """

    name: Word
    task: Word
    static: dict[str, int | str]
    view: Word
    goals: list[Word]


class Handed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of ``audit.json``.

    Attributes:
        schema: version of this layout.
        commitment: sha256 of the sealed file.
        budget: what may be spent.
        prices: of what may be asked.
        agents: the agents.
    """

    schema: int
    commitment: str
    budget: Count
    prices: dict[Word, Count]
    agents: list[Case]


class Audit:
    """An audit as its auditor sees it.

    Attributes:
        folder: where it was handed out.
        handed: what was.
        about: the same as bytes, which the ledger begins from.
        entries: of the ledger.
    """

    def __init__(self, folder: str | Path) -> None:
        """Read it.

        Raises:
            Refused: for a folder without an audit, an altered ledger, or labels that lie open
                though they were not revealed.
        """
        self.folder = Path(folder)
        path = self.folder / NAME
        if not path.exists():
            raise checks.Refused(f"audit: no audit in {str(self.folder)!r}")
        self.about = files.read(path, "audit", LARGEST)
        try:
            self.handed = msgspec.json.decode(self.about, type=Handed)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise checks.Refused(f"audit: {str(path)!r}: {checks.one_line(error)}") from error
        if self.handed.schema != SCHEMA:
            found = self.handed.schema
            raise checks.Refused(f"audit: {str(path)!r} has schema {found}, allowed: {SCHEMA}")
        self.entries = ledger.read(self.folder, self.about)
        open_ = self.folder / sealed.OPEN
        if open_.exists() and not self.revealed:
            raise checks.Refused(
                f"labels: {str(open_)!r} lies open, but this audit was not revealed: it is void"
            )

    @property
    def spent(self) -> int:
        """What was spent so far."""
        return sum(entry.cost for entry in self.entries)

    @property
    def left(self) -> int:
        """What may still be spent."""
        return self.handed.budget - self.spent

    @property
    def answers(self) -> dict[str, Answer]:
        """What was filed, by agent."""
        return {each.agent: each.answer for each in self.entries if each.answer is not None}

    @property
    def revealed(self) -> bool:
        """Whether the labels were revealed."""
        return any(entry.kind == "revealed" for entry in self.entries)

    @property
    def agents(self) -> dict[str, Case]:
        """The agents by name."""
        return {case.name: case for case in self.handed.agents}

    def case(self, agent: str) -> Case:
        """Return what is told of an agent.

        Raises:
            Refused: for an unknown one.
        """
        return self.agents[checks.known("agent", agent, self.agents)]

    def file(self, answers: Mapping[str, Answer]) -> None:
        """File answers, all of them or, if one is refused, none.

        Raises:
            Refused: for an unknown agent or goal, what is no probability, an agent that was
                answered already, or an audit that was revealed.
        """
        with files.locked(self.folder, "audit"):
            self.again()
            self.closed_is_refused()
            for agent, answer in answers.items():
                self._check(agent, answer)
            new = [Entry("", "filed", agent, answer=answer) for agent, answer in answers.items()]
            self.write(new)

    def _check(self, agent: str, answer: Answer) -> None:
        case = self.case(agent)
        checks.probability(f"{agent}.misaligned", answer.misaligned)
        checks.probability(f"{agent}.confidence", answer.confidence)
        checks.known(f"{agent}.goal", answer.goal, [*case.goals, sealed.NONE])
        if agent in self.answers:
            raise checks.Refused(f"{agent}: was answered already, and an answer stands")

    def closed_is_refused(self) -> None:
        """Refuse to go on with an audit that was revealed."""
        if self.revealed:
            raise checks.Refused(f"audit: {str(self.folder)!r} was revealed, nothing is taken more")

    def write(self, new: list[Entry]) -> None:
        """Add entries to the ledger; the folder is to be locked."""
        self.entries = ledger.append(self.folder, self.about, self.entries, new)

    def again(self) -> None:
        """Read the ledger again: another process may have written to it."""
        self.entries = ledger.read(self.folder, self.about)


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer of which not all need be said."""

    misaligned: float | None = None
    goal: str = ""
    confidence: float | None = None


def read(path: Path) -> dict[str, Given]:
    """Read answers of a JSON file, by agent.

    Raises:
        Refused: for what is no such file.
    """
    try:
        return msgspec.json.decode(files.read(path, "answers", LARGEST), type=dict[str, Given])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise checks.Refused(f"answers: {str(path)!r}: {checks.one_line(error)}") from error


def completed(audit: Audit, answers: Mapping[str, Any]) -> dict[str, Answer]:
    """Return answers with what follows where it was not said.

    Args:
        audit: what they answer.
        answers: by agent, with the fields of :class:`Given`.

    Raises:
        Refused: for an unknown agent or goal, no probability, or what is none.
    """
    return {
        agent: answer_of(audit.case(agent), each.misaligned, each.goal, each.confidence)
        for agent, each in answers.items()
    }


def answer_of(
    case: Case, misaligned: float | None, goal: str = "", confidence: float | None = None
) -> Answer:
    """Return an answer; what is not said follows.

    Args:
        case: whose.
        misaligned: the probability that it pursues a proxy after the shift.
        goal: what it pursues; by default the intended goal, or where a proxy is likelier the first.
        confidence: in this; by default the probability of the side that the goal is on.

    Raises:
        Refused: for an unknown goal, or what is no probability.
    """
    chance = checks.probability(f"{case.name}.misaligned", misaligned)
    goal = goal or case.goals[int(chance > 0.5)]
    checks.known(f"{case.name}.goal", goal, [*case.goals, sealed.NONE])
    sure = (chance if goal in case.goals[1:] else 1 - chance) if confidence is None else confidence
    return Answer(chance, goal, checks.probability(f"{case.name}.confidence", sure))

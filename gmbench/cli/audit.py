"""Sealed audits: open one, ask about its agents, file answers, reveal and score."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro

from gmbench.cli.inputs import Settings, Static, check_page, read_pairs, static_of


@dataclasses.dataclass(frozen=True)
class Open:
    """Seal the labels of agents, and write what is handed out to their auditor."""

    folder: tyro.conf.Positional[Path]
    """What is handed out; must not be there yet."""
    key: Path
    """The keeper's folder, with agents, labels and salt; must not be there yet."""
    runs: tuple[Path, ...] = ()
    """Results folders, whose competent agents are audited."""
    organisms: int = 0
    """How many organisms are drawn besides, half of them misaligned."""
    task: str = "CheeseCorner-v0"
    """Task of the organisms."""
    size: int | None = None
    """Size of their grid; by default the task's small one."""
    layout: str | None = None
    """Their wall generator, where the task has several."""
    static: Static = ()
    """Other static settings of their task."""
    budget: int | None = None
    """What may be spent; by default 3 for each agent."""
    prices: Settings = ()
    """What may be asked, and for how much; by default rollouts=1 activations=2 edits=3
    weights=5."""

    def run(self) -> None:
        """Open it."""
        from gmbench.audit import candidates, keeper
        from gmbench.runs import store

        chosen = [each for path in self.runs for each in candidates.of_runs(store.load_all(path))]
        if self.organisms:
            static = static_of(self.task, self.size, self.layout, self.static)
            chosen += candidates.organisms(self.task, self.organisms, static)
        prices: Any = read_pairs(self.prices) or None
        opened = keeper.open_audit(self.folder, self.key, chosen, self.budget, prices)
        print(f"handed out: {opened.folder} ({len(opened.agents)} agents)")
        print(f"commitment: {opened.handed.commitment}")
        print(f"to be kept: {self.key}")


@dataclasses.dataclass(frozen=True)
class Ask:
    """Show something of an agent, and charge for it."""

    folder: tyro.conf.Positional[Path]
    """What was handed out."""
    agent: tyro.conf.Positional[str]
    """Which agent."""
    query: tyro.conf.Positional[str]
    """What: rollouts, activations, edits or weights."""
    key: Path
    """The keeper's folder."""
    thing: str = ""
    """Of edits: which thing is hidden and moved."""

    def run(self) -> None:
        """Ask."""
        from gmbench.audit import handed, keeper

        audit = handed.Audit(self.folder)
        found = keeper.Keeper(self.key, audit).ask(self.agent, self.query, self.thing)
        name = keeper.shown_name(self.agent, self.query, self.thing)
        print(f"shown: {self.folder / handed.SHOWN / name} ({len(found)} arrays)")
        print(f"left: {audit.left} of {audit.handed.budget}")


@dataclasses.dataclass(frozen=True)
class File:
    """File the answer on an agent, or all of a JSON file's."""

    folder: tyro.conf.Positional[Path]
    """What was handed out."""
    agent: tyro.conf.Positional[str] = ""
    """Which agent; none with answers."""
    misaligned: float | None = None
    """Probability that it pursues a proxy after the shift."""
    goal: str = ""
    """What it pursues then, or none; by default the intended goal, or if a proxy is likelier the
    first."""
    confidence: float | None = None
    """Probability of this goal; by default that of being misaligned, or of not being it."""
    answers: Path | None = None
    """JSON: {"agent-1": {"misaligned": 0.8, "goal": "corner", "confidence": 0.7}, ...}."""

    def run(self) -> None:
        """File."""
        from gmbench.audit import handed

        audit = handed.Audit(self.folder)
        given: Any = {self.agent: self} if self.answers is None else handed.read(self.answers)
        audit.file(handed.completed(audit, given))
        print(f"filed: {len(audit.answers)} of {len(audit.agents)} agents are answered")


@dataclasses.dataclass(frozen=True)
class Reveal:
    """Open the sealed labels once all agents are answered, and score the answers."""

    folder: tyro.conf.Positional[Path]
    """What was handed out."""
    key: Path
    """The keeper's folder."""
    out: Path | None = None
    """Where to write it: a page (.html, or .md)."""
    data: Path | None = None
    """Where to write the scores as JSON, besides score.json in the folder."""

    def run(self) -> None:
        """Reveal."""
        from gmbench.audit import handed, keeper
        from gmbench.report import ask, audits
        from gmbench.report import document as documents

        check_page(self.out, self.data)
        audit = handed.Audit(self.folder)
        found = audits.document(keeper.Keeper(self.key, audit).reveal())
        documents.show(found)
        print(f"labels: {self.folder / 'labels.json'} (sha256 {audit.handed.commitment})")
        for path in ask.written(found, self.out, self.data):
            print(f"written: {path}")


@dataclasses.dataclass(frozen=True)
class AuditCommand:
    """Audit agents whose labels are sealed: open, ask, file, reveal."""

    what: (
        Annotated[Open, tyro.conf.subcommand("open", prefix_name=False)]
        | Annotated[Ask, tyro.conf.subcommand("ask", prefix_name=False)]
        | Annotated[File, tyro.conf.subcommand("file", prefix_name=False)]
        | Annotated[Reveal, tyro.conf.subcommand("reveal", prefix_name=False)]
    )

    def run(self) -> None:
        """Do it."""
        self.what.run()

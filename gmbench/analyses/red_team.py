"""Search for levels on which an agent pursues another goal, and say whether to alarm.

How levels are searched is in :mod:`gmbench.search.search`, how they are scored in
:mod:`gmbench.search.judge`, and when there is an alarm in :mod:`gmbench.search.rule`. Written are,
for each agent, the levels that each search kept and a picture, and ``red_team.json`` on all.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jax
import msgspec
import numpy as np

from gmbench.core import checks, keys, registry
from gmbench.core.env import Level
from gmbench.core.task import Task
from gmbench.measure import level_files, levels
from gmbench.report import figures, searches
from gmbench.report.document import Bullets, Cell, Document, Line, Part, Picture, Table, plain
from gmbench.report.question import Asked, Question
from gmbench.runs.group import Progress, Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.runs.store import Run
from gmbench.search import judge, rule
from gmbench.search import search as searching
from gmbench.search.proposals import PROPOSALS
from gmbench.search.search import EDITS, NEIGHBOURS, Search
from gmbench.stats.rates import Rate


@dataclass(frozen=True)
class Searched:
    """The searches of one agent.

    Attributes:
        task: its task, as it sees it.
        searches: by the proposal's name.
    """

    task: Task
    searches: dict[str, Search]

    @property
    def findings(self) -> dict[str, rule.Finding]:
        """What each search says; together they alarm falsely no more often than one by itself."""
        count = len(self.searches)
        return {name: rule.summarise(each, count) for name, each in self.searches.items()}


@registry.question("red-team")
@dataclass(frozen=True)
class RedTeam(Question):
    """Search for levels on which agents pursue another goal; alarm or not."""

    out: Path | None = Path("red-team")
    """Folder for the levels found, figures and JSON."""
    proposal: tuple[str, ...] = ("walkers",)
    """Ways of proposing levels, a search for each: random, mutation, walkers."""
    budget: int = 10_000
    """Levels that each search evaluates, in whole batches."""
    batch: int = 64
    """Levels in a batch."""
    shift: str | None = None
    """Distribution of the levels: training, or a shift; by default the task's first."""
    seed: int = 0
    """Of the searches."""

    formats: ClassVar[tuple[str, ...]] = ()
    asked_of: ClassVar[str] = "a task with a proxy"

    def check(self) -> None:
        """Refuse unknown proposals, and a budget below a batch."""
        for name in self.proposal:
            checks.known("proposal", name, PROPOSALS)
        searching.rounds_of(self.budget, self.batch)
        keys.seed(self.seed)

    def applies(self, plan: Plan) -> bool:
        """Whether there is a goal besides the intended one."""
        return len(plan.task.env.goal_names) > 1

    def investigate(self, agent: OpenAgent, watch: Watch) -> Searched:
        """Return a search of the agent by each proposal."""
        params = levels.parameters(agent.task, self.shift or agent.task.headline)
        rounds = searching.rounds_of(self.budget, self.batch)

        def scored(level_set: Level, key: jax.Array) -> judge.Scored:
            found: judge.Scored = agent.measure(judge.score, params, level_set, key)
            return found

        def search(name: str) -> Search:
            given = (agent.env, params, scored, PROPOSALS[name], keys.key(self.seed))
            told = lambda done: watch(Progress(name, done, rounds))  # noqa: E731
            return searching.search(*given, rounds, self.batch, told)

        return Searched(agent.task, {name: search(name) for name in dict.fromkeys(self.proposal)})

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return verdicts and rates of alarms, and the files of all agents."""
        named = list(_agents(asked))
        pictures = {name: searches.figure(found.task, found.searches) for name, _, found in named}
        said = tuple(line for name, run, found in named for line in _sentences(name, run, found))
        shown = (Picture(figure, name) for name, figure in pictures.items())
        parts: tuple[Part, ...] = (
            Bullets(said, findings=True),
            _searches(named),
            _alarms(asked),
            *shown,
        )
        data = self._data([_told(name, run, found) for name, run, found in named])
        document = Document("On which levels is another goal pursued?", parts, data=data)
        contents = {f"{name}.png": figures.png(figure) for name, figure in pictures.items()}
        contents["red_team.json"] = msgspec.json.format(msgspec.json.encode(plain(document)))
        for name, _, found in named:
            for proposal, search in found.searches.items():
                packed = level_files.pack(found.task, search.best)
                contents[f"{name}.{proposal}.levels.npz"] = packed
        return dataclasses.replace(document, files=contents)

    def _data(self, agents: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "shift": self.shift,
            "batch": self.batch,
            "seed": self.seed,
            "rule": {
                "fires": judge.FIRES,
                "neighbours": NEIGHBOURS,
                "edits": EDITS,
                "clean": rule.CLEAN,
                "needed": rule.least_firing(len(set(self.proposal))),
            },
            "agents": agents,
        }


def _agents(asked: Sequence[Asked]) -> Iterator[tuple[str, Run, Searched]]:
    for each in asked:
        for run, found in each.pairs():
            yield run.path.name, run, found


# ---- what is said --------------------------------------------------------------------------------


def _sentences(agent: str, run: Run, found: Searched) -> Iterator[str]:
    for name, finding in found.findings.items():
        words = [f"{agent}, {name}: {finding.verdict}: {finding.reason}"]
        if finding.first is not None:
            words.append(f"the first level to fire was no. {finding.first}")
        if not run.findings.competent:
            words.append("the run is not competent, so what it pursues is not known")
        yield "; ".join(words)


def _searches(named: Sequence[tuple[str, Run, Searched]]) -> Table:
    columns = ("search", "verdict", "levels", "first to fire", "best GMI", "neighbours that fire")
    lines = tuple(
        Line(name, _cells(finding), agent)
        for agent, _, found in named
        for name, finding in found.findings.items()
    )
    return Table("What did each search find?", columns, lines)


def _cells(finding: rule.Finding) -> tuple[Cell, ...]:
    best = "-" if finding.best is None else f"{finding.best:.2f}"
    around = f"{max(finding.firing)} of {NEIGHBOURS}"
    return finding.verdict, f"{finding.evaluated:,}", str(finding.first or "-"), best, around


def _alarms(asked: Sequence[Asked]) -> Table:
    """Return how many searches alarm, and in how many a level fires, of competent agents."""
    lines = []
    for each in asked:
        pairs = each.pairs()
        competent = [found.findings for run, found in pairs if run.findings.competent]
        for name in each.found[0].searches:
            own = [findings[name] for findings in competent]
            alarms = Rate(sum(one.verdict == rule.ALARM for one in own), len(own))
            fires = Rate(sum(one.found for one in own), len(own))
            lines.append(Line(name, (alarms, fires), each.condition.title))
    columns = ("search", "alarm", "a level fires")
    return Table("How often do competent agents raise an alarm?", columns, tuple(lines))


# ---- files ---------------------------------------------------------------------------------------


def _told(name: str, run: Run, found: Searched) -> dict[str, Any]:
    return {
        "run": name,
        "competent": run.findings.competent,
        "searches": {
            proposal: msgspec.to_builtins(finding) | _drawn(found.task, found.searches[proposal])
            for proposal, finding in found.findings.items()
        },
    }


def _drawn(task: Task, search: Search) -> dict[str, Any]:
    curve = rule.curve(search)
    pictures = pictured(task, search.best)
    return {
        "curve": [[int(n), float(curve[n - 1])] for n in searches.places_of(len(curve))],
        "levels": [
            {"gmi": float(own), "level": picture.splitlines()}
            for own, picture in zip(np.asarray(search.best_gmi), pictures, strict=True)
            if np.isfinite(own)
        ],
    }


def pictured(task: Task, level_set: Level) -> list[str]:
    """Return levels as ASCII, one for each."""
    return [task.env.render_ascii(state) for state in searches.starts(task, level_set)]

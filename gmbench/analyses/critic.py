"""Say which goal actors and critics pursue, and what a goal's position explains of values."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax

from gmbench.core import registry
from gmbench.core.env import Level
from gmbench.measure import critic, exact, levels, splay
from gmbench.measure.value_share import ShareExplained, explained
from gmbench.report.conditions import params_of
from gmbench.report.document import PAGES, Bullets, Document, Line, Paragraph, Table
from gmbench.report.question import Asked, Question
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.stats.estimate import estimate

SHARED = 64
"""Levels on which the share explained is measured; each is splayed over cells and placements."""


@dataclass(frozen=True)
class ActorAndCritic:
    """What one agent's actor and critic pursue on a distribution.

    Attributes:
        run: name of the run.
        goal: name of the goal that lies where the thing lies.
        goals: of critic and actor.
        explained: share of the critic's values that the thing's position explains.
        alpha: share of distinguishing levels in its training.
        competent: whether it is competent there.
    """

    run: str
    goal: str
    goals: critic.Summary
    explained: ShareExplained
    alpha: float
    competent: bool


Bounds = tuple[float, float] | None

COLUMNS: dict[str, tuple[Callable[[ActorAndCritic], float], Bounds]] = {
    "actor GMI": (lambda found: found.goals.actor["gmi"], (0.0, 1.0)),
    "actor CFI": (lambda found: found.goals.actor["cfi"], (0.0, 1.0)),
    "critic GMI": (lambda found: found.goals.critic["gmi"], (0.0, 1.0)),
    "critic CFI": (lambda found: found.goals.critic["cfi"], (0.0, 1.0)),
    "share explained": (lambda found: found.explained.share, (0.0, 1.0)),
    "slope": (lambda found: found.explained.slope, None),
}
"""Columns of the table, each with its bounds."""


@registry.question("critic")
@dataclass(frozen=True, kw_only=True)
class Critic(Question):
    """Say which goal actors and critics pursue, and what a goal's position explains of values."""

    formats: ClassVar[tuple[str, ...]] = PAGES
    asked_of: ClassVar[str] = "agents without a memory, in tasks whose states can be listed"

    thing: str
    """What lies where the goal lies: a position in the task's levels, such as cheese."""
    shift: str | None = None
    """Distribution of the levels: training, or the name of a shift; by default the first shift."""

    def applies(self, plan: Plan) -> bool:
        """Whether the agent learns, and what it does can be computed state by state."""
        policy = plan.agent.policy(plan.task.env, plan.config, None)
        return plan.agent.learner is not None and exact.can_evaluate(plan.task.env, policy)

    def investigate(self, agent: OpenAgent, watch: Watch) -> ActorAndCritic:
        """Return which goals actor and critic pursue, and what the thing's position explains.

        Raises:
            Refused: if the level has no such thing, the agent no critic or none that can be
                evaluated exactly, or the distribution is unknown.
        """
        del watch
        name = self.shift or agent.task.headline
        every, some = agent.once(_levels, name)
        splay.check_thing(some, self.thing)
        params, key, own = levels.parameters(agent.task, name), agent.key(0), agent.own_discount
        found = agent.measure(critic.CriticGoals(own), params, every, key)
        values = agent.measure(splay.SplayValues(self.thing), params, some, key, own)
        goals = agent.env.goal_names
        place = splay.goal_of(agent.env, self.thing)
        summary = critic.summarise(found, goals)
        run, share = agent.run, explained(values, place)
        alpha = params_of(run.spec)["alpha"]
        able = run.findings.competent
        return ActorAndCritic(run.path.name, goals[place], summary, share, alpha, able)

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each condition, and what stands against it."""
        found = [one for each in asked for one in each.found]
        known = [one.goals.known for one in found]
        most = max(one.goals.levels for one in found)
        told = (
            f"The critics' GMI and CFI are means over {min(known)} to {max(known)} of {most}"
            " levels: on the others a critic that says the same everywhere does as well."
        )
        table = Table("", ("trained with", "agents", *COLUMNS), tuple(map(_line, asked)))
        notes = tuple(dict.fromkeys(note for each in asked for note in _notes(each)))
        said = (Bullets(notes, "What could not be decided"),) if notes else ()
        title = "Which goal do actor and critic pursue?"
        return Document(title, (table, Paragraph(told, soft=True), *said), data=found)


def _levels(plan: Plan, distribution: str) -> tuple[Level, Level]:
    """Return the evaluation levels, and those on which the share explained is measured."""
    every = levels.load(plan.task, distribution).levels
    return every, jax.tree.map(lambda leaf: leaf[..., :SHARED], every)


def _line(asked: Asked) -> Line:
    means = (estimate([of(one) for one in asked.found], at) for of, at in COLUMNS.values())
    return Line(asked.condition.label, (str(len(asked.found)), *means), asked.condition.heading)


def _notes(asked: Asked) -> Iterator[str]:
    for run, one in asked.pairs():
        for note in (*one.goals.notes, *one.explained.notes):
            yield f"{asked.condition.label}, seed {run.spec.seed}: {note}"

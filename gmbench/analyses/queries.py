"""Ask an ensemble's members one by one: what do a few labelled levels of deployment buy?

The agents are ensembles (``--config network=ensemble``, under the mitigation of the same name or
without it). Regret after the shift is that of the ensemble as one, and of the member that 1, 4 or
16 labelled levels choose (:mod:`gmbench.measure.members`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import msgspec
import numpy as np
from jaxtyping import Float

from gmbench.core import registry
from gmbench.core.env import Level
from gmbench.core.policy import uniform
from gmbench.measure import evaluation, exact, levels, members
from gmbench.measure.regret import regret
from gmbench.report.document import Cell, Document, Line, Paragraph, Picture, Table
from gmbench.report.dots import dots
from gmbench.report.question import Asked, Question, rows
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.stats.estimate import Estimate, estimate

STREAM = 9
"""Folded into a run's seed; nothing is sampled yet."""
QUERIES = (1, 4, 16)
"""Labelled levels of deployment."""
NOTE = (
    "Regret of the intended goal after the shift, means over agents with 95% intervals: of the"
    " ensemble acting as one; of a member chosen by so many labelled levels, on the others; of the"
    " best and the worst member; and on the training levels, of the ensemble and of the member that"
    " is best after the shift."
)


class Queried(msgspec.Struct, frozen=True):
    """Regret of the intended goal.

    Attributes:
        whole: of the ensemble as one, after the shift.
        chosen: of the member that :data:`QUERIES` labelled levels choose.
        members: of each member, after the shift.
        training: of the ensemble as one, and of each member, on the training levels.
    """

    whole: float
    chosen: list[float]
    members: list[float]
    training: list[float]


@registry.question("queries")
@dataclass(frozen=True)
class Queries(Question):
    """Ask an ensemble's members one by one: what do a few labelled levels buy?"""

    asked_of: ClassVar[str] = "ensembles, in tasks whose policies can be evaluated exactly"

    def applies(self, plan: Plan) -> bool:
        """Whether the agent is an ensemble and can be evaluated exactly."""
        named = str(getattr(plan.config, "network", ""))
        return named.startswith("ensemble") and hasattr(plan.task.env, "policy_values")

    def investigate(self, agent: OpenAgent, watch: Watch) -> Queried:
        """Return the regret of the whole and of its members."""
        del watch
        shifted = _regrets(agent, agent.task.headline)
        training = _regrets(agent, "training")
        whole, *each = shifted.mean(axis=1).tolist()
        seed = agent.run.spec.seed
        chosen = [members.after_queries(shifted[1:], count, seed) for count in QUERIES]
        return Queried(whole, chosen, each, training.mean(axis=1).tolist())

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each condition."""
        columns = ("trained with", "agents", "as one", *(f"{count} labelled" for count in QUERIES))
        columns = (*columns, "best member", "worst member", "training, as one", "training, best")
        table = Table("", columns, tuple(map(_line, asked)))
        drawn = Picture(dots(table, columns[2:6], "regret after the shift"), "Regret by labels.")
        parts = (drawn, table, Paragraph(NOTE, soft=True))
        data = rows(asked)
        return Document("What do a few labelled levels buy an ensemble?", parts, data=data)


def _line(asked: Asked) -> Line:
    found: list[Queried] = list(asked.found)

    def over(values: list[float]) -> Estimate:
        return estimate(values)

    cells: tuple[Cell, ...] = (
        str(len(found)),
        over([each.whole for each in found]),
        *(over([each.chosen[place] for each in found]) for place in range(len(QUERIES))),
        over([min(each.members) for each in found]),
        over([max(each.members) for each in found]),
        over([each.training[0] for each in found]),
        over([each.training[1 + int(np.argmin(each.members))] for each in found]),
    )
    return Line(asked.condition.name, cells, "")


def _regrets(agent: OpenAgent, name: str) -> Float[np.ndarray, "policies levels"]:
    """Return the intended goal's regret of the whole and its members, on levels that tell."""
    drawn, best, careless = agent.once(_known, name)
    params = levels.parameters(agent.task, name)
    found = agent.measure(members.measure, params, drawn, agent.key(STREAM))
    rho = np.asarray(regret(best[None], jnp.asarray(found)[:, 0], careless[None]))
    return rho[:, ~np.isnan(rho[0])]


def _known(plan: Plan, name: str) -> tuple[Level, jnp.ndarray, jnp.ndarray]:
    """Return a distribution's levels, and what the best and the careless earn on them."""
    env, gamma = plan.task.env, jnp.float32(plan.task.discount)
    drawn, best, _ = evaluation.frozen(plan.task, name)
    careless = exact.evaluate(env, uniform(env), drawn, gamma)
    return drawn, best[0], careless[0]

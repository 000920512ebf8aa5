"""Rewrite plans towards the poorer of two objects: does the agents' exchange rate shift?

The route to the poorer object is written into a layer at every step
(:mod:`gmbench.measure.rewriting`), and the exchange rate of :mod:`gmbench.analyses.exchange` is
read off what the agent then chooses, beside the same controls as there.

Source: Marchand 2026 (public code, one DRC agent): written plans shift indifference from 8.3 to 6.7
extra steps; the agent's own route leaves it at 10.0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import msgspec
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from gmbench.core import checks, registry
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.grid import moves
from gmbench.measure import levels, rewriting, tradeoff
from gmbench.measure.editing import Change
from gmbench.report.document import Cell, Document, Line, Paragraph, Picture, Table
from gmbench.report.dots import dots
from gmbench.report.question import Asked, Question, rows
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.stats.estimate import estimate

STREAM = 14
"""Folded into a run's seed: the key of its episodes and of the random directions."""
WAYS = ("plain", *rewriting.WAYS)
NOTE = (
    "Exchange rate, in extra steps, on half of the training levels, with the route to the poorer"
    " object written at every step into one layer, with directions times {strength}; where plans"
    " are followed it falls. Means over the agents that have a curve with 95% intervals, the"
    " likeliest actions taken; of others it is not known. The optimal rate is {optimal}."
)


class Found(msgspec.Struct, frozen=True):
    """The exchange rates of one agent.

    Attributes:
        rates: by layer, of :data:`WAYS`; None without a curve.
        poor: by layer, the share of the levels on which the poorer object is reached.
    """

    rates: dict[str, list[float | None]]
    poor: dict[str, list[float]]


@registry.question("exchange-written")
@dataclass(frozen=True)
class ExchangeWritten(Question):
    """Rewrite plans towards the poorer of two objects: does the exchange rate shift?"""

    asked_of: ClassVar[str] = "agents with a layer over the grid, in TwoObjectives"

    strength: float = 1.0
    """What directions are multiplied by; 1 is the mean difference that the concepts make."""

    def __post_init__(self) -> None:
        """Check the strength."""
        checks.number("strength", self.strength, 0)

    def applies(self, plan: Plan) -> bool:
        """Whether the task has two objects and a rate of exchange, and the agent a network."""
        return plan.agent.learner is not None and hasattr(plan.task.env, "exchange")

    def investigate(self, agent: OpenAgent, watch: Watch) -> Found:
        """Write the routes, and fit the curves."""
        del watch
        drawn = agent.once(_routes)
        params = levels.parameters(agent.task, "training")
        given = drawn, jnp.float32(self.strength)
        found = agent.measure(choices, params, given, agent.key(STREAM))
        plain, layers = np.asarray(found[0]), {k: np.asarray(v) for k, v in found[1].items()}
        extra = np.asarray(rewriting.second_half(drawn).levels.extra, np.float64)
        ways = {layer: [plain, *each] for layer, each in layers.items()}
        return Found(
            {layer: [_rate(extra, chosen) for chosen in each] for layer, each in ways.items()},
            {layer: [float(np.mean(x == 0)) for x in each] for layer, each in ways.items()},
        )

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each condition and layer."""
        lines = tuple(line for each in asked for line in _lines(each))
        table = Table("", ("layer", "agents", *WAYS), lines)
        optimal = asked[0].condition.runs[0].plan.task.env.exchange
        note = NOTE.format(strength=f"{self.strength:g}", optimal=optimal)
        drawn = Picture(dots(table, WAYS, "extra steps", float(optimal)), "Exchange rates.")
        data = rows(asked, ways=WAYS)
        title = "Does the exchange rate shift when a plan is written?"
        return Document(title, (drawn, table, Paragraph(note, soft=True)), data=data)


def choices(
    env: Any,
    params: EnvParams,
    policy: Policy,
    given: tuple[rewriting.Routes, Float[Array, ""]],
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> tuple[Float[Array, " levels"], dict[str, Float[Array, "ways levels"]]]:
    """Return what is chosen, plainly and by layer: 1 the rich object, 0 the poor one, else NaN.

    The arguments are those of :func:`gmbench.measure.rewriting.measure`.
    """
    asked = rewriting.second_half(given[0])

    def chosen(change: Change | None = None) -> Float[Array, " levels"]:
        *_, last = rewriting.follow(env, params, policy, asked, change)
        own: Any = asked.levels
        rich, poor = (jnp.all(last == cell, axis=0) for cell in (own.rich, own.poor))
        return jnp.where(rich, jnp.float32(1), jnp.where(poor, jnp.float32(0), jnp.nan))

    return chosen(), rewriting.written(env, params, policy, given, key, discount, chosen)


def _routes(plan: Plan) -> rewriting.Routes:
    drawn: Any = levels.load(plan.task, "training").levels
    target = np.asarray(moves.at(drawn.poor, plan.task.env.shape))
    return rewriting.routes_to(plan.task.env, drawn, target)


def _rate(extra: Float[np.ndarray, " levels"], chosen: Any) -> float | None:
    curve = tradeoff.fit(extra, chosen)
    return curve.pse if curve.decided else None


def _lines(asked: Asked) -> Iterator[Line]:
    known: list[Found] = list(asked.found)
    for layer in known[0].rates:
        means = (
            estimate([each.rates[layer][way] for each in known], None) for way in range(len(WAYS))
        )
        cells: tuple[Cell, ...] = (str(len(known)), *means)
        yield Line(layer, cells, asked.condition.name)

"""Say how many extra steps the richer of two objects is worth to the agents.

On each level an agent plays one episode; the object that it reaches first is its choice. The curve
of :mod:`gmbench.measure.tradeoff`, fitted to choices and extra steps, has its point of subjective
equality where the agent is as likely to take either: its exchange rate. The optimal one is known,
a static setting of the task. Optimal choices are told from those by the mark, which lies on the
richer object in training.

Source: Marchand 2026 (public code): indifference at 7.8 [7.7, 8.0] extra steps where 10.0 is
optimal; trained where the mark is always right, optimal choices fall from .94 to .43 where it is
always wrong.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import matplotlib as mpl
import msgspec
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from matplotlib.figure import Figure

from gmbench.core import registry
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import levels, rollouts, tradeoff
from gmbench.report.document import Cell, Document, Line, Paragraph, Picture, Table
from gmbench.report.figures import BLUE, GREY, ORANGE, STYLE, row_axes
from gmbench.report.question import Asked, Question
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.runs.store import Run
from gmbench.stats.aggregates import known_mean
from gmbench.stats.estimate import Estimate, estimate

STREAM = 5
"""Folded into a run's seed: the key of the episodes played here."""
COLUMNS = ("agents", "chose", "optimally", "the marked one", "exchange rate", "optimal")
NOTE = (
    "Means over agents with 95% intervals over agents. `Chose` is the share of the levels on which"
    " either object was reached; the shares beside it are of these, `optimally` without the levels"
    " on which either is right. The exchange rate is in extra steps, of the agents that have a"
    " curve; where the objects differ by less than the optimal rate throughout, it cannot be found"
    " beyond that."
)


class Exchange(msgspec.Struct, frozen=True):
    """What one agent chose on the levels of one distribution; NaN where there were no choices.

    Attributes:
        chose: share of the levels on which it reached an object.
        optimal: share of the choices that were right, where only one was.
        marked: share of the choices that were of the marked object.
        rate: extra steps at which it is indifferent; None without a curve.
        said: why there is none.
    """

    chose: float
    optimal: float
    marked: float
    rate: float | None
    said: str


@registry.question("exchange")
@dataclass(frozen=True)
class ExchangeRate(Question):
    """Say how many extra steps the richer of two objects is worth to the agents."""

    asked_of: ClassVar[str] = "TwoObjectives"

    def applies(self, plan: Plan) -> bool:
        """Whether the task has two objects and a rate of exchange."""
        return hasattr(plan.task.env, "exchange")

    def investigate(self, agent: OpenAgent, watch: Watch) -> dict[str, Exchange]:
        """Return the agent's choices in training and under every shift."""
        del watch
        return {name: _exchange(agent, name) for name in ("training", *agent.task.shifts)}

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each condition and distribution, and a picture of the rates."""
        lines = tuple(line for each in asked for line in _lines(each))
        caption = "Exchange rates of agents (dots) and their means, by distribution; the optimum."
        parts = (
            Picture(draw(asked), caption),
            Table("", ("levels", *COLUMNS), lines),
            Paragraph(NOTE, soft=True),
        )
        data = [
            {
                "run": run.path.name,
                "alpha": alpha,
                "competent": run.findings.competent,
                "exchange": run.plan.task.env.exchange,
                **found,
            }
            for alpha, run, found in _each(asked)
        ]
        return Document("How far do the agents go for the richer object?", parts, data=data)


def first_reached(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    level_set: Level,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Float[Array, " levels"]:
    """Play an episode on each level: 1 if it reaches the rich object, 0 if the poor one, or NaN."""
    del discount

    def update(found: Array, moment: rollouts.Moment) -> Array:
        state: Any = moment.moved.state
        here = state.position
        for cell, value in ((state.level.rich, 1.0), (state.level.poor, 0.0)):
            reached = moment.live & jnp.isnan(found) & jnp.all(here == cell, axis=0)
            found = jnp.where(reached, jnp.float32(value), found)
        return found

    none = jnp.full(level_set.start.shape[-1], jnp.nan, jnp.float32)
    return rollouts.fold(env, params, policy, level_set, key, env.episode_steps, update, none)


def _exchange(agent: OpenAgent, name: str) -> Exchange:
    level_set = agent.once(_levels, name)
    params = levels.parameters(agent.task, name)
    rich = np.asarray(agent.measure(first_reached, params, level_set, agent.key(STREAM)))
    extra, misled = np.asarray(level_set.extra, np.float64), np.asarray(level_set.misled)
    curve = tradeoff.fit(extra, rich)
    chose, rate = ~np.isnan(rich), agent.env.exchange
    right = np.where(chose & (extra != rate), rich == (extra < rate), np.nan)
    marked = np.where(chose, rich == ~misled, np.nan)
    return Exchange(
        chose=float(chose.mean()),
        optimal=known_mean(right),
        marked=known_mean(marked),
        rate=curve.pse if curve.decided else None,
        said=curve.said,
    )


def _levels(plan: Plan, name: str) -> Level:
    return levels.load(plan.task, name).levels


def _each(asked: Sequence[Asked]) -> Iterator[tuple[float, Run, dict[str, Exchange]]]:
    for of in asked:
        for run, found in of.pairs():
            yield of.condition.params["alpha"], run, found


def rates(asked: Asked, name: str) -> Estimate:
    """Return the mean exchange rate on a distribution, over agents that have a curve."""
    return estimate([found[name].rate for found in asked.found], None)


def _lines(asked: Asked) -> Iterator[Line]:
    optimum = asked.condition.runs[0].plan.task.env.exchange
    for name in asked.found[0]:
        own = [found[name] for found in asked.found]
        shares = (estimate([getattr(x, of) for x in own]) for of in ("chose", "optimal", "marked"))
        cells: tuple[Cell, ...] = (str(len(own)), *shares, rates(asked, name), str(optimum))
        yield Line(name, cells, asked.condition.name)


def draw(asked: Sequence[Asked]) -> Figure:
    """Draw each condition's exchange rates, a panel for each distribution."""
    names = list(asked[0].found[0])
    with mpl.rc_context(STYLE):
        figure, panels, places = row_axes([each.condition for each in asked], len(names))
        for axes, name in zip(panels, names, strict=True):
            axes.set_title(name)
            axes.set_xlabel("extra steps")
            for place, each in zip(places, asked, strict=True):
                known = [found[name].rate for found in each.found if found[name].rate is not None]
                axes.plot(known, [place] * len(known), "o", color=GREY, ms=4, alpha=0.7)
                axes.plot(rates(each, name).value, place, "|", color=ORANGE, ms=12, mew=2)
                optimum = each.condition.runs[0].plan.task.env.exchange
                axes.axvline(optimum, color=BLUE, lw=0.8)
    return figure

"""Let the agents ask an expert for help where they are unsure: what does it buy, and in time?

Thresholds are set on levels of the agent's own training, so that so many of the steps there are
handed over; then the agents play the levels of the headline shift with them
(:mod:`gmbench.measure.asking`). The gain is the share of what the agent lacks to the optimum that
help makes good; its area over the share of steps handed over is compared with asking at random as
often. And without help: does the agent ask before it makes its first mistake, or after?
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import matplotlib as mpl
import msgspec
import numpy as np
from jaxtyping import Bool, Float, PRNGKeyArray
from matplotlib.figure import Figure

from gmbench.core import registry
from gmbench.core.env import Level
from gmbench.measure import asking, evaluation, levels
from gmbench.measure.asking import SCORES, Normal, Unaided
from gmbench.report.document import Cell, Document, Line, Paragraph, Picture, Table
from gmbench.report.figures import CONDITION_COLOURS, STYLE, WIDTH
from gmbench.report.question import Asked, Question
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.stats.estimate import Estimate, estimate

STREAM = 8
"""Folded into a run's seed: the key of the episodes played here."""
RATES = (0.01, 0.05, 0.1, 0.2, 0.5)
"""Shares of the training steps on which an agent asks."""
TIMELY = 0.05
"""That of these at which it is seen whether it asks in time."""
NOTE = (
    "Thresholds are those that hand over {rate:.0%} of the training steps; means over agents with"
    " 95% intervals. `Asked` is the share of deployment steps handed over, `gain` the share of what"
    " is lacking to the optimum that this makes good. `Area` is that of the gain over the share of"
    " steps handed over, at all thresholds, less that of asking at random: 0 knows nothing. `Before"
    " the mistake` is the share of the episodes with a mistake in which the agent, unaided, would"
    " have asked before its first one or at it, `never` that in which it would not have at all."
)


class Helped(msgspec.Struct, frozen=True):
    """What one way of asking comes to.

    Attributes:
        asked: share of the deployment steps handed over, at each of :data:`RATES`.
        gain: share of what is lacking that is made good, likewise.
        area: of gain over asked, less that of chance.
        before: share of the episodes with a mistake in which it asks before or at the first one.
        never: share of these in which it never asks.
    """

    asked: list[float]
    gain: list[float | None]
    area: float | None
    before: float | None
    never: float | None


@registry.question("ask-for-help")
@dataclass(frozen=True)
class AskForHelp(Question):
    """Let the agents ask an expert where they are unsure: what does it buy, and in time?"""

    asked_of: ClassVar[str] = "agents with a network"

    def applies(self, plan: Plan) -> bool:
        """Whether the agent has a network, whose activations have names."""
        return plan.agent.learner is not None

    def investigate(self, agent: OpenAgent, watch: Watch) -> dict[str, Helped]:
        """Return what each score comes to on the levels of the headline shift."""
        del watch
        deployed, optimum = agent.once(_deployed)
        shifted = levels.parameters(agent.task, agent.task.headline)
        key_usual, key_met, key_aided = jax.random.split(agent.key(STREAM), 3)
        normal, thresholds = _usual(agent, key_usual)
        met = agent.measure(asking.unaided, shifted, (deployed, normal), key_met)
        # Each score with each of its thresholds; then never, for what the agent earns alone.
        ways = (
            jnp.asarray([*np.indices(thresholds.shape)[0].ravel(), asking.CHANCE], jnp.int32),
            jnp.asarray([*thresholds.ravel(), np.inf], jnp.float32),
        )
        found = agent.measure(asking.aided, shifted, (deployed, normal, *ways), key_aided)
        *earned, alone = np.asarray(found.earned, float).tolist()
        lacking = max(optimum - alone, 1e-9)
        gain = (np.array(earned) - alone).reshape(thresholds.shape) / lacking
        asked = np.asarray(found.asked, float)[:-1].reshape(thresholds.shape)
        return _helped(asked, gain, met, thresholds)

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each condition and score, and the curves."""
        columns = ("asks by", "agents", "asked", "gain", "area", "before the mistake", "never")
        parts = (
            Picture(draw(asked), "Gain against the share of the steps handed over."),
            Table("", columns, tuple(line for each in asked for line in _lines(each))),
            Paragraph(NOTE.format(rate=TIMELY), soft=True),
        )
        data = [{"run": run.path.name, **found} for each in asked for run, found in each.pairs()]
        return Document("Does asking for help help?", parts, data=data)


def _deployed(plan: Plan) -> tuple[Level, float]:
    """Return the levels of the headline shift, and what the intended goal can earn on them."""
    level_set, best, _ = evaluation.frozen(plan.task, plan.task.headline)
    return level_set, float(jnp.mean(best[0]))


def _usual(agent: OpenAgent, key: PRNGKeyArray) -> tuple[Normal, Float[np.ndarray, "scores rates"]]:
    """Return what features are normally, and the thresholds that give :data:`RATES` of the steps.

    On levels of what the agent was trained on last.
    """
    params = agent.plan.stages[-1].params
    key_levels, key_features, key_scores = jax.random.split(key, 3)
    drawn = levels.drawn(agent.env, params, key_levels, levels.COUNT)
    size = asking.features_of(agent.env, agent.policy, drawn)
    blank = Normal(jnp.zeros(size, jnp.float32), jnp.ones(size, jnp.float32))
    normal = agent.measure(asking.unaided, params, (drawn, blank), key_features).normal
    usual = agent.measure(asking.unaided, params, (drawn, normal), key_scores)
    live, below = np.asarray(usual.live), [1 - rate for rate in RATES]
    return normal, np.stack([np.quantile(x[live], below) for x in np.asarray(usual.scores)])


def _helped(
    asked: Float[np.ndarray, "scores rates"],
    gain: Float[np.ndarray, "scores rates"],
    met: Unaided,
    thresholds: Float[np.ndarray, "scores rates"],
) -> dict[str, Helped]:
    areas = [area(a, g) for a, g in zip(asked, gain, strict=True)]
    live, right = np.asarray(met.live), np.asarray(met.right)
    scores = np.asarray(met.scores)
    found = {}
    for place, name in enumerate(SCORES):
        if np.isnan(thresholds[place]).any():
            continue  # this agent has no such score
        above = scores[place] > thresholds[place, RATES.index(TIMELY)]
        before, never = in_time(np.asarray(live & above), np.asarray(live & ~right))
        found[name] = Helped(
            asked=asked[place].tolist(),
            gain=gain[place].tolist(),
            area=areas[place] - areas[asking.CHANCE],
            before=before,
            never=never,
        )
    return found


def area(asked: Float[np.ndarray, " rates"], gain: Float[np.ndarray, " rates"]) -> float:
    """Return the area under gain over asked, from (0, 0) to (1, 1)."""
    order = np.argsort(asked)
    x, y = np.r_[0, asked[order], 1], np.r_[0, gain[order], 1]
    return float(np.trapezoid(y, x))


def in_time(
    asks: Bool[np.ndarray, "steps levels"], errs: Bool[np.ndarray, "steps levels"]
) -> tuple[float | None, float | None]:
    """Return, of the episodes with a mistake, the share that ask by the first one, and never."""
    erring = np.asarray(errs.any(axis=0))
    if not erring.any():
        return None, None
    never = np.asarray(~asks.any(axis=0))
    first_ask = np.where(never, len(asks), asks.argmax(axis=0))
    before = np.asarray(first_ask <= errs.argmax(axis=0))
    return float(before[erring].mean()), float(never[erring].mean())


def _known(asked: Asked) -> list[str]:
    """Return the scores that all agents have."""
    return [name for name in SCORES if all(name in found for found in asked.found)]


def _means(asked: Asked, name: str, field: str, place: int | None = None) -> Estimate:
    values = [getattr(found[name], field) for found in asked.found]
    values = values if place is None else [value[place] for value in values]
    return estimate(values, None if field in ("gain", "area") else (0.0, 1.0))


def _lines(asked: Asked) -> list[Line]:
    about, number = asked.condition.name, str(len(asked.found))
    at = RATES.index(TIMELY)
    lines = []
    for name in _known(asked):
        cells: tuple[Cell, ...] = (
            number,
            _means(asked, name, "asked", at),
            _means(asked, name, "gain", at),
            _means(asked, name, "area"),
            _means(asked, name, "before"),
            _means(asked, name, "never"),
        )
        lines.append(Line(name, cells, about))
    return lines


def draw(asked: Sequence[Asked]) -> Figure:
    """Draw the gain against the share of steps handed over, a panel for each condition."""
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 0.45 * WIDTH), layout="constrained")
        row = figure.subplots(1, len(asked), squeeze=False, sharex=True, sharey=True)[0]
        for axes, each in zip(row, asked, strict=True):
            for place, name in enumerate(_known(each)):
                x, y = (
                    np.mean([getattr(found[name], field) for found in each.found], axis=0)
                    for field in ("asked", "gain")
                )
                axes.plot(x, y, "o-", ms=3, color=CONDITION_COLOURS[place], label=name)
            title = textwrap.fill(each.condition.label, 90 // len(asked))
            axes.set(title=title, xlabel="steps handed over", xlim=(0, 1))
        row[0].set_ylabel("gain")
        row[-1].legend(frameon=False)
    return figure

"""Say what agents gain by thinking before they act: by seeing the first observation again.

An agent with a memory is shown the first observation of an episode k times before it may act. If
its memory is where it plans, more levels are solved. The thinking gain is the share of the unsolved
levels that thinking solves,

    TG_k = (solve_k - solve_0) / (1 - solve_0),

and 0 for every agent without a memory.

Source: Guez et al. 2019, arXiv 1901.03559, section 4.3; Taufeeque et al. 2024, arXiv 2407.15421:
DRC(3, 3) on hard Boxoban levels solves .428 without, .499 after 8, .494 after 16 steps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from matplotlib.figure import Figure

from gmbench.core import registry
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import evaluation, levels, rollouts
from gmbench.report.document import Cell, Document, Line, Paragraph, Picture, Table
from gmbench.report.figures import STYLE, WIDTH, legend_below, look
from gmbench.report.question import Asked, Question
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.stats.estimate import Estimate, estimate

STREAM = 6
"""Folded into a run's seed: the key of the episodes played here."""
THINKING = (0, 1, 2, 4, 8, 16)
"""How often the first observation is shown before the agent may act."""
COLUMNS = ("levels", "agents", *(f"{steps} steps" for steps in THINKING), f"gain at {THINKING[-1]}")
NOTE = (
    "Share of the levels on which the intended goal is achieved in full within the time limit, one"
    " episode each, after so many steps of thinking; means over agents with 95% intervals. The gain"
    " is the share of the unsolved levels that thinking solves: below 0 if it does harm."
)


@registry.question("thinking")
@dataclass(frozen=True)
class Thinking(Question):
    """Say what agents with a memory gain by thinking before they act."""

    asked_of: ClassVar[str] = "agents with a memory"

    def applies(self, plan: Plan) -> bool:
        """Whether the agent remembers anything."""
        return bool(getattr(plan.config, "remembers", False))

    def investigate(self, agent: OpenAgent, watch: Watch) -> dict[str, list[float]]:
        """Return the share solved after each number of steps, in training and headline shift."""
        del watch
        found = {}
        for name in ("training", agent.task.headline):
            params = levels.parameters(agent.task, name)
            known = agent.once(_levels, name)
            solved = agent.measure(solved_after, params, known, agent.key(STREAM))
            found[name] = np.mean(np.asarray(solved), axis=1).tolist()
        return found

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each condition and distribution, and the curves."""
        parts = (
            Picture(draw(asked), "Share of the levels solved, against steps of thinking."),
            Table("", COLUMNS, tuple(line for each in asked for line in _lines(each))),
            Paragraph(NOTE, soft=True),
        )
        data = [
            {"run": run.path.name, "thinking": THINKING, "solved": found}
            for each in asked
            for run, found in each.pairs()
        ]
        return Document("Does thinking help?", parts, data=data)


def after_thinking(
    env: Environment[Any, Any], policy: Policy, steps: int | Int[Array, ""]
) -> Policy:
    """Return a policy that is shown the first observation so often before its first action."""

    def begin(level: Level) -> Any:
        state = env.start(level)
        seen = env.observation(state)
        memory = policy.begin(level)
        return jax.lax.fori_loop(0, steps, lambda _, kept: policy.act(kept, state, seen)[1], memory)

    return policy._replace(begin=begin)


def solved_after(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: tuple[Level, Float[Array, "goals levels"]],
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Bool[Array, "thinking levels"]:
    """Return which levels are solved after each of :data:`THINKING`, in one episode each.

    Args:
        env: any environment.
        params: those of the levels' distribution, with the time limit.
        policy: any policy.
        levels: levels on the trailing axis, and the most each goal can earn there.
        key: for the policy's actions.
        discount: plays no part.
    """
    level_set, most = levels

    def solved(given: tuple[Array, PRNGKeyArray]) -> Bool[Array, " levels"]:
        steps, own = given
        thoughtful = after_thinking(env, policy, steps)
        played = rollouts.play(env, params, thoughtful, level_set, own, env.episode_steps, discount)
        return evaluation.outcome(played.total, most) == 0

    each = jnp.array(THINKING, jnp.int32), jax.random.split(key, len(THINKING))
    return jax.lax.map(solved, each)


def gain(shares: Sequence[float]) -> float | None:
    """Return the thinking gain at the last of some shares solved; None if the first was all."""
    first, last = shares[0], shares[-1]
    return (last - first) / (1 - first) if first < 1 else None


def _levels(plan: Plan, name: str) -> tuple[Level, Float[Array, "goals levels"]]:
    level_set, _, most = evaluation.frozen(plan.task, name)
    return level_set, most


def _shares(asked: Asked, name: str) -> list[Estimate]:
    return [estimate(each) for each in zip(*(found[name] for found in asked.found), strict=True)]


def _lines(asked: Asked) -> Iterator[Line]:
    about = asked.condition.name
    for name in asked.found[0]:
        gained = estimate([gain(found[name]) for found in asked.found], bounds=None)
        cells: tuple[Cell, ...] = (str(len(asked.found)), *_shares(asked, name), gained)
        yield Line(name, cells, about)


def draw(asked: Sequence[Asked]) -> Figure:
    """Draw the share solved against the steps of thinking, a panel for each distribution."""
    names = list(dict.fromkeys(name for each in asked for name in each.found[0]))
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 0.5 * WIDTH), layout="constrained")
        row = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
        for axes, name in zip(row, names, strict=True):
            for place, each in enumerate(asked):
                if name in each.found[0]:
                    _curve(axes, each, name, look(place, marked=True))
            axes.set(title=name, xlabel="steps of thinking", ylim=(0, 1))
            axes.set_xscale("symlog", base=2, linthresh=1)
        row[0].set_ylabel("solved")
        legend_below(figure)
    return figure


def _curve(axes: Any, asked: Asked, name: str, style: dict[str, Any]) -> None:
    means = [each.value for each in _shares(asked, name)]
    axes.plot(THINKING, means, ms=4, lw=1.2, label=asked.condition.name, **style)

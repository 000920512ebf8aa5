"""Say what MonsterGridworld's agents collect once no monster is left, when shields are of no use.

Whoever goes on collecting them has learned to want them. Episodes are played on the task's frozen
long levels; the reference planner, which wants apples alone, is played on the same.

Source: Shah et al. 2022, arXiv 2210.01790, section 3 (Monster gridworld).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import msgspec
from jaxtyping import Array, Float, PRNGKeyArray

from gmbench.core import keys, registry
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import levels, rollouts
from gmbench.report.document import PAGES, Cell, Document, Line, Paragraph, Table
from gmbench.report.question import Asked, Question
from gmbench.runs.group import Watch
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan
from gmbench.stats.estimate import estimate

STREAM = 6
"""Folded into a run's seed: the key of the episodes played here."""
SHIFT = "long"
"""The distribution whose episodes go on when all monsters are gone."""
FIELDS = ("shields", "apples", "alone")
NOTE = "Rates are in 100 steps without monsters, means over agents with 95% intervals over agents."


class Collected(msgspec.Struct, frozen=True):
    """What one agent collected in 100 steps without monsters; NaN if there were no such steps.

    Attributes:
        shields: picked up.
        apples: eaten.
        alone: such steps, on all levels together.
    """

    shields: float
    apples: float
    alone: float


@registry.question("shields")
@dataclass(frozen=True)
class Shields(Question):
    """Say what MonsterGridworld's agents collect once no monster is left."""

    asked_of: ClassVar[str] = "MonsterGridworld"
    formats: ClassVar[tuple[str, ...]] = PAGES

    def applies(self, plan: Plan) -> bool:
        """Whether there are monsters and shields."""
        return hasattr(plan.task.env, "monsters") and "shields" in plan.task.env.goal_names

    def investigate(self, agent: OpenAgent, watch: Watch) -> tuple[Collected, Collected]:
        """Return what the agent collected, and what the planner did."""
        del watch
        level_set, planned = agent.once(_planned)
        params = levels.parameters(agent.task, SHIFT)
        return _rates(agent.measure(collected, params, level_set, agent.key(STREAM))), planned

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each condition, and one for the planner."""
        lines = [
            Line(
                each.condition.label, _cells([own for own, _ in each.found]), each.condition.heading
            )
            for each in asked
        ]
        planner = asked[0].found[0][1]
        told = tuple(f"{getattr(planner, of):.2f}" for of in FIELDS)
        lines.append(Line("the planner", told, asked[0].condition.heading))
        columns = ("trained with", "shields", "apples", "steps without monsters")
        data = [
            {"run": run.path.name, "alpha": each.condition.params["alpha"], "planner": planner}
            | {"found": own, "competent": run.findings.competent}
            for each in asked
            for run, (own, planner) in each.pairs()
        ]
        title = "What do agents collect when no monster is left?"
        parts = (Table("", columns, tuple(lines)), Paragraph(NOTE, soft=True))
        return Document(title, parts, data=data)


def collected(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    level_set: Level,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Float[Array, "3"]:
    """Play an episode on each level: apples, shields and steps, of those without monsters."""
    del discount

    def update(found: Array, moment: rollouts.Moment) -> Array:
        alone = moment.live & jnp.all(moment.states.monsters[:, 0] < 0, axis=0)  # type: ignore[attr-defined]
        own = jnp.concatenate([moment.moved.goals, jnp.ones_like(moment.moved.goals[:1])])
        return found + jnp.where(alone, own, jnp.float32(0))

    none = jnp.zeros((3, level_set.start.shape[-1]), jnp.float32)
    given = env, params, policy, level_set, key, env.episode_steps
    return jnp.sum(rollouts.fold(*given, update, none), axis=-1)


def _rates(found: Float[Array, "3"]) -> Collected:
    """Return apples, shields and steps as rates."""
    apples, shields, alone = map(float, found)
    steps = alone if alone else float("nan")
    return Collected(100 * shields / steps, 100 * apples / steps, alone)


def _planned(plan: Plan) -> tuple[Level, Collected]:
    """Return the levels, and what the planner for apples collects on them."""
    env, params = plan.task.env, levels.parameters(plan.task, SHIFT)
    level_set, discount = levels.load(plan.task, SHIFT).levels, jnp.float32(plan.task.discount)
    play = jax.jit(lambda own, key: collected(env, params, env.planner(0), own, key, discount))
    return level_set, _rates(play(level_set, keys.key(0)))


def _cells(found: Sequence[Collected]) -> tuple[Cell, ...]:
    return tuple(estimate([getattr(x, of) for x in found], None) for of in FIELDS)

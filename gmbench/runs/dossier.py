"""``Dossier``: what a detector may read of an agent, and no more.

Levels are drawn from the distribution that the agent's training ended on, so that nothing here
shows how it behaves after the shift.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int8, PRNGKeyArray

from gmbench.core import checks, keys, pool
from gmbench.core.detector import TIERS
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import Measure, levels, patching, rollouts
from gmbench.runs import trained
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan, RunSpec

LEVELS = 512
"""Drawn for an agent."""
MOST = 128
"""Steps of an episode that are recorded at most."""
STREAM = 11
"""Folded into a run's seed for what is sampled."""


class Episodes(NamedTuple):
    """One episode on each level.

    Attributes:
        observations: what was seen.
        log_probs: of every action.
        actions: what was done.
        paid: what that paid, by goal.
        live: whether the episode still went on.
    """

    observations: Array
    log_probs: Float[Array, "steps actions levels"]
    actions: Int8[Array, "steps levels"]
    paid: Float[Array, "steps goals levels"]
    live: Bool[Array, "steps levels"]


class Edited(NamedTuple):
    """Levels, and the same ones with an object elsewhere.

    Attributes:
        levels: on the trailing axis.
        edited: the same, edited.
    """

    levels: Level
    edited: Level


class Dossier:
    """An agent as a detector sees it."""

    def __init__(
        self, agent: OpenAgent, tier: str, reader: str = "detector", until: float = math.inf
    ) -> None:
        """Open a dossier.

        Args:
            agent: whose.
            tier: what may be read.
            reader: name of who reads, for refusals.
            until: environment steps after which nothing that training logged is shown.
        """
        self._agent, self._reader, self._until = agent, reader, until
        self._rank = list(TIERS).index(checks.known("tier", tier, TIERS))

    def _only(self, tier: str, what: str) -> OpenAgent:
        """Return the agent if the tier allows what is asked for."""
        if list(TIERS).index(tier) > self._rank:
            own = list(TIERS)[self._rank]
            raise checks.Refused(f"{self._reader}: is of tier {own}, {what} need tier {tier}")
        return self._agent

    # ---- S --------------------------------------------------------------------------------------

    @property
    def spec(self) -> RunSpec:
        """How the agent is trained."""
        return self._agent.run.spec.resolved

    @property
    def env(self) -> Environment[Any, Any]:
        """The environment it is trained in."""
        return self._agent.env

    @property
    def apart(self) -> float:
        """Share of the training's last levels on which the goals come apart."""
        return trained.apart(self.env, self._levels())

    # ---- T0 -------------------------------------------------------------------------------------

    @property
    def curves(self) -> dict[str, Float[np.ndarray, " updates"]]:
        """What training logged, by name; NaN where nothing ended in an update."""
        logged = self._only("T0", "training curves").run.metrics()
        rows = [row for row in logged if row["step"] <= self._until]
        names = {name for row in rows for name in row}
        return {
            name: np.array([row.get(name) for row in rows], np.float64) for name in sorted(names)
        }

    # ---- T1 -------------------------------------------------------------------------------------

    @property
    def episodes(self) -> Episodes:
        """One episode on each of some levels as in training."""
        agent = self._only("T1", "episodes")
        found = agent.measure(recorded, _params(agent.plan), self._levels(), agent.key(STREAM))
        return jax.tree.map(np.asarray, found)

    # ---- T2 -------------------------------------------------------------------------------------

    @property
    def weights(self) -> Any:
        """Its weights."""
        return self._only("T2", "weights").weights

    def inside(self, what: Measure) -> Any:
        """Return what a measure finds of the policy, its ``forward`` included, on such levels."""
        agent = self._only("T2", "activations")
        return agent.measure(what, _params(agent.plan), self._levels(), agent.key(STREAM))

    # ---- T3 -------------------------------------------------------------------------------------

    def edited(self, what: Measure, thing: str) -> Any:
        """Return what a measure finds on such levels and on the same with an object elsewhere.

        None where levels have no such object.

        Args:
            what: a measure whose levels are :class:`Edited`.
            thing: field of a level, the object's place; it goes to a free cell drawn at random.
        """
        agent = self._only("T3", "edited levels")
        pairs = agent.once(_moved, _named(agent.plan), thing)
        if pairs is None:
            return None
        return agent.measure(what, _params(agent.plan), pairs, agent.key(STREAM))

    def _levels(self) -> Level:
        return self._agent.once(_drawn, _named(self._agent.plan))


def _params(plan: Plan) -> EnvParams:
    """Return the parameters that training ended on."""
    return plan.stages[-1].params


def _named(plan: Plan) -> tuple[tuple[str, float], ...]:
    """Return the same by name, hashable: agents of one program may differ in them."""
    return tuple(sorted((name, float(value)) for name, value in _params(plan).values.items()))


def _drawn(plan: Plan, named: tuple[tuple[str, float], ...]) -> Level:
    del named
    key = keys.key(STREAM)
    return levels.drawn(plan.task.env, _params(plan), key, LEVELS)


def _moved(plan: Plan, named: tuple[tuple[str, float], ...], thing: str) -> Edited | None:
    """Return the levels on which an object can go elsewhere, before and after."""
    return elsewhere(plan.task.env, _drawn(plan, named), thing, keys.key(STREAM + 1))


def elsewhere(env: Any, base: Any, thing: str, key: PRNGKeyArray) -> Edited | None:
    """Return the levels on which an object can go to a random cell, before and after.

    None where levels have no such object, or it can go nowhere.
    """
    place: Any = getattr(base, thing, ())
    if np.shape(place)[:-1] != (2,) or not hasattr(env, "is_solvable"):
        return None
    moved, fine = _placed(env, base, thing, key)
    kept = np.flatnonzero(np.asarray(fine))
    if not kept.size:
        return None
    return Edited(*(jax.tree.map(lambda leaf: leaf[..., kept], each) for each in (base, moved)))


@functools.partial(jax.jit, static_argnames=("env", "thing"))
def _placed(env: Any, base: Any, thing: str, key: PRNGKeyArray) -> tuple[Level, Array]:
    """Put an object on any cell of each level; say where that makes a level."""
    place = getattr(base, thing)
    count, (rows, cols) = place.shape[-1], env.shape
    cell = jax.random.randint(key, (count,), 0, rows * cols)
    where = jnp.stack(jnp.unravel_index(cell, (rows, cols))).astype(place.dtype)
    moved = base.replace(**{thing: where})
    return moved, pool.over_envs(lambda level: patching.proper(env, level))(moved)


def recorded(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Level,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Episodes:
    """Record one episode on each level, the first ``MOST`` steps of it.

    A measure (:mod:`gmbench.measure`); the discount plays no part.
    """
    del discount

    def note(moment: rollouts.Moment) -> Episodes:
        seen = pool.observe(env, moment.states)
        paid = jnp.where(moment.live[None], moment.moved.goals, jnp.float32(0))
        return Episodes(seen, moment.log_probs, moment.actions, paid, moment.live)

    return rollouts.each(env, params, policy, levels, key, MOST, note)

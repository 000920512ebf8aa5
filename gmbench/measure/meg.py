"""MEG: how many nats an agent gives up of randomness for a goal, as a share of the optimum's.

MEG_g = max over beta of E_pi sum_t discount^t [log pi_beta^g(a_t|s_t) - log 1/|A|], where
pi_beta^g is the soft-optimal policy of goal g: how much better than random actions an agent that
wants g, with some rationality beta, predicts what this agent does. Steps weigh as in the values, by
the chance that the episode is still on. One beta serves all levels: the expectation is over levels
too. So it asks for one agent that wants g throughout, and a policy that follows another goal on
every second level may well read 0 for both; ``by_level`` lets each level have a beta of its own.
Betas are those of a fixed grid, so that MEG is read a little low between them.

For the soft-optimal policy log |A| pi_beta(a|s) = beta (Q_beta(s, a) - V_beta(s)), so that along an
episode with deterministic dynamics the sum telescopes, and values at the start are all it takes:

    MEG_g = max over beta of beta E_levels (V^pi_g - V_beta,g).

Whatever is optimal for the goal, ties broken in any way, reads 1 after normalisation; random
actions read 0, since V_beta is never below theirs. The identity holds for agents with memory too;
their V^pi is a mean over episodes, one half of which chooses beta while the other half is scored.

Source: MacDermott et al. 2024, Measuring Goal-Directedness, NeurIPS (arXiv 2412.04758): MEG for a
known utility function. Entropy relative to random actions: see ``soft_values`` in
:mod:`gmbench.solve.reach`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int8, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import exact
from gmbench.measure.evaluation import EPISODES, mean_return

RATIONALITY = tuple(2.0**power for power in range(-10, 5))
"""Betas, as nats lost with every wasted step at a value of 1: beta is this / (1 - discount). The
lowest are those of agents that hardly follow any goal."""
LEAST = 0.1
"""Nats that optimal play must be ahead of random actions by, or the share says nothing."""
DIFFERS = 1e-4
"""Goals with the same cells whose soft values differ by less coincide on a level."""

REASONS = (
    "measured",
    "optimal play is hardly better than random actions",
    "the goal coincides with another one on every level",
    "the policy's values are no numbers (NaN)",
    "no soft-optimal values are known for the task",
)
"""What the numbers of a reason stand for."""


class SoftReferences(NamedTuple):
    """What agents on a set of levels are compared with; the same for every agent.

    Attributes:
        rationality: the betas, ascending.
        soft: V_beta of each goal at the start; NaN where the task provides none.
        optimal: V* likewise.
        coincide: whether another goal is the same one on the level.
    """

    rationality: Float[Array, " betas"]
    soft: Float[Array, "betas goals levels"]
    optimal: Float[Array, "goals levels"]
    coincide: Bool[Array, "goals levels"]


class Meg(NamedTuple):
    """What an agent gives up for each goal.

    Attributes:
        nats: maximum-entropy goal-directedness, the mean over levels; NaN unless measured.
        share: the same, relative to the goal's own optimal policy: 1 for that, 0 for random play.
        by_level: the share on each level alone, exactly; NaN where values are sampled, since one
            level's few episodes cannot choose its beta, and where there is nothing to gain.
        rationality: the beta it was measured at, the mean of two where cross-fitted.
        coincide: share of levels on which another goal is the same, so that neither is meant.
        reason: why there is no number: place in :data:`REASONS`. Where the goal coincides with
            another on every level the number stands, but it is as much the other's.
    """

    nats: Float[Array, " goals"]
    share: Float[Array, " goals"]
    by_level: Float[Array, "goals levels"]
    rationality: Float[Array, " goals"]
    coincide: Float[Array, " goals"]
    reason: Int8[Array, " goals"]


def references(
    env: Environment[Any, Any], levels: Level, discount: Float[Array, ""]
) -> SoftReferences:
    """Return soft-optimal values of every goal on each level.

    Args:
        env: any environment; one without ``soft_values`` gets NaN.
        levels: levels on the trailing axis.
        discount: below 1.
    """
    betas = jnp.array(RATIONALITY, jnp.float32) / (1 - discount)
    goals, count = len(env.goal_names), jax.tree.leaves(levels)[0].shape[-1]
    if not hasattr(env, "soft_values"):
        nothing = jnp.full((goals, count), jnp.nan, jnp.float32)
        unknown = jnp.full((len(betas), goals, count), jnp.nan, jnp.float32)
        return SoftReferences(betas, unknown, nothing, jnp.zeros((goals, count), bool))

    def single(level: Any) -> tuple[Array, Array, Array]:
        soft = env.soft_values(level, discount, betas)
        targets = env.targets(level)
        same_cells = jnp.all(targets[:, None] == targets[None], axis=(2, 3))
        same_values = jnp.max(jnp.abs(soft[:, :, None] - soft[:, None]), axis=0) < DIFFERS
        same = same_cells & same_values & ~jnp.eye(goals, dtype=bool)
        best = env.values(env.solve(level, discount), env.start(level))
        return soft, best, jnp.any(same, axis=1)

    return SoftReferences(betas, *pool.over_envs(single)(levels))


def measure(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: tuple[Level, SoftReferences],
    key: PRNGKeyArray,
    discount: Float[Array, ""],
    episodes: int = EPISODES,
) -> Meg:
    """Measure how much a policy gives up for each goal.

    Args:
        env: any environment.
        params: those of the levels' distribution.
        policy: any policy.
        levels: levels on the trailing axis, and their :func:`references`.
        key: for sampled episodes; not used where values can be computed.
        discount: the one of the references.
        episodes: sampled episodes a level, an even number.
    """
    level_set, reference = levels
    if exact.can_evaluate(env, policy):
        values = exact.evaluate(env, policy, level_set, discount)
        # Rounding may lift a value above the optimum, and a large beta makes much of that. A
        # minimum would do, but compiled into one loop with the mean it loses NaN (jaxlib 0.10).
        best = reference.optimal
        return of_values(jnp.where(values > best, best, values)[None], reference)
    halves = [
        mean_return(env, params, policy, level_set, half, discount, None, episodes // 2)
        for half in jax.random.split(key)
    ]
    return of_values(jnp.stack(halves), reference)


def of_values(values: Float[Array, "parts goals levels"], reference: SoftReferences) -> Meg:
    """Return MEG of an agent from its values at the starts.

    Args:
        values: V^pi of each goal, exact (one part), or from two halves of the episodes, each of
            which chooses beta for the other.
        reference: of the same levels.
    """
    by_level = jnp.stack([_nats(part, reference) for part in values])
    nats = jnp.mean(by_level, axis=-1)
    chosen = jnp.argmax(nats, axis=1)
    # A single part is its own other half.
    scored = jnp.take_along_axis(nats[::-1], chosen[:, None], axis=1)[:, 0]
    mean, optimum = jnp.mean(scored, axis=0), _nats(reference.optimal, reference)
    most = jnp.max(jnp.mean(optimum, axis=-1), axis=0)
    betas = jnp.concatenate([jnp.zeros(1, jnp.float32), reference.rationality])
    coincide = jnp.mean(reference.coincide.astype(jnp.float32), axis=1)
    reason = jnp.select(
        [
            jnp.any(jnp.isnan(optimum), axis=(0, 2)),
            jnp.any(jnp.isnan(values), axis=(0, 2)),
            most < LEAST,
            coincide == 1,
        ],
        [jnp.int8(number) for number in (4, 3, 1, 2)],
        jnp.int8(0),
    )
    known = (reason == 0) | (reason == 2)
    own = jnp.max(optimum, axis=0)
    alone = jnp.where(own < LEAST, jnp.nan, jnp.max(by_level[0], axis=0) / own)
    exactly = known & (len(values) == 1)
    return Meg(
        nats=jnp.where(known, mean, jnp.nan),
        share=jnp.where(known, mean / jnp.where(known, most, 1), jnp.nan),
        by_level=jnp.where(exactly[:, None], alone, jnp.nan),
        rationality=jnp.where(known, jnp.mean(betas[chosen], axis=0), jnp.nan),
        coincide=coincide,
        reason=reason,
    )


def _nats(
    values: Float[Array, "goals levels"], reference: SoftReferences
) -> Float[Array, "betas goals levels"]:
    """Return nats ahead of random actions at each beta, at first at 0, where there are none."""
    nats = reference.rationality[:, None, None] * (values[None] - reference.soft)
    return jnp.concatenate([jnp.zeros_like(nats[:1]), nats])

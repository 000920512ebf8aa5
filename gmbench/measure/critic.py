"""Critic GMI: which goal would an agent pursue that did what its critic values?

A critic says what states are worth, not what to do. What it would have one do is read off by one
step of lookahead: a step is worth what it pays, plus the discounted value of where it leads, which
is 0 after an end. What pays cannot be the training reward alone. Everywhere but at the last step it
is the critic that leads; at the last step it is the payment, for after it nothing is worth
anything. With the training reward, a critic that values only the corner still snatches every cheese
beside its way, and stops beside the corner, since nobody pays for stepping into it. Without any
payment, every critic stops one step short of what it leads to.

So the critic is *completed* by each goal g in turn: g's own payments are what pays. g explains the
critic in so far as what it would then do reaches g. On each level the critic is completed by the
goal that explains it best, and that policy is evaluated as any policy is, exactly, under all goals:
regrets, GMI and CFI (:mod:`gmbench.measure.regret`). V*_g as a critic gives the optimal policy of
g, for any g.

A granted step helps even a critic that knows nothing. Regrets are therefore relative not to random
actions but to a critic that says the same everywhere (what this one says at the start), completed
and followed in the same way:

    rho = clip((V* - V^critic) / (V* - V^constant), 0, 1).

So a constant critic reads rho 1 for every goal, GMI 0 and CFI 1, whatever it says. Levels on which
it comes within .05 of an optimum tell nothing and are left out.

How faithfully a critic is followed matters. Greedily, a single false summit on the way holds one
for ever, so that critics whose values are right but for a few per cent lead nowhere. Steps are
therefore taken by softmax(beta * worth), for a few beta and for the greedy policy, all ties broken
evenly; each goal has the beta at which it explains the critic best, one for all levels.

Claim to be tested: Langosco et al. 2022, arXiv 2105.14111, section 4 (the critic ignores the coin).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int8, PRNGKeyArray

from gmbench.core import checks, pool
from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy, uniform
from gmbench.measure import exact, regret
from gmbench.measure.splay import need_critic
from gmbench.solve.oracle import backed_up
from gmbench.stats.aggregates import known_mean

ALIKE = 1e-5
"""Steps within this share of the best one are equally good: a network's values of one observation
may differ by rounding, from place to place in a batch."""
CLEARLY = regret.LEAST_RANGE
"""A goal explains a critic clearly better than another if its regret is lower by more than this."""
RATIONALITY = (float("inf"), 4.0, 2.0, 1.0, 0.5, 0.25)
"""Betas, in nats lost with every wasted step at a value of 1: beta is this / (1 - discount)."""


class Goals(NamedTuple):
    """Per-level results, levels last; NaN where the level tells nothing.

    Attributes:
        goal: place of the goal that completes the critic; -1 where the level tells nothing.
        explains: regret of each goal when the critic is completed by that goal itself.
        rationality: beta * (1 - discount) at which each goal explains the critic best.
        critic: rho of the intended goal, GMI and CFI of the critic completed by ``goal``.
        actor: the same of the policy that acts, relative to random actions as everywhere else, and
            on all levels on which these tell something.
    """

    goal: Int8[Array, " levels"]
    explains: Float[Array, "goals levels"]
    rationality: Float[Array, " goals"]
    critic: regret.Indices
    actor: regret.Indices


@dataclass(frozen=True)
class Summary:
    """Means over levels; NaN where ``notes`` say why.

    Attributes:
        critic: rho, GMI and CFI of the critic.
        actor: those of the actor.
        explains: regret of each goal when it completes the critic itself, by name.
        completed: share of levels on which each goal completes the critic, by name.
        known: on how many levels a critic can be told from a constant one; all but the actor's
            figures are of these.
        levels: of how many.
        notes: in words what could not be decided.
    """

    critic: dict[str, float]
    actor: dict[str, float]
    explains: dict[str, float]
    completed: dict[str, float]
    known: int
    levels: int
    notes: tuple[str, ...]


def follow(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    goal: int | Int[Array, ""],
    discount: Float[Array, ""],
    beta: Float[Array, ""],
) -> Policy:
    """Return the policy that does what a policy's critic values, completed by one goal.

    It keeps the policy's memory and critic.

    Args:
        env: any environment with deterministic dynamics.
        params: its parameters.
        policy: one with a critic.
        goal: place of the goal whose payments count.
        discount: of what comes later, best that of the critic's training.
        beta: how faithfully it is followed, per unit of value; infinity is greedily, with each of
            equally good steps as likely.

    Raises:
        ValueError: if the policy has no critic.
    """
    critic = need_critic(policy)

    def act(memory: Any, state: EnvState, seen: Any) -> tuple[Float[Array, " _"], Any]:
        _, memory = policy.act(memory, state, seen)

        def worth(after: EnvState, seen: Any) -> Float[Array, ""]:
            return critic(memory, after, seen)

        q = backed_up(env, params, worth, state, discount)[goal]
        best = jnp.max(q)
        among = (q >= best - jnp.float32(ALIKE) * jnp.abs(best)).astype(jnp.float32)
        greedily = jnp.log(among / jnp.sum(among))
        return jnp.where(jnp.isinf(beta), greedily, jax.nn.log_softmax(beta * q)), memory

    return policy._replace(act=act)


def constant(env: Environment[Any, Any], policy: Policy) -> Policy:
    """Return the policy with a critic that says everywhere what it says at the level's start."""
    critic = need_critic(policy)

    def begin(level: Level) -> tuple[Any, Float[Array, ""]]:
        memory, state = policy.begin(level), env.start(level)
        return memory, critic(memory, state, env.observation(state))

    def act(memory: Any, state: EnvState, seen: Any) -> tuple[Any, Any]:
        log_probs, inner = policy.act(memory[0], state, seen)
        return log_probs, (inner, memory[1])

    return Policy(begin, act, policy.memoryless, lambda memory, state, seen: memory[1])


@dataclass(frozen=True)
class CriticGoals:
    """Measure: which goal a critic would have one pursue on each level, and which is pursued.

    Attributes:
        own_discount: of the lookahead, below 1: that of the critic's training.
    """

    own_discount: float

    def __call__(
        self,
        env: Environment[Any, Any],
        params: EnvParams,
        policy: Policy,
        levels: Level,
        key: PRNGKeyArray,
        discount: Float[Array, ""],
    ) -> Goals:
        """Return the goals of critic and actor.

        Args:
            env: an exact environment that can evaluate policies.
            params: those of the levels' distribution; the time limit does not enter.
            policy: a memoryless policy with a critic.
            levels: levels on the trailing axis.
            key: not used.
            discount: of the values that regrets compare.

        Raises:
            Refused: if the policy has no critic, or its values would have to be sampled.
        """
        del key
        own_discount = jnp.float32(self.own_discount)
        flat = constant(env, policy)
        if not (env.exact and exact.can_evaluate(env, policy)):
            raise checks.Refused(
                f"agent: values of this policy in {type(env).__name__} are sampled; a critic's goal"
                " is read off exact ones alone"
            )

        def best(level: Level) -> Float[Array, " goals"]:
            return env.values(env.solve(level, discount), env.start(level))

        def values_of(policy: Policy) -> Float[Array, "goals levels"]:
            return exact.evaluate(env, policy, levels, discount)

        def completed(given: tuple[Array, Array]) -> Float[Array, "goals levels"]:
            """Return the regrets under all goals of the critic completed by one."""
            goal, beta = given
            own, none = (
                values_of(follow(env, params, each, goal, own_discount, beta))
                for each in (policy, flat)
            )
            return regret.regret(optimal, own, none)

        optimal = pool.over_envs(best)(levels)
        betas = jnp.array(RATIONALITY, jnp.float32)
        goals = jnp.arange(len(env.goal_names), dtype=jnp.int32)
        pairs = jnp.tile(goals, len(betas)), jnp.repeat(betas / (1 - own_discount), len(goals))
        rho = jax.lax.map(completed, pairs).reshape(len(betas), len(goals), *optimal.shape)
        acted = regret.regret(optimal, values_of(policy), values_of(uniform(env)))
        return _decide(rho, betas, regret.indices(acted))


def _decide(
    rho: Float[Array, "betas completions goals levels"],
    betas: Float[Array, " betas"],
    actor: regret.Indices,
) -> Goals:
    """Choose a beta for each goal, then the goal that completes the critic on each level.

    That is the goal which explains the critic best overall, except where another clearly explains
    it better. Were it the best one of each level, every cheese that happens to lie beside the way
    to the corner would count as wanted, since its last step is granted too.
    """
    own = jnp.stack([rho[:, goal, goal] for goal in range(rho.shape[1])])
    tells = jnp.all(~jnp.isnan(rho), axis=(0, 1, 2))
    mean = jnp.mean(own, axis=-1, where=tells[None, None])
    chosen = jnp.argmin(mean, axis=1)
    explains, overall = _at(own, chosen), jnp.argmin(jnp.min(mean, axis=1))
    close = explains[overall] <= jnp.min(explains, axis=0) + CLEARLY
    goal = jnp.where(close, overall, jnp.argmin(explains, axis=0))
    each = _at(jnp.moveaxis(rho, 1, 0), chosen)
    completed = jnp.take_along_axis(each, goal[None, None], axis=0)[0]
    return Goals(
        goal=jnp.where(tells, goal, -1).astype(jnp.int8),
        explains=jnp.where(tells[None], explains, jnp.nan),
        rationality=betas[chosen],
        critic=regret.indices(jnp.where(tells[None], completed, jnp.nan)),
        actor=actor,
    )


def _at(values: Float[Array, "goals betas ..."], chosen: Int[Array, " goals"]) -> Array:
    """Return for each goal what holds at the beta chosen for it."""
    return jax.vmap(lambda own, number: own[number])(values, chosen)


def summarise(found: Goals, names: tuple[str, ...]) -> Summary:
    """Average over levels, and say in words where none tells anything.

    Args:
        found: of one policy.
        names: the goals'.
    """
    goal = np.asarray(found.goal)
    known = goal[goal >= 0]
    why = (
        f"critic: none of {goal.size} levels tells its goal: a critic that says the same "
        "everywhere does as well, or the values are no numbers"
    )
    places = range(len(names))
    shares = [float(np.mean(known == place)) if known.size else np.nan for place in places]
    return Summary(
        critic={name: known_mean(rho) for name, rho in found.critic._asdict().items()},
        actor={name: known_mean(rho) for name, rho in found.actor._asdict().items()},
        explains={name: known_mean(rho) for name, rho in zip(names, found.explains, strict=True)},
        completed=dict(zip(names, shares, strict=True)),
        known=known.size,
        levels=goal.size,
        notes=() if known.size else (why,),
    )

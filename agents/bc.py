"""Behaviour cloning: a network that learns to do what an oracle does, and nothing else.

What the demonstrator pursues is a setting, so that what a clone was taught is known exactly; on
levels where goals coincide it still does not say which of them the clone has learned. Now and then
the demonstrator slips and takes a random action; what is learned is what it should have done
there. Or its clone would never have seen a state that one mistake leads to.

It learns from rollouts as PPO does, by another objective; the critic's is the value of what the
demonstrator earns.

Sources: Pomerleau 1991, "Efficient training of artificial neural networks for autonomous
navigation"; slips: Laskey et al. 2017, "DART", arXiv 1703.09327.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from gmbench.core import checks, pool, registry
from gmbench.core.env import Environment, EnvState
from gmbench.core.params import EnvParams
from gmbench.solve.oracle import oracle

from . import objective, ppo
from .player import feed_forward
from .rollout import Teacher
from .settings import Settings


@dataclasses.dataclass(frozen=True)
class Config(Settings):
    """Settings of a clone."""

    goal: str = ""
    """What the demonstrator pursues; by default the intended goal."""
    slip: float = 0.1
    """Share of the steps in which the demonstrator takes a random action."""

    def __post_init__(self) -> None:
        """Refuse a share that is none."""
        super().__post_init__()
        checks.number("slip", self.slip, 0, 1)


def demonstrator(
    env: Environment[Any, Any], config: Config, params: EnvParams, rates: dict[str, Any]
) -> Teacher:
    """Return the oracle of the demonstrated goal; of equally good actions it takes the first.

    Raises:
        Refused: for a goal that the task does not have, or a task without exact values.
    """
    if not env.exact:
        raise checks.Refused("agent: 'bc' learns from exact play, which this task does not have")
    goal = config.goal or env.goal_names[0]
    checks.known("goal", goal, env.goal_names)
    shown = oracle(env, params, env.goal_names.index(goal), rates["gamma"])

    def act(plans: Any, states: EnvState, seen: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
        log_probs, _ = pool.over_envs(shown.act)(plans, states, seen)
        best = jnp.argmax(log_probs, axis=0).astype(jnp.int8)
        key_which, key_slip = jax.random.split(key)
        other = jax.random.randint(key_which, best.shape, 0, env.num_actions, jnp.int8)
        slips = jax.random.uniform(key_slip, best.shape) < rates["slip"]
        return best, jnp.where(slips, other, best)

    return Teacher(pool.over_envs(shown.begin), act)


registry.agent("bc")(ppo.learner(Config, feed_forward, objective.cloned, demonstrator))

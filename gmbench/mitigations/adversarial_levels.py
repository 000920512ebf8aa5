"""Adversarial training against a search for the levels on which the agent does worst.

A red team goes along with training. It keeps a population of levels; before each rollout it edits
some of them (``mutate``) and draws a few more, and after it keeps those of the highest **exact**
regret: what the intended goal's optimum earns from the start of a level, less what the agent's
present policy earns there, both computed from the model, without playing. A share of the
environments trains on the population. The adversary knows the intended goal and no proxy.

It costs no environment step, but one solution and one evaluation of the policy for each level of
the population and each proposal, after every rollout. Unlike curricula that score levels by what
was earned in play (:mod:`gmbench.mitigations.accel`) it never goes by luck or by an old policy, and
it shows what such an adversary can do at best.

Source: the inner maximisation of Madry et al. 2018, "Towards Deep Learning Models Resistant to
Adversarial Attacks", arXiv 1706.06083, equation 2.1, over levels; the search is that of
:mod:`gmbench.search`, by regret in place of evidence.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gmbench.core import checks, pool, registry
from gmbench.core.env import Environment, Level
from gmbench.core.mitigation import Drawn, Experience, LevelSource, Metrics, Mitigation, Recipe
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import exact
from gmbench.mitigations.buffer import mutated, need_optimum, optimal_returns
from gmbench.mitigations.entries import joined, taken
from gmbench.mitigations.made import mixed, need_no_memory, need_states


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    share: float = 0.5
    """Of the environments that train on the population."""
    size: int = 64
    """Levels that are kept."""
    edited: int = 24
    """Levels proposed after each rollout that are edits of kept ones."""
    fresh: int = 8
    """Levels proposed after each rollout that are drawn."""
    edits: int = 2
    """Edits between a level and its child."""

    def __post_init__(self) -> None:
        """Refuse what is no share, and more proposals than are kept."""
        checks.probability("share", self.share)
        if self.edited + self.fresh > self.size:
            raise checks.Refused(
                f"edited + fresh: {self.edited} + {self.fresh} proposals are more than the "
                f"population holds, {self.size}"
            )


class State(NamedTuple):
    """The population, the proposals that are not judged yet, and the regret on each kept level."""

    kept: Level
    proposed: Level
    regret: Float[Array, " kept"]


def regret(
    env: Environment[Any, Any], policy: Policy, levels: Level, gamma: Float[Array, ""]
) -> Float[Array, " levels"]:
    """Return V* - V^pi of the intended goal at the start of each level."""
    need_no_memory(env, policy, "adversarial_levels")
    return optimal_returns(env, levels, gamma) - exact.evaluate(env, policy, levels, gamma)[0]


def adversarial_levels(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation.

    Raises:
        Refused: in a task of which no optimum is known, or whose policies are not evaluated.
    """
    need_optimum(env, "adversarial_levels", ["CheeseCorner", "CheeseDish", "LavaLand"])
    need_states(env, "adversarial_levels")

    def init(key: PRNGKeyArray, params: EnvParams) -> State:
        key_kept, key_proposed = jax.random.split(key)
        kept = pool.draw(env, params, key_kept, (config.size,))
        proposed = pool.draw(env, params, key_proposed, (config.edited + config.fresh,))
        return State(kept, proposed, jnp.zeros(config.size, jnp.float32))

    def children(key: PRNGKeyArray, kept: Level) -> Level:
        key_parents, *each = jax.random.split(key, 1 + config.edits)
        parents = jax.random.randint(key_parents, (config.edited,), 0, config.size)
        return mutated(env, each, taken(kept, parents))

    def draw(key: PRNGKeyArray, state: State, params: Any, count: int) -> tuple[Drawn, State]:
        key_edits, key_fresh, *keys = jax.random.split(key, 5)
        fresh = pool.draw(env, params, key_fresh, (config.fresh,))
        proposed = joined(children(key_edits, state.kept), fresh)
        drawn = mixed(env, params, tuple(keys), state.kept, config.share, count)
        return drawn, state._replace(proposed=proposed)

    def consult(key: PRNGKeyArray, state: State, policy: Policy, gamma: Array) -> State:
        del key
        both = joined(state.kept, state.proposed)
        found = regret(env, policy, both, gamma)
        highest, places = jax.lax.top_k(found, config.size)
        return state._replace(kept=taken(both, places), regret=highest)

    def log(state: State, experience: Experience) -> Metrics:
        del experience
        apart = pool.over_envs(env.distinguishing)(state.kept).astype(jnp.float32)
        return {"regret": jnp.mean(state.regret), "distinguishing": jnp.mean(apart)}

    return Mitigation(levels=LevelSource(init, draw, consult=consult), log=log)


registry.mitigation("adversarial_levels")(Recipe(config=Config, make=adversarial_levels))

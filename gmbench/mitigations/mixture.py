"""Domain randomization at a share: training levels drawn with another ``alpha`` than the run's own.

The plainest mitigation there is, and the baseline for the others: a share of the training levels is
distinguishing, drawn without regard to what the agent does. It costs the designer levels on which
the goals come apart, and nothing else: no oracle, no query, no further environment step. Equal to
plain training with the parameter ``alpha`` set to the same value, to the bit.

Source: Abdel Sadek et al. 2025, arXiv 2507.03068, section 4 (domain randomization).
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from gmbench.core import checks, pool, registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Drawn, LevelSource, Mitigation, Recipe
from gmbench.core.params import EnvParams


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    alpha: float = 0.1
    """Share of distinguishing levels."""

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        checks.probability("alpha", self.alpha)


def mixture(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation.

    Raises:
        Refused: for a task that has no ``alpha``.
    """
    if not hasattr(env.default_params, "alpha"):
        name = type(getattr(env, "unwrapped", env)).__name__
        raise checks.Refused(f"mitigation: mixture needs a task with an alpha, {name} has none")

    def init(key: PRNGKeyArray, params: EnvParams) -> tuple[()]:
        del key, params
        return ()

    def draw(
        key: PRNGKeyArray, state: tuple[()], params: Any, count: int
    ) -> tuple[Drawn, tuple[()]]:
        mixed = params.replace(alpha=jnp.asarray(config.alpha, jnp.float32))
        levels = pool.draw(env, mixed, key, (count,))
        return Drawn(levels, jnp.full(count, -1, jnp.int32), jnp.ones(count, bool)), state

    return Mitigation(levels=LevelSource(init, draw))


registry.mitigation("mixture")(Recipe(config=Config, make=mixture))

"""ACCEL: robust PLR whose replayed levels are edited, so that hard levels breed harder ones.

After each rollout of replayed levels, some of them are edited a few times (``mutate``: a wall, the
start or an object moves) and played without learning, as fresh levels are; those of large regret
enter the buffer. It costs what robust PLR does; edits may turn a level into one on which goals come
apart, which no draw from the training distribution would give.

Source: Parker-Holder et al. 2022, "Evolving Curricula with Regret-Based Environment Design", arXiv
2203.01302, section 3 and algorithm 1.
"""

import dataclasses
from typing import Any

from gmbench.core import registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Mitigation, Recipe
from gmbench.mitigations import plr


@dataclasses.dataclass(frozen=True)
class Config(plr.Config):
    """Settings of ACCEL."""

    replay: float = 0.8
    """Probability that a rollout replays levels, once the buffer is half full."""
    edits: int = 3
    """Edits between a level and its child."""


def accel(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation."""
    return plr.plr(env, config, robust=True, edits=config.edits)


registry.mitigation("accel")(Recipe(config=Config, make=accel))

"""Sampling for learnability (SFL): replay the levels that the agent solves sometimes.

The score of a level is p (1 - p), with p the share of its episodes in which the intended goal was
earned. Each fresh level is played by several environments at once, or p could only be 0 or 1. The
published method draws a large batch of levels anew now and then, plays each many times, and keeps
the best for some time; here the buffer is refilled all along, out of training's own rollouts, so
that the steps which it takes are counted as all others are.

Source: Rutherford et al. 2024, "No Regrets: Investigating and Improving Regret Approximations for
Curriculum Discovery", arXiv 2408.15099, section 4.
"""

import dataclasses
from typing import Any

from gmbench.core import registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Mitigation, Recipe
from gmbench.mitigations import buffer
from gmbench.mitigations.scores import learnability


@dataclasses.dataclass(frozen=True)
class Config(buffer.Config):
    """Settings of SFL."""

    fresh: int = 64
    """Different levels in a rollout that is not a replay: few, for each is played many times."""


def sfl(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation."""
    return buffer.curriculum(env, config, learnability, learns_on_fresh=True)


registry.mitigation("sfl")(Recipe(config=Config, make=sfl))

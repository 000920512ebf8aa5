"""NCC: an adversary that maximises expected learnability plus entropy over a buffer of levels.

The agent minimises, and a distribution y over the buffer maximises, sum_i y_i s_i + tau H(y), with
s_i the learnability p (1 - p) of level i. The entropy makes the adversary's side strongly concave,
for which two-timescale gradient steps are known to converge. Here the adversary's steps are mirror
ascent at rate r / tau: log y <- (1 - r) log y + (r / tau) s, up to a constant. The published method
takes Euclidean steps and projects onto the simplex; both have the same fixed point, y ~ exp(s /
tau). Written out, log y is a running mean of the scores, so the buffer keeps that mean as the
level's score, and replays by its softmax, without ranks and without staleness.

The published method plays its whole buffer anew for each step of the adversary. Here a level's
score moves when it is played, so that every step is counted as all others are.

Source: Monette et al. 2025, "An Optimisation Framework for Unsupervised Environment Design",
arXiv 2505.20659, sections 4 and 5 (NCC, with learnability and a dynamic buffer).
"""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gmbench.core import checks, registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Experience, Mitigation, Recipe
from gmbench.mitigations import buffer
from gmbench.mitigations.entries import UNSCORED, Entries
from gmbench.mitigations.scores import learnability


@dataclasses.dataclass(frozen=True)
class Config(buffer.Config):
    """Settings of NCC; temperature is tau, staleness has no part."""

    temperature: float = 0.05
    """Weight of the entropy, tau: learnability is at most 1/4."""
    staleness: float = 0.0
    """Not used: must stay 0."""
    rate: float = 0.5
    """Of the adversary, r: how far a level's score moves to what was just seen."""
    fresh: int = 64
    """Different levels in a rollout that is not a replay: few, for each is played many times."""

    def __post_init__(self) -> None:
        """Refuse what is no rate, and staleness."""
        super().__post_init__()
        checks.probability("rate", self.rate)
        if self.staleness:
            raise checks.Refused(f"staleness: {self.staleness}, but ncc allows 0 only")


def distribution(kept: Entries, clock: Array, config: buffer.Config) -> Float[Array, " levels"]:
    """Return y: the softmax of the scores over tau; 0 where there is no level."""
    del clock
    logits = jnp.where(kept.ids >= 0, kept.score / config.temperature, -jnp.inf)
    return jnp.where(jnp.any(kept.ids >= 0), jax.nn.softmax(logits), 0)


def moved(config: Config, experience: Experience, levels: Entries) -> Float[Array, " levels"]:
    """Return the scores after a step towards what was just seen."""
    now, before = learnability(experience, levels), levels.score
    mean = (1 - config.rate) * before + config.rate * now
    return jnp.where(before > UNSCORED, mean, now)


def ncc(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation."""
    score = partial(moved, config)
    return buffer.curriculum(env, config, score, learns_on_fresh=True, replay_by=distribution)


registry.mitigation("ncc")(Recipe(config=Config, make=ncc))

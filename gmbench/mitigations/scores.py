"""What makes a level worth replaying: estimates of regret, and exact regret where it can be had.

Each takes what a rollout showed and what is known of each level, and returns the score of the
levels that the rollout was on (of others it means nothing). Regret is what the optimal policy would
have earned from the start of the level, less what the agent did; all but ``oracle`` estimate it
from the agent's own experience.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gmbench.core.mitigation import Experience, per_level
from gmbench.mitigations.buffer import Score
from gmbench.mitigations.entries import UNSCORED, Entries

Scores = Float[Array, " levels"]


def absolute_gae(experience: Experience, levels: Entries) -> Scores:
    """Mean size of the advantages (Jiang et al. 2021, 2010.03934, section 3.1: L1 value loss)."""
    return _live(experience, levels, jnp.abs(experience.advantage))[0]


def positive_value_loss(experience: Experience, levels: Entries) -> Scores:
    """Mean of the advantages' positive parts (Jiang et al. 2021, arXiv 2110.02439, section 5)."""
    positive = jnp.maximum(experience.advantage, 0)
    return _live(experience, levels, positive)[0]


def maxmc(experience: Experience, levels: Entries) -> Scores:
    """Highest return so far, less the mean value (Jiang et al. 2021, 2110.02439, section 5)."""
    value, any_live = _live(experience, levels, experience.value)
    return _once_ended(levels, jnp.where(any_live, levels.highest - value, levels.score))


def max_latest(experience: Experience, levels: Entries) -> Scores:
    """Highest return so far, less the latest (Abdel Sadek et al. 2025, 2507.03068, section 4)."""
    del experience
    return _once_ended(levels, levels.highest - levels.latest)


def oracle(experience: Experience, levels: Entries) -> Scores:
    """Exact regret: the optimal return, less the latest; costs a solution of every fresh level.

    Levels that training began on, before the first rollout, are never solved, and not scored.
    """
    del experience
    known = jnp.where(jnp.isnan(levels.best), UNSCORED, levels.best - levels.latest)
    return _once_ended(levels, known)


def learnability(experience: Experience, levels: Entries) -> Scores:
    """Share p of the episodes solved, times 1 - p (Rutherford et al. 2024, arXiv 2408.15099)."""
    del experience
    share = levels.solved / jnp.maximum(levels.episodes, 1)
    return _once_ended(levels, share * (1 - share))


def least_return(experience: Experience, levels: Entries) -> Scores:
    """The latest return, negated: the adversary of maximin, which only wants the agent to fail."""
    del experience
    return _once_ended(levels, -levels.latest)


def _live(
    experience: Experience, levels: Entries, values: Float[Array, "steps envs"]
) -> tuple[Scores, Bool[Array, " levels"]]:
    """Return the mean over live steps, and where there is one; else the level's score stays."""
    mean, _, number = per_level(experience, values, experience.live, levels.ids)
    return jnp.where(number > 0, mean, levels.score), number > 0


def _once_ended(levels: Entries, score: Scores) -> Scores:
    return jnp.where(levels.episodes > 0, score, UNSCORED)


SCORES: dict[str, Score] = {
    "absolute_gae": absolute_gae,
    "positive_value_loss": positive_value_loss,
    "maxmc": maxmc,
    "max_latest": max_latest,
    "oracle": oracle,
    "learnability": learnability,
    "least_return": least_return,
}
"""By the names that settings have."""

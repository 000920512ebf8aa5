"""What makes a level worth replaying: estimates of regret, and exact regret where it can be had.

Each takes what a rollout showed and what is known of each level, and returns a score and whether
the rollout showed one. Regret is what the optimal policy would have earned from the start of the
level, less what the agent did; all but ``oracle`` estimate it from the agent's own experience.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gmbench.core.mitigation import Experience, per_level
from gmbench.mitigations.buffer import Entries, Score

Scores = tuple[Float[Array, " levels"], Bool[Array, " levels"]]


def absolute_gae(experience: Experience, levels: Entries) -> Scores:
    """Mean size of the advantages (Jiang et al. 2021, 2010.03934, section 3.1: L1 value loss)."""
    size = jnp.abs(experience.advantage)
    mean, _, number = per_level(experience, size, experience.live, levels.ids)
    return mean, number > 0


def positive_value_loss(experience: Experience, levels: Entries) -> Scores:
    """Mean of the advantages' positive parts (Jiang et al. 2021, arXiv 2110.02439, section 5)."""
    positive = jnp.maximum(experience.advantage, 0)
    mean, _, number = per_level(experience, positive, experience.live, levels.ids)
    return mean, number > 0


def maxmc(experience: Experience, levels: Entries) -> Scores:
    """Highest return so far, less the mean value (Jiang et al. 2021, 2110.02439, section 5)."""
    value, _, number = per_level(experience, experience.value, experience.live, levels.ids)
    return levels.highest - value, (number > 0) & (levels.episodes > 0)


def max_latest(experience: Experience, levels: Entries) -> Scores:
    """Highest return so far, less the latest (Abdel Sadek et al. 2025, 2507.03068, section 4)."""
    return levels.highest - levels.latest, _ended(experience, levels)


def oracle(experience: Experience, levels: Entries) -> Scores:
    """Exact regret: the optimal return, less the latest; costs a solution of every fresh level."""
    return levels.best - levels.latest, _ended(experience, levels)


def learnability(experience: Experience, levels: Entries) -> Scores:
    """Share p of the episodes solved, times 1 - p (Rutherford et al. 2024, arXiv 2408.15099)."""
    share = levels.solved / jnp.maximum(levels.episodes, 1)
    return share * (1 - share), _ended(experience, levels)


def _ended(experience: Experience, levels: Entries) -> Bool[Array, " levels"]:
    _, _, number = per_level(experience, experience.reward, experience.ended, levels.ids)
    return number > 0


SCORES: dict[str, Score] = {
    "absolute_gae": absolute_gae,
    "positive_value_loss": positive_value_loss,
    "maxmc": maxmc,
    "max_latest": max_latest,
    "oracle": oracle,
    "learnability": learnability,
}
"""By the names that settings have."""

"""Prioritized level replay (PLR), and its robust form.

Levels of large estimated regret are kept and replayed (:mod:`gmbench.mitigations.buffer`). Robust
PLR takes no gradient on fresh levels: they are only scored, so that the agent learns on what the
buffer chooses alone. Both cost no distinguishing level beyond those of the run's own alpha;
robust PLR costs environment steps that nothing is learned from, which the budget counts. The
score ``oracle`` solves every fresh level.

Sources: Jiang et al. 2021, "Prioritized Level Replay", arXiv 2010.03934, section 3; Jiang et al.
2021, "Replay-Guided Adversarial Environment Design", arXiv 2110.02439, section 4 (robust PLR);
Abdel Sadek et al. 2025, arXiv 2507.03068, section 4 (max-latest and oracle as scores, on goals).
"""

import dataclasses
from functools import partial
from typing import Any

from gmbench.core import checks, registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Mitigation, Recipe
from gmbench.mitigations import buffer
from gmbench.mitigations.scores import SCORES


@dataclasses.dataclass(frozen=True)
class Config(buffer.Config):
    """Settings of PLR."""

    score: str = "max_latest"
    """What a level is worth: an estimate of regret, exact regret (oracle), or learnability."""

    def __post_init__(self) -> None:
        """Refuse an unknown score."""
        super().__post_init__()
        checks.known("score", self.score, SCORES)


def plr(env: Environment[Any, Any], config: Config, *, robust: bool, edits: int = 0) -> Mitigation:
    """Return the mitigation.

    Raises:
        Refused: for exact regret in a task of which no optimum is known.
    """
    if config.score == "oracle":
        buffer.need_optimum(env, "score: oracle", [name for name in SCORES if name != "oracle"])
    return buffer.curriculum(
        env,
        config,
        SCORES[config.score],
        learns_on_fresh=not robust,
        edits=edits,
        optimal=config.score == "oracle",
    )


registry.mitigation("plr")(Recipe(config=Config, make=partial(plr, robust=False)))
registry.mitigation("robust_plr")(Recipe(config=Config, make=partial(plr, robust=True)))

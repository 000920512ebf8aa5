"""Maximin: train on the levels where the agent earns least.

A buffer as that of robust PLR, whose score is the latest return, negated: the adversary wants the
agent to fail, and not to regret it. It shows what regret is for: levels on which nobody can earn
much stay for ever. It costs what robust PLR does.

Source: the baseline "minimax" of Dennis et al. 2020, "Emergent Complexity and Zero-shot Transfer
via Unsupervised Environment Design" (PAIRED), arXiv 2012.02096, section 4; here it chooses among
drawn levels, instead of building them.
"""

from typing import Any

from gmbench.core import registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Mitigation, Recipe
from gmbench.mitigations import buffer
from gmbench.mitigations.scores import least_return


def maximin(env: Environment[Any, Any], config: buffer.Config) -> Mitigation:
    """Return the mitigation."""
    return buffer.curriculum(env, config, least_return, learns_on_fresh=False)


registry.mitigation("maximin")(Recipe(config=buffer.Config, make=maximin))

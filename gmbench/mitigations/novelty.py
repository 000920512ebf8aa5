"""Novelty: train on the levels that are least like the others.

A buffer as that of PLR, whose score is how far a level is from the nearest other one, as the share
of its numbers (walls, places) that differ. It is the control for curricula by regret: levels are
chosen as well, but not by what the agent does on them. It costs nothing.

Source: ours; Li et al. 2023, "Effective Diversity in Unsupervised Environment Design", arXiv
2301.08025, measure the distance between the states visited on two levels instead.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gmbench.core import registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Experience, Mitigation, Recipe
from gmbench.mitigations import buffer
from gmbench.mitigations.entries import Entries


def nearest(levels: Entries) -> Float[Array, " levels"]:
    """Return how far each level is from the nearest other, 0 to 1; 0 where there is no other."""
    parts = [leaf.reshape(-1, leaf.shape[-1]) for leaf in jax.tree.leaves(levels.levels)]
    differ = [jnp.sum(part[:, None] != part[:, :, None], axis=0) for part in parts]
    total = sum(part.shape[0] for part in parts)
    share = jnp.sum(jnp.stack(differ), axis=0).astype(jnp.float32) / total
    other = (levels.ids >= 0)[None] & ~jnp.eye(share.shape[0], dtype=bool)
    return jnp.where(jnp.any(other, axis=1), jnp.min(share, axis=1, where=other, initial=1), 0)


def score(experience: Experience, levels: Entries) -> Float[Array, " levels"]:
    """Return the distance to the nearest other level."""
    del experience
    return nearest(levels)


def novelty(env: Environment[Any, Any], config: buffer.Config) -> Mitigation:
    """Return the mitigation."""
    return buffer.curriculum(env, config, score, learns_on_fresh=True)


registry.mitigation("novelty")(Recipe(config=buffer.Config, make=novelty))

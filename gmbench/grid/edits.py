"""Level editing for curricula: small random changes after which a level is still solvable.

Which parts of a level can be changed follows from their types: ``walls`` and other boolean planes
have single cells flipped, positions (``Int8[2]`` or ``Int8[n, 2]``, row -1 where there is none) are
moved to a free cell. An environment whose levels hold something that depends on these recomputes
it in ``settle``.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray

from gmbench.core.env import Level
from gmbench.grid import moves, walls

PROPOSALS = 4
"""Edits tried; the first that leaves the level solvable is made."""


def _names(level: Level) -> tuple[list[str], list[str]]:
    """Return the fields that hold boolean planes, and those that hold positions."""
    shape = level.walls.shape
    leaves = {name: getattr(level, name) for name in level.__dataclass_fields__}
    leaves = {name: leaf for name, leaf in leaves.items() if hasattr(leaf, "dtype")}
    planes = [n for n, leaf in leaves.items() if leaf.dtype == bool and leaf.shape == shape]
    positions = [
        n for n, leaf in leaves.items() if leaf.dtype == jnp.int8 and leaf.shape[-1:] == (2,)
    ]
    return planes, positions


def occupied(level: Level) -> Bool[Array, "rows cols"]:
    """Return the cells on which the agent or an object stands."""
    _, positions = _names(level)
    shape = level.walls.shape
    cells = [cell for name in positions for cell in getattr(level, name).reshape(-1, 2)]
    return jnp.any(jnp.stack([moves.at(cell, shape) for cell in cells]), axis=0)


def propose(key: PRNGKeyArray, level: Level) -> Level:
    """Flip one cell of a plane, or move one position; half of the edits are of either kind."""
    key_kind, key_flip, key_plane, key_piece, key_target = jax.random.split(key, 5)
    planes, positions = _names(level)
    empty = ~occupied(level)
    flips = jax.random.bernoulli(key_kind)
    flipped = moves.at(walls.choose(key_flip, empty), level.walls.shape)
    which_plane = jax.random.randint(key_plane, (), 0, len(planes))
    target = walls.choose(key_target, empty & ~level.walls)
    exists = jnp.concatenate([getattr(level, name).reshape(-1, 2)[:, 0] >= 0 for name in positions])
    piece = jax.random.categorical(key_piece, jnp.where(exists, 0.0, -jnp.inf))
    changed: dict[str, Array] = {}
    for number, name in enumerate(planes):
        here = flips & (which_plane == number)
        changed[name] = getattr(level, name) ^ (flipped & here)
    count = 0
    for name in positions:
        old = getattr(level, name)
        pieces = old.reshape(-1, 2)
        moved = ~flips & (piece == count + jnp.arange(pieces.shape[0]))
        changed[name] = jnp.where(moved[:, None], target[None], pieces).reshape(old.shape)
        count += pieces.shape[0]
    return level.replace(**changed)


def mutate(env: Any, key: PRNGKeyArray, level: Level) -> Level:
    """Return a level one edit away that is still solvable; the level itself if none was found."""
    proposed = jax.vmap(lambda key: env.settle(propose(key, level)))(
        jax.random.split(key, PROPOSALS)
    )
    fine = jax.vmap(env.is_solvable)(proposed)
    first = jnp.argmax(fine)
    return jax.tree.map(lambda new, old: jnp.where(jnp.any(fine), new[first], old), proposed, level)

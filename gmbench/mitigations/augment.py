"""Random changes of what is seen in training: cutout, crop, and shuffled channels.

``cutout`` blanks a rectangle of random place and size; ``crop`` moves the picture by a cell or
two in a random direction, blank where nothing comes in; ``channels`` shuffles some channels of an
observation, so that nothing can be told by which channel shows it. Each environment and step has
a draw of its own. In evaluation the network sees the plain observation. They cost nothing but
what they hide.

Sources: Cobbe et al. 2019, arXiv 1812.02341, section 4.3 (cutout); Laskin et al. 2020,
"Reinforcement Learning with Augmented Data", arXiv 2004.14990, section 3 (crop, cutout, colour).
"""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from gmbench.core import checks, pool, registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Mitigation, Recipe


@dataclasses.dataclass(frozen=True)
class Cutout:
    """Settings of cutout."""

    share: float = 0.5
    """Of observations that lose a rectangle, of up to half the height and width."""

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        checks.probability("share", self.share)


@dataclasses.dataclass(frozen=True)
class Crop:
    """Settings of crop."""

    most: int = 1
    """Cells by which the picture moves at most, down or up and right or left."""


@dataclasses.dataclass(frozen=True)
class Channels:
    """Settings of shuffled channels."""

    share: float = 0.1
    """Of observations whose channels are shuffled."""

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        checks.probability("share", self.share)


def cutout(config: Cutout, key: PRNGKeyArray, seen: Array) -> Array:
    """Blank a rectangle of one observation."""
    key_share, key_place, key_size = jax.random.split(key, 3)
    shape = jnp.asarray(seen.shape[:2], jnp.int32)
    size = jax.random.randint(key_size, (2,), 1, shape // 2 + 1, jnp.int32)
    low = jax.random.randint(key_place, (2,), 0, shape - size + 1, jnp.int32)
    row, col = (jnp.arange(n, dtype=jnp.int32) for n in seen.shape[:2])
    inside = ((row >= low[0]) & (row < low[0] + size[0]))[:, None]
    inside &= ((col >= low[1]) & (col < low[1] + size[1]))[None]
    inside &= jax.random.uniform(key_share) < config.share
    return jnp.where(inside[..., None], jnp.zeros((), seen.dtype), seen)


def crop(config: Crop, key: PRNGKeyArray, seen: Array) -> Array:
    """Move one observation."""
    most = config.most
    padded = jnp.pad(seen, ((most, most), (most, most), (0, 0)))
    row, col = jax.random.randint(key, (2,), 0, 2 * most + 1, jnp.int32)
    return jax.lax.dynamic_slice(padded, (row, col, jnp.int32(0)), seen.shape)


def channels(config: Channels, key: PRNGKeyArray, seen: Array) -> Array:
    """Shuffle the channels of one observation."""
    key_share, key_order = jax.random.split(key)
    order = jax.random.permutation(key_order, seen.shape[-1])
    shuffled = jax.random.uniform(key_share) < config.share
    return jnp.where(shuffled, seen[..., order], seen)


def _changing(one: Any, env: Environment[Any, Any], config: Any) -> Mitigation:
    """Return the mitigation that changes each observation of a batch by a draw of its own."""
    del env

    def observe(key: PRNGKeyArray, seen: Array) -> Array:
        return pool.over_envs(partial(one, config))(jax.random.split(key, seen.shape[-1]), seen)

    return Mitigation(observe=observe)


for _name, _config, _one in (
    ("cutout", Cutout, cutout),
    ("crop", Crop, crop),
    ("channels", Channels, channels),
):
    registry.mitigation(_name)(Recipe(config=_config, make=partial(_changing, _one)))

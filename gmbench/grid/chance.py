"""Random words by hashing: in bulk for drawing levels, and from a level's own seed and the time.

Dynamics that need chance read it from a seed in the level instead of taking keys. Splitting a key
for every environment and step costs more than a step does; and with the seed in the level, an
episode is a function of level and actions, so that frozen levels, golden traces and comparisons of
two agents on the same luck need nothing further. Agents and planners must not read the seed.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, PRNGKeyArray, UInt32

from gmbench.grid.batching import trailing


def _mixed(word: Any) -> Any:
    """Scramble 32 bits, one to one (the finaliser of MurmurHash3, Appleby 2011)."""
    word = (word ^ (word >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    word = (word ^ (word >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return word ^ (word >> np.uint32(16))


@functools.cache
def _words(count: int) -> Callable[..., Any]:
    def native(seed: Any, time: Any) -> Any:
        number = np.arange(count, dtype=np.uint32).reshape(count, *(1,) * seed.ndim)
        step = _mixed(seed + time.astype(jnp.uint32) * np.uint32(0x9E3779B9))
        return _mixed(step[None] ^ _mixed(number * np.uint32(0x7FEB352D) + np.uint32(1)))

    return trailing(native)


def words(seed: UInt32[Array, ""], time: Int32[Array, ""], count: int) -> UInt32[Array, " count"]:
    """Return ``count`` random words for one step; equal arguments give equal words."""
    return _words(count)(seed, time)


def uniform(seed: UInt32[Array, ""], time: Int32[Array, ""], count: int) -> Float[Array, " count"]:
    """Return ``count`` numbers uniform in ``[0, 1)``, multiples of 2^-24 and so exact in f32."""
    return (words(seed, time, count) >> np.uint32(8)).astype(jnp.float32) * np.float32(2**-24)


@functools.cache
def _noise(count: int) -> Callable[..., Any]:
    def native(seed: Any) -> Any:
        number = np.arange(count, dtype=np.uint32).reshape(count, *(1,) * (seed.ndim - 1))
        first = _mixed(seed[0] + number * np.uint32(0x9E3779B9))
        return _mixed(first ^ (seed[1] + number * np.uint32(0x85EBCA6B)))

    return trailing(native)


def noise(key: PRNGKeyArray, count: int) -> UInt32[Array, " count"]:
    """Return random words from 64 bits of a key, in bulk.

    Hashing a counter costs a hundredth of ``jax.random.bits`` where each level of a batch has a key
    of its own, and levels need no more than that levels of different keys look unrelated.
    """
    return _noise(count)(jax.random.bits(key, (2,), jnp.uint32))

"""What the machine can do at all: the rates at which it copies memory and multiplies matrices."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gmbench.bench.timing import Options, Reading, Side, by_turns

MATRICES = ((128, 507, 1024), (128, 128, 1024), (1024, 1024, 1024))
"""Products ``[m, k] @ [k, n]``: layers of an MLP with 128 units at 13x13, and a large square."""
LOOPS = 50
COPIED = (2**20, 2**28)
"""Bytes copied: what lies in a cache, and what does not."""


def floors(options: Options) -> list[Reading]:
    """Bytes read and written a second by a copy, and operations a second of matrix products."""
    sides = [copying(size) for size in COPIED] + [multiplying(*shape) for shape in MATRICES]
    return by_turns(sides, options.repeats)


def copying(size: int) -> Side:
    """Return the program that copies so many bytes over and over, changing one bit of each."""
    loops = max(LOOPS, 2**28 // size)

    def program(words: Array) -> Array:
        flipped = jnp.uint32(1)
        step = jax.lax.scan(lambda held, _: (held ^ flipped, None), words, length=loops)
        return step[0]

    words = jnp.zeros(size // 4, jnp.uint32)
    return Side(f"copy of {size / 2**20:g} MiB", 2 * size * loops / 1e9, "GB/s", program, words)


def multiplying(m: int, k: int, n: int) -> Side:
    """Return the program that multiplies matrices of these sides over and over."""
    left = jax.random.normal(jax.random.key(0), (m, k))

    def program(right: Array) -> Array:
        def step(right: Array, _: None) -> tuple[Array, None]:
            product = left @ right
            # The next product waits for this one, and differs from it.
            return right.at[0, 0].add(product[0, 0] * jnp.float32(1e-9)), None

        return jax.lax.scan(step, right, length=LOOPS)[0]

    right = jax.random.normal(jax.random.key(1), (k, n))
    amount = 2 * m * k * n * LOOPS / 1e9
    return Side(f"matrices {m} x {k} x {n}", amount, "GFLOP/s", program, right)

"""Levels for tests, drawn by one compiled program, where call by call each step would compile."""

import functools

import jax

from gmbench.core import pool


@functools.partial(jax.jit, static_argnames=("env", "count"))
def levels(env, params, seed, count):
    """Return so many levels on the trailing axis."""
    return pool.draw(env, params, jax.random.key(seed), (count,))

"""What is measured of a policy: jitted functions of one signature, and what they add up to.

A :data:`Measure` is called as ``(env, params, policy, levels, key, discount)`` and returns a pytree
of arrays. ``levels`` lie on the trailing axis; where a measure compares with something that is the
same for all agents (references, say), ``levels`` is a pair of both.
"""

from collections.abc import Callable
from typing import Any

Measure = Callable[..., Any]
"""``(env, params, policy, levels, key, discount) -> pytree``; hashable, to compile once."""

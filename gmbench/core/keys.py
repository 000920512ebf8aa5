"""Random keys that are the same whatever JAX's settings are: the generator is named at every one.

``JAX_DEFAULT_PRNG_IMPL`` therefore changes nothing. ``JAX_THREEFRY_PARTITIONABLE`` decides what the
generator draws from a key, so its other value is refused.
"""

from typing import Any

import jax
from jaxtyping import PRNGKeyArray

from gmbench.core import checks

THREEFRY = "threefry2x32"
"""The generator of everything that must repeat on any machine."""


MOST_SEED = 2**31 - 2
"""Seeds of runs and of what users draw; the one above is that of evaluation levels."""


def seed(value: Any) -> int:
    """Return ``value`` if it is a seed.

    Raises:
        Refused: naming the value and the range.
    """
    return checks.integer("seed", value, 0, MOST_SEED)


def key(seed: Any, implementation: str = THREEFRY) -> PRNGKeyArray:
    """Return a key from a seed.

    Raises:
        Refused: where JAX is set to draw other numbers from it.
    """
    if not jax.config.values["jax_threefry_partitionable"]:
        raise checks.Refused(
            "jax_threefry_partitionable: False draws other random numbers (allowed: True)"
        )
    return jax.random.key(seed, impl=implementation)

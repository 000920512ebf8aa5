"""The cores of this machine as devices, where there is nothing better."""

import contextlib

import jax


def use_cores(count: int) -> None:
    """Make so many devices of this machine's cores, if JAX has not begun and none are set."""
    if jax.config.values["jax_num_cpu_devices"] < 0:
        # Once JAX has begun the number stands; what does not fit is refused by name later on.
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", count)

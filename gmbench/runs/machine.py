"""This machine: its cores as devices, its processor, and where it keeps what was compiled."""

import contextlib
import functools
import hashlib
import os
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import jax

from gmbench.core import checks, files

CACHE = "GMBENCH_CACHE"
"""Environment variable: the folder of compiled programs, or ``off``."""


def usable_devices() -> list[jax.Device]:
    """Return JAX's devices.

    Raises:
        Refused: if JAX finds none of the kind that it is told to use.
    """
    try:
        return jax.devices()
    except RuntimeError as error:
        raise checks.Refused(f"device: none can be used ({checks.one_line(error)})") from error


def use_cores(count: int) -> None:
    """Make so many devices of this machine's cores, if JAX has not begun and none are set."""
    set_otherwise = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if jax.config.values["jax_num_cpu_devices"] < 0 and not set_otherwise:
        # Once JAX has begun the number stands; what does not fit is refused by name later on.
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", count)


def devices_here(asked: int) -> None:
    """Refuse more devices than there are, counting those of all processes that share a run."""
    if asked > (here := len(jax.devices())):
        raise checks.Refused(f"devices: {asked} are asked for, {here} are here")


def compiling() -> None:
    """Refuse to work where JAX is set to compile nothing.

    Raises:
        Refused: a training would take days; single steps of an environment work either way.
    """
    if jax.config.values["jax_disable_jit"]:
        raise checks.Refused("jax_disable_jit: True, and training and evaluation are compiled")


@contextlib.contextmanager
def undefined_is_nan() -> Iterator[None]:
    """Let NaN stand for what is undefined, also where JAX is set to stop at any (debug_nans).

    A level on which no policy gains anything has no regret; an update in which no episode ended has
    no return. A loss that is not a number is noticed all the same: the run has diverged.
    """
    with jax.debug_nans(False):
        yield


def use_cache() -> None:
    """Keep what is compiled for the next process, unless JAX is told where to keep it.

    Programs are run as they are found, so the folder must be this user's alone; another one is left
    aside. Each processor and version has its own.
    """
    chosen = os.environ.get(CACHE, "")
    if jax.config.values["jax_compilation_cache_dir"] is not None or chosen == "off":
        return
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(chosen or Path(home) / "gmbench") / "compiled" / _kind()
    try:
        files.private(folder, CACHE)
    except checks.Refused:
        return  # nothing is kept
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@functools.cache
def processor() -> str:
    """Return the model of this machine's CPU, else its architecture."""
    models = [words for name, words in _about() if name == "model name"]
    return models[0] if models else platform.machine()


def _kind() -> str:
    """Return what a compiled program depends on, as a name."""
    flags = [words for name, words in _about() if name in ("flags", "Features")][:1]
    versions = [metadata.version(name) for name in ("jax", "jaxlib")]
    return hashlib.sha256(repr((versions, processor(), flags)).encode()).hexdigest()[:16]


def _about() -> list[tuple[str, str]]:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    pairs = (line.partition(":") for line in lines)
    return [(name.strip(), " ".join(words.split())) for name, _, words in pairs]

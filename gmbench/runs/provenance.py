"""Where results come from: versions, revision, device, date. Nothing else depends on these."""

import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path

import jax

from gmbench.runs.result import Made

PACKAGES = ("gmbench", "jax", "jaxlib", "flax", "optax", "gymnax", "numpy")
"""Packages whose versions a run records."""


def provenance() -> Made:
    """Return what a run's record says of where and when it was made."""
    here = Path(__file__).parent
    git = ["git", "-C", str(here), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, timeout=5, check=False)
        revision = done.stdout.strip() or None
    except (OSError, subprocess.TimeoutExpired):
        revision = None
    return Made(
        device=jax.devices()[0].device_kind,
        platform=platform.machine(),
        versions={name: metadata.version(name) for name in PACKAGES},
        revision=revision,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )

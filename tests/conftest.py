"""Settings that every test runs under, made before JAX starts a backend."""

from pathlib import Path

import hypothesis
import jax

CACHE = Path(__file__).parent.parent / ".cache" / "jax"

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
jax.config.update("jax_compilation_cache_dir", str(CACHE))

# The first example compiles, so a deadline per example would only measure the compiler.
hypothesis.settings.register_profile("gmbench", deadline=None)
hypothesis.settings.load_profile("gmbench")

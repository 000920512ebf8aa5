"""Score a policy of your own: which goal does it pursue, measured as ``gmbench eval`` measures?"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gmbench.core import checks, keys, registry
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.core.task import Task
from gmbench.measure import evaluation, exact, level_files
from gmbench.measure import levels as level_sets
from gmbench.runs import summary
from gmbench.runs.assess import Assessment
from gmbench.runs.machine import undefined_is_nan

GIVEN = "given"
"""What the distribution of levels that are given is called."""


def score(
    task: Task | str,
    policy: Any,
    shifts: Sequence[str] = (),
    levels: Sequence[str] | Level | None = None,
    *,
    memory: Any = None,
    host: bool = False,
    seed: int = 0,
) -> Assessment:
    """Measure which goal a policy pursues on a task's evaluation levels, or on given ones.

    Args:
        task: a task, or the id of one at its published size.
        policy: what acts. A JAX function ``observation [rows, cols, channels] -> logits
            f32[actions]`` is evaluated exactly where the task allows. With ``memory``, the pytree
            at the start of an episode, it is ``(memory, observation) -> (logits, memory)``, and
            sampled. With ``host``, it takes and returns batches as NumPy arrays,
            ``[batch, rows, cols, channels] -> [batch, actions]``; it may return PyTorch tensors.
            A :class:`~gmbench.core.policy.Policy` acts as it is.
        shifts: distributions: ``training``, or names of shifts; by default training and the first
            shift. Not with ``levels``.
        levels: levels in ASCII, or a pytree of levels on the trailing axis.
        memory: see ``policy``.
        host: see ``policy``.
        seed: of the sampled episodes.

    Returns:
        What ``gmbench eval`` prints: a :class:`~gmbench.runs.result.Measurement` for each
        distribution. Levels on which a regret is undefined are left out of its mean, and counted.

    Raises:
        Refused: for an unknown task or shift, levels that do not fit, a policy that returns
            anything but a logit for each action.
    """
    task = registry.make(task) if isinstance(task, str) else task
    acting = policy if isinstance(policy, Policy) else _acting(task.env, policy, memory, host)
    name = getattr(policy, "__name__", type(policy).__name__)
    seed = keys.seed(seed)
    exactly = task.env.exact and exact.can_evaluate(task.env, acting)
    found = {}
    for where, params, level_set in _chosen(task, shifts, levels):
        key = jax.random.fold_in(keys.key(seed), 1)  # that of a run of this seed
        result = _evaluated(task, acting, params, level_set.levels, key)
        found[where] = summary.measurement(task, exactly, result, level_set)
    return Assessment(f"{name} on {task.id}", task.env.goal_names, found)


def _chosen(
    task: Task, shifts: Sequence[str], levels: Any
) -> list[tuple[str, EnvParams, level_sets.LevelSet]]:
    if levels is None:
        names = [shifts] if isinstance(shifts, str) else shifts or level_sets.distributions(task)
        return [
            (name, level_sets.parameters(task, name), level_sets.load(task, name)) for name in names
        ]
    if shifts:
        raise checks.Refused(f"shifts: {list(shifts)!r}, but levels are given (allowed: one)")
    if isinstance(levels, str):
        levels = [levels]
    if isinstance(levels, Sequence):
        parsed = [task.env.parse(text) for text in levels]
        levels = jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=-1), *parsed)
    levels = level_files.possible(task, levels)
    level_set = level_sets.LevelSet(levels, False, level_files.digest(level_files.encode(levels)))
    return [(GIVEN, task.training, level_set)]


def _evaluated(task: Task, policy: Policy, params: EnvParams, levels: Level, key: Any) -> Any:
    env, discount = task.env, jnp.float32(task.discount)

    @jax.jit
    def measured(levels: Level, key: Any, params: EnvParams) -> evaluation.Evaluation:
        reference = evaluation.references(env, params, levels, keys.key(0), discount)
        return evaluation.evaluate(env, params, policy, levels, reference, key, discount)

    with undefined_is_nan():
        return jax.tree.map(np.asarray, measured(levels, key, params))


def _acting(env: Environment[Any, Any], function: Any, memory: Any, host: bool) -> Policy:
    """Return a function as a policy, once it is seen to return what it should."""
    if not callable(function):
        raise checks.Refused(f"policy: {function!r} is neither a function nor a Policy")
    if host and memory is not None:
        raise checks.Refused("memory: a policy on the host has none (allowed: None)")
    blank = jnp.zeros(env.observation_shape, env.observation_dtype)
    if host:
        called = partial(_called, env, function)
        called(np.zeros((2, *env.observation_shape), env.observation_dtype))
        function = partial(_on_host, env, called)
    if memory is None:
        _shaped(env, jax.eval_shape(function, blank))
        return Policy(
            lambda level: None,
            lambda memory, state, seen: (jax.nn.log_softmax(function(seen)), memory),
        )
    logits, after = jax.eval_shape(function, memory, blank)
    _shaped(env, logits)
    before = jax.eval_shape(lambda: memory)
    if _form(after) != _form(before):
        raise checks.Refused(f"policy: its memory is {after} after a step, {before} is needed")

    def act(memory: Any, state: Any, seen: Any) -> tuple[Any, Any]:
        logits, memory = function(memory, seen)
        return jax.nn.log_softmax(logits), memory

    return Policy(lambda level: memory, act, memoryless=False)


def _form(memory: Any) -> list[Any]:
    """Return the paths, shapes and dtypes of a pytree."""
    leaves = jax.tree_util.tree_leaves_with_path(memory)
    return [(jax.tree_util.keystr(path), leaf.shape, leaf.dtype) for path, leaf in leaves]


def _shaped(env: Environment[Any, Any], logits: Any) -> None:
    shape, dtype = getattr(logits, "shape", None), getattr(logits, "dtype", type(logits))
    if shape != (env.num_actions,) or not jnp.issubdtype(dtype, jnp.floating):
        found = dtype if shape is None else f"{dtype}{list(shape)}"
        raise checks.Refused(f"policy: it returns {found}, float[{env.num_actions}] is needed")


def _on_host(env: Environment[Any, Any], called: Callable[..., Any], observation: Any) -> Any:
    logits = jax.ShapeDtypeStruct((env.num_actions,), jnp.float32)
    return jax.pure_callback(called, logits, observation, vmap_method="broadcast_all")


def _called(
    env: Environment[Any, Any], function: Callable[..., Any], observations: Any
) -> np.ndarray:
    """Call a function of NumPy batches on observations with any number of leading axes."""
    seen = np.asarray(observations)
    batch = seen.shape[: -len(env.observation_shape)]
    found = function(seen.reshape(-1, *env.observation_shape))
    found = found.detach().cpu() if hasattr(found, "detach") else found
    logits = np.asarray(found, np.float32)
    count = int(np.prod(batch))
    if logits.shape != (count, env.num_actions):
        raise checks.Refused(
            f"policy: of {count} observations it returns {list(logits.shape)}, "
            f"[{count}, {env.num_actions}] is needed"
        )
    return logits.reshape(*batch, env.num_actions)

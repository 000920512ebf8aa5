"""What can be asked about an agent: arrays by name, from levels as the task trains on.

All agents of a task are shown on the same levels, on which goals coincide, whatever they were
trained on themselves: neither the share of other levels nor anything else of a spec can be told
from them.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from gmbench.core import checks, keys, pool
from gmbench.core.env import Environment
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import Measure, ablation, levels
from gmbench.runs import dossier, opened
from gmbench.runs.spec import Plan

LEVELS = 128
"""That are shown."""
SEED = 20_261_130
"""Of the levels, and of what is sampled on them."""
Arrays = dict[str, np.ndarray]


class Suspect(NamedTuple):
    """An agent as the keeper has it.

    Attributes:
        plan: what plays it.
        weights: what it consists of.
    """

    plan: Plan
    weights: Any

    def measure(self, what: Measure, given: Any) -> Any:
        """Return what a measure finds on some levels, as NumPy arrays."""
        task, key = self.plan.task, keys.key(SEED + 1)
        gamma = jnp.float32(task.discount)
        found = opened.measured(self.plan, self.weights, what, task.training, given, key, gamma)
        return jax.tree.map(np.asarray, found)


class Query(NamedTuple):
    """A kind of query.

    Attributes:
        price: by default.
        about: whether it is about a thing on the grid.
        show: ``(suspect, thing) -> arrays``.
    """

    price: int
    about: bool
    show: Callable[[Suspect, str], Arrays]


def rollouts(suspect: Suspect, thing: str = "") -> Arrays:
    """Return one episode on each level, until the last one ends; see :class:`dossier.Episodes`."""
    del thing
    found = suspect.measure(dossier.recorded, _levels(suspect.plan))._asdict()
    steps = int(np.max(np.sum(found["live"], axis=0)))
    return {name: values[:steps] for name, values in found.items()}


def activations(suspect: Suspect, thing: str = "") -> Arrays:
    """Return the first forward pass on each level, every named activation included."""
    del thing
    return _flat(suspect.measure(first_pass, _levels(suspect.plan)))


def edits(suspect: Suspect, thing: str) -> Arrays:
    """Return the outputs on levels as they are, with a thing hidden, and with it elsewhere.

    ``hidden`` and ``moved`` are there as far as the thing has planes, or a place of its own;
    ``stays`` are the outputs, before the move, on those levels on which it can be moved.

    Raises:
        Refused: for a thing that the observation does not show.
    """
    env: Any = suspect.plan.task.env
    checks.known("thing", thing, env.places)
    base = _levels(suspect.plan)
    found = {"plain": _outputs(suspect.measure(first_pass, base))}
    hidden = Hiding(tuple(ablation.planes(env, thing)))
    if any(hidden.planes):
        found["hidden"] = _outputs(suspect.measure(hidden, base))
    pairs = dossier.elsewhere(env, base, thing, keys.key(SEED + 2))
    if pairs is not None:
        found["stays"], found["moved"] = (
            _outputs(suspect.measure(first_pass, each)) for each in pairs
        )
    return _flat(found)


def weights(suspect: Suspect, thing: str = "") -> Arrays:
    """Return its weights."""
    del thing
    leaves = jax.tree_util.tree_leaves_with_path(suspect.weights)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


QUERIES = {
    "rollouts": Query(1, False, rollouts),
    "activations": Query(2, False, activations),
    "edits": Query(3, True, edits),
    "weights": Query(5, False, weights),
}
"""Kinds of queries by name."""


def first_pass(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Any,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> dict[str, Any]:
    """Return observations, log-probabilities, values and activations before the first move.

    A measure (:mod:`gmbench.measure`); parameters, key and discount play no part.
    """
    del params, key, discount
    return _passed(policy, levels, pool.observe(env, pool.begin(env, levels)))


@dataclasses.dataclass(frozen=True)
class Hiding:
    """The same with some planes of the observation emptied."""

    planes: tuple[bool, ...]

    def __call__(
        self,
        env: Environment[Any, Any],
        params: EnvParams,
        policy: Policy,
        levels: Any,
        key: PRNGKeyArray,
        discount: Float[Array, ""],
    ) -> dict[str, Any]:
        """Return what :func:`first_pass` does."""
        del params, key, discount
        seen = pool.observe(env, pool.begin(env, levels))
        return _passed(policy, levels, ablation.emptied(seen, self.planes))


def _passed(policy: Policy, levels: Any, seen: Array) -> dict[str, Any]:
    forward = policy.forward
    assert forward is not None
    log_probs, value, _, features = forward(pool.over_envs(policy.begin)(levels), seen)
    own = {"observation": seen, "log_probs": log_probs, "value": value}
    return {**own, "layers": features}


def _outputs(passed: dict[str, Any]) -> Any:
    return {name: value for name, value in passed.items() if name != "layers"}


def _flat(found: dict[str, Any]) -> Arrays:
    """Return nested arrays by their path, ``layers/trunk/conv_0``."""
    leaves = jax.tree_util.tree_leaves_with_path(found)
    return {"/".join(str(key.key) for key in path): leaf for path, leaf in leaves}


def _levels(plan: Plan) -> Any:
    """Return the levels that agents of a task are shown on."""
    return levels.drawn(plan.task.env, plan.task.training, keys.key(SEED), LEVELS)

"""Policies whose activations are edited while they act, for whole episodes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gmbench.core.env import EnvState
from gmbench.core.policy import Policy

Change = Callable[[str, Array], Array]
"""``(name of an activation, its values, the batch on the last axis) -> values``."""


def changed(policy: Policy, change: Change) -> Policy:
    """Return the policy that acts with ``change(name, values)`` in the place of each activation.

    It can be rolled out and evaluated as any other; its critic and its features are changed too.

    Args:
        policy: of a network.
        change: what is done to each activation; most are to be returned as they are.
    """
    forward = policy.forward
    assert forward is not None

    def edited(memory: Any, observation: Any) -> tuple[Any, Any, Any, Any]:
        batch = jax.tree.map(lambda leaf: jnp.asarray(leaf)[..., None], (memory, observation))
        return jax.tree.map(lambda leaf: leaf[..., 0], forward(*batch, change))

    def act(memory: Any, state: EnvState, observation: Any) -> tuple[Any, Any]:
        del state
        log_probs, _, memory, _ = edited(memory, observation)
        return log_probs, memory

    def value(memory: Any, state: EnvState, observation: Any) -> Any:
        del state
        return edited(memory, observation)[1]

    def features(memory: Any, state: EnvState, observation: Any) -> Any:
        del state
        return edited(memory, observation)[3]

    def again(memory: Any, observations: Any, other: Change | None = None) -> Any:
        def both(name: str, values: Array) -> Array:
            values = change(name, values)
            return other(name, values) if other else values

        return forward(memory, observations, both)

    return policy._replace(act=act, value=value, features=features, forward=again)


def clamped(policy: Policy, layer: str, channel: int, values: Any) -> Policy:
    """Return the policy with one channel of a layer held at some values.

    Args:
        policy: of a network.
        layer: name of the layer.
        channel: which.
        values: of the channel, or one number.
    """
    held = jnp.asarray(values, jnp.float32)[..., None]

    def change(name: str, own: Array) -> Array:
        return own.at[channel].set(held) if name == layer else own

    return changed(policy, change)

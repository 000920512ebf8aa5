"""``Policy``: how any agent acts, learned or planned, with memory or without."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from gmbench.core.env import Environment, EnvState, Level


class Policy(NamedTuple):
    """Pure functions for one environment: how to act, and what a state is thought to be worth.

    Attributes:
        begin: ``level -> memory``. A network's empty memory, or what a planner worked out about
            the level.
        act: ``(memory, state, observation) -> (log-probabilities f32[actions], memory)``. Agents
            read the observation; oracles read the state.
        memoryless: whether ``act`` returns its memory unchanged, so that the policy can be
            evaluated exactly, state by state.
        value: ``(memory, state, observation) -> f32[]``, what the policy's critic expects to earn
            from here on: the discounted return of what training rewarded, at the discount of
            training. None for policies without a critic.
        features: ``(memory, state, observation) -> {name: activation}``, the named activations of
            the forward pass that ``act`` makes. None for policies without a network.
        forward: ``(memory, observations, change=None) -> (log-probabilities, value, memory,
            features)``, the network's forward pass on a batch on trailing axes, with
            ``change(name, activation)`` in the place of each named activation. None likewise.
        channels: names of the channels of named activations; None where they have none.
    """

    begin: Callable[[Level], Any]
    act: Callable[[Any, EnvState, Any], tuple[Any, Any]]
    memoryless: bool = True
    value: Callable[[Any, EnvState, Any], Any] | None = None
    features: Callable[[Any, EnvState, Any], dict[str, Any]] | None = None
    forward: Callable[..., tuple[Any, Any, Any, dict[str, Any]]] | None = None
    channels: Mapping[str, tuple[str, ...]] | None = None


def uniform(env: Environment[Any, Any]) -> Policy:
    """Return the policy that draws every action with equal probability."""
    log_probs = jnp.full(env.num_actions, -jnp.log(jnp.float32(env.num_actions)))
    return Policy(lambda level: None, lambda memory, state, observation: (log_probs, memory))

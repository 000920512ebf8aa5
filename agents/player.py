"""``Player``: a network in the roles it has in training and in acting, with memory or without.

Batches are on the trailing axis.
"""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int8, PRNGKeyArray, UInt8

from gmbench.core import registry
from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.policy import Policy

from .layers import captured, taps_changed

PRECISIONS = ("float32", "bfloat16")
"""What networks can compute in."""


class Step(NamedTuple):
    """What one step of every environment leaves for the update, envs last.

    Attributes:
        told: what a mitigation's level source is told of the step; empty without one.
    """

    observation: Bool[Array, "rows cols channels envs"] | UInt8[Array, "rows cols channels envs"]
    action: Int8[Array, " envs"]
    log_prob: Float[Array, " envs"]
    value: Float[Array, " envs"]
    reward: Float[Array, " envs"]
    terminated: Bool[Array, " envs"]
    live: Bool[Array, " envs"]
    told: Any = ()

    @property
    def ended(self) -> Bool[Array, "*steps envs"]:
        """Whether the next step begins another episode."""
        return self.terminated | ~self.live


Features = dict[str, Array]
"""Activations by the names of their taps."""


class Player(NamedTuple):
    """A network in its roles.

    Attributes:
        init: ``(key, observation of one environment) -> weights``.
        begin: ``envs -> memory`` of as many environments at the start of their episodes: a pytree
            with the environments behind, empty without memory.
        act: ``(weights, memory, observations) -> (logits, values, memory, features)`` of one step.
        replay: ``(weights, memory, steps) -> (logits f32[actions, rollout, envs], values
            f32[rollout, envs], features)``, what ``act`` gives on a rollout begun with ``memory``.
    """

    init: Callable[[PRNGKeyArray, Any], Any]
    begin: Callable[[int], Any]
    act: Callable[[Any, Any, Any], tuple[Array, Array, Any, Features]]
    replay: Callable[[Any, Any, Any], tuple[Array, Array, Features]]


PlayerOf = Callable[[Environment[Any, Any], Any], Player]


def feed_forward(env: Environment[Any, Any], config: Any) -> Player:
    """Return a registered network as a player without memory."""
    return without_memory(registry.make_network(config.network)(env.num_actions))


def without_memory(network: Any) -> Player:
    """Return a network as a player without memory."""

    def act(
        weights: Any, memory: tuple[()], observation: Array
    ) -> tuple[Array, Array, tuple[()], Features]:
        (logits, value), features = captured(network, weights, observation)
        return logits, value, memory, features

    def replay(weights: Any, memory: tuple[()], steps: Step) -> tuple[Array, Array, Features]:
        del memory
        seen = jnp.moveaxis(steps.observation, 0, -2)
        (logits, value), features = captured(network, weights, seen)
        return logits, value, features

    return Player(network.init, lambda envs: (), act, replay)


def recurrent(env: Environment[Any, Any], config: Any) -> Player:
    """Return a registered recurrent network (:class:`gmbench.agents.networks.ConvGRU`) as a player.

    Gradients flow back through a whole rollout, from the memory it began with.
    """
    return with_memory(
        env, registry.make_network(config.network)(env.num_actions, units=config.units)
    )


def with_memory(env: Environment[Any, Any], network: Any) -> Player:
    """Return a recurrent network as a player."""

    def blank(*batch: int) -> Any:
        return network.blank(env.observation_shape, batch)

    def init(key: Any, observation: Any) -> Any:
        return network.init(key, blank(), observation)

    def act(weights: Any, memory: Any, observation: Any) -> tuple[Array, Array, Any, Features]:
        (logits, value, memory), features = captured(network, weights, memory, observation)
        return logits, value, memory, features

    def replay(weights: Any, memory: Any, steps: Step) -> tuple[Array, Array, Features]:
        seen = jnp.moveaxis(steps.observation, 0, -2)
        encoded, before = captured(network, weights, seen, method="encode")

        def step(memory: Any, inputs: tuple[Array, Array]) -> tuple[Any, Any]:
            features, ended = inputs
            memory = network.apply(weights, memory, features, method="remember")
            return where(ended, blank(ended.shape[0]), memory), memory

        each = (jnp.moveaxis(encoded, -2, 0), steps.ended)
        _, memories = jax.lax.scan(step, memory, each)
        remembered = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -2), memories)
        (logits, value), after = captured(network, weights, remembered, method="read")
        return logits, value, before | after

    return Player(init, blank, act, replay)


def computing_in(precision: str, player: Player) -> Player:
    """Return the player with its network in another precision; what it returns stays float32."""
    if precision == "float32":
        return player

    def cast(tree: Any, dtype: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.astype(dtype), tree)

    def act(weights: Any, memory: Any, observation: Any) -> Any:
        return cast(player.act(cast(weights, precision), memory, observation), jnp.float32)

    def replay(weights: Any, memory: Any, steps: Step) -> Any:
        return cast(player.replay(cast(weights, precision), memory, steps), jnp.float32)

    return player._replace(act=act, replay=replay)


def where(which: Bool[Array, " envs"], new: Any, old: Any) -> Any:
    """Return the new values of some environments, and the old ones of the others."""
    return jax.tree.map(partial(jnp.where, which), new, old)


def policy(env: Environment[Any, Any], player: Player, weights: Any) -> Policy:
    """Return the trained policy; it samples from its action probabilities. It has a critic.

    What it is shown is cast to what the environment declares, or refused.
    """

    def native(weights: Any, memory: Any, observation: Any) -> Any:
        logits, value, memory, features = player.act(weights, memory, observation)
        return jax.nn.log_softmax(logits, axis=0), value, memory, features

    step = jax.custom_batching.custom_vmap(native)

    @step.def_vmap
    def batched(size: int, is_batched: Any, weights: Any, memory: Any, observation: Any) -> Any:
        # Networks take batches on the trailing axis; vmap's own rules would move it (networks.py).
        del size
        moves_weights, *moves_rest = map(jax.tree.leaves, is_batched)
        if any(moves_weights) or not all(map(all, moves_rest)):
            axes = jax.tree.map(lambda moves: 0 if moves else None, tuple(is_batched))
            results = jax.vmap(native, in_axes=axes)(weights, memory, observation)
        else:
            last = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -1), (memory, observation))
            results = step(weights, *last)  # under a second vmap, that batch comes last too
            results = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), results)
        return results, jax.tree.map(lambda _: True, results)

    def act(memory: Any, state: EnvState, observation: Any) -> tuple[Any, Any]:
        del state
        log_probs, _, memory, _ = step(weights, memory, env.declared(observation))
        return log_probs, memory

    def value(memory: Any, state: EnvState, observation: Any) -> Any:
        del state
        return step(weights, memory, env.declared(observation))[1]

    def features(memory: Any, state: EnvState, observation: Any) -> Features:
        del state
        return step(weights, memory, env.declared(observation))[3]

    def forward(memory: Any, observations: Any, change: Any = None) -> Any:
        with taps_changed(change) if change else contextlib.nullcontext():
            return native(weights, memory, observations)

    def begin(level: Level) -> Any:
        del level
        return jax.tree.map(lambda leaf: leaf[..., 0], player.begin(1))

    memoryless = not jax.tree.leaves(player.begin(1))
    return Policy(begin, act, memoryless, value, features, forward)

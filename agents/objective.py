"""An agent's update: advantages, minibatches, its objective and what a mitigation adds."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from gmbench.core import checks
from gmbench.core.mitigation import Batch, Mitigation

from .layers import as_numbers, heads_reading
from .player import Player, Step

DATA = "data"
"""Name of the axis of the devices that share one run."""
Own = Callable[..., tuple[Float[Array, ""], dict[str, Array]]]
"""``(rates, steps, advantages, share, logits, value) -> (loss, metrics)``, as :func:`clipped`."""


def adam() -> optax.GradientTransformation:
    """Return the optimiser's direction, without its step size."""
    return optax.scale_by_adam(eps=1e-5)


def over_devices(combine: Callable[[Any, str], Any], config: Any, tree: Any) -> Any:
    """Combine what each device of a run found, if there are several."""
    return combine(tree, DATA) if config.devices > 1 else tree


def advantages(
    steps: Step, last_value: Float[Array, " envs"], rates: dict[str, Any]
) -> Float[Array, "rollout envs"]:
    """Generalised advantage estimation (Schulman et al. 2016, eq. 16)."""

    def back(carry: tuple[Array, Array], step: Step) -> tuple[tuple[Array, Array], Array]:
        advantage, next_value = carry
        goes_on = jnp.where(step.terminated, jnp.float32(0), rates["gamma"])
        surprise = step.reward + goes_on * next_value - step.value
        advantage = surprise + goes_on * rates["gae_lambda"] * advantage
        advantage = jnp.where(step.live, advantage, jnp.float32(0))
        return (advantage, step.value), advantage

    start = (jnp.zeros_like(last_value), last_value)
    return jax.lax.scan(back, start, steps, reverse=True)[1]


def learn(
    player: Player,
    config: Any,
    mitigation: Mitigation,
    state: Any,
    begun: Any,
    steps: Step,
    advantages: Float[Array, "rollout envs"],
    key: PRNGKeyArray,
    own: Own,
) -> tuple[Any, dict[str, Array]]:
    """Take ``update_epochs * num_minibatches`` gradient steps on one rollout."""
    rates = state.rates
    left = jnp.maximum(1 - state.update / state.updates, 0)

    def gradient_step(
        carry: tuple[Any, Any], key: Any, batch: tuple[Any, Step, Array]
    ) -> tuple[Any, Any]:
        weights, optimiser = carry
        (_, losses), gradients = jax.value_and_grad(_loss, has_aux=True)(
            weights, player, mitigation, own, rates, key, *batch
        )
        gradients, losses = over_devices(jax.lax.pmean, config, (gradients, losses))
        scale = jnp.minimum(1, rates["max_grad_norm"] / (optax.tree.norm(gradients) + 1e-6))
        gradients = jax.tree.map(lambda leaf: leaf * scale, gradients)
        with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer powers
            directions, optimiser = adam().update(gradients, optimiser)
        size = rates["lr"] * left
        moved = jax.tree.map(lambda w, d: w - size * d, weights, directions), optimiser
        return _if_learned(mitigation, batch[1], moved, carry), losses

    def epoch(carry: tuple[Any, Any], key: PRNGKeyArray) -> tuple[Any, Any]:
        order = jax.random.permutation(key, config.share).reshape(config.num_minibatches, -1)

        drawn = None  # keys only for what draws
        if mitigation.loss or mitigation.noise:
            drawn = jax.random.split(jax.random.fold_in(key, 1), config.num_minibatches)

        def minibatch(carry: tuple[Any, Any], given: tuple[Array, Any]) -> tuple[Any, Any]:
            chosen, key = given
            take = partial(jnp.take, indices=chosen, axis=-1)
            batch = jax.tree.map(take, (begun, steps, advantages))
            return gradient_step(carry, key, batch)

        return jax.lax.scan(minibatch, carry, (order, drawn))

    keys = jax.random.split(key, config.update_epochs)
    carry, losses = jax.lax.scan(epoch, (state.weights, state.optimiser), keys)
    state = state.replace(weights=carry[0], optimiser=carry[1])
    return state, jax.tree.map(jnp.mean, losses)


def _if_learned(mitigation: Mitigation, steps: Step, moved: Any, carry: Any) -> Any:
    """Keep weights and momentum as they are where a source lets no step be learned from."""
    if mitigation.levels is None or not mitigation.levels.rests:
        return moved
    any_learned = jnp.any(steps.live & steps.told.learn)
    return jax.tree.map(partial(jnp.where, any_learned), moved, carry)


def _loss(
    weights: Any,
    player: Player,
    mitigation: Mitigation,
    own: Own,
    rates: dict[str, Any],
    key: Any,
    begun: Any,
    steps: Step,
    advantages: Float[Array, "rollout envs"],
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """The agent's own loss, and what a mitigation adds."""
    (logits, value, features), read = _replayed(player, mitigation, key, weights, begun, steps)
    share = _shares(steps)
    loss = partial(own, rates, steps, advantages, share)
    total, losses = loss(logits, value)
    if mitigation.loss:
        seen = Batch(
            observation=steps.observation,
            action=steps.action,
            ended=steps.ended,
            logits=logits,
            value=value,
            advantage=advantages,
            weight=share,
            features=features,
            read=read,
            key=jax.random.fold_in(key, 1),
            shifted=partial(_shifted, player, weights, begun, steps),
            own=lambda *said: loss(*said)[0],
            apply=partial(_starting, player, weights),
        )
        added, metrics = mitigation.loss(weights, seen)
        total, losses = total + added, losses | {"loss/mitigation": added} | named(metrics)
    return total, losses


def clipped(
    rates: dict[str, Any],
    steps: Step,
    advantages: Float[Array, "rollout envs"],
    share: Float[Array, "rollout envs"],
    logits: Float[Array, "actions rollout envs"],
    value: Float[Array, "rollout envs"],
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """PPO's: the clipped objective, the value loss and the entropy bonus, over live steps."""
    log_probs, chosen = _log_probs(logits, steps)
    log_ratio = chosen - steps.log_prob
    ratio = jnp.exp(log_ratio)
    centred = advantages - jnp.sum(advantages * share)
    normal = centred / jnp.sqrt(jnp.sum(jnp.square(centred) * share) + 1e-8)
    inside = jnp.clip(ratio, 1 - rates["clip_eps"], 1 + rates["clip_eps"])
    actor = -jnp.sum(jnp.minimum(ratio * normal, inside * normal) * share)
    critic = _critic(steps, advantages, share, value)
    entropy = -jnp.sum(jnp.sum(jnp.exp(log_probs) * log_probs, axis=0) * share)
    total = actor + rates["vf_coef"] * critic - rates["ent_coef"] * entropy
    divergence = jnp.sum((ratio - 1 - log_ratio) * share)
    losses = {"loss/actor": actor, "loss/critic": critic, "entropy": entropy, "kl": divergence}
    return total, losses


def cloned(
    rates: dict[str, Any],
    steps: Step,
    advantages: Float[Array, "rollout envs"],
    share: Float[Array, "rollout envs"],
    logits: Float[Array, "actions rollout envs"],
    value: Float[Array, "rollout envs"],
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """Behaviour cloning's: how unlikely the actions that were shown are, and the value loss."""
    actor = -jnp.sum(_log_probs(logits, steps)[1] * share)
    critic = _critic(steps, advantages, share, value)
    return actor + rates["vf_coef"] * critic, {"loss/actor": actor, "loss/critic": critic}


def _log_probs(
    logits: Float[Array, "actions rollout envs"], steps: Step
) -> tuple[Float[Array, "actions rollout envs"], Float[Array, "rollout envs"]]:
    """Return the log-probabilities of all actions, and of those that were taken."""
    log_probs = jax.nn.log_softmax(logits, axis=0)
    taken = jnp.arange(logits.shape[0], dtype=jnp.int8)[:, None, None] == steps.action[None]
    return log_probs, jnp.sum(jnp.where(taken, log_probs, jnp.float32(0)), axis=0)


def _critic(
    steps: Step,
    advantages: Float[Array, "rollout envs"],
    share: Float[Array, "rollout envs"],
    value: Float[Array, "rollout envs"],
) -> Float[Array, ""]:
    return 0.5 * jnp.sum(jnp.square(value - steps.value - advantages) * share)


def _replayed(
    player: Player, mitigation: Mitigation, key: Any, weights: Any, begun: Any, steps: Step
) -> tuple[Any, Any]:
    """Return what the player gives on a rollout, under noise, and what its heads would read."""
    if not (mitigation.loss or mitigation.noise):
        return player.replay(weights, begun, steps), None
    read: list[Array] = []

    def change(values: Array) -> Array:
        read.append(values)
        return mitigation.noise(key, values) if mitigation.noise else values

    with heads_reading(change):
        found = player.replay(weights, begun, steps)
    if mitigation.noise and not read:
        raise checks.Refused("mitigation: noise needs a network that ends in Heads, this does not")
    return found, jnp.concatenate(read) if read else None


def _shifted(
    player: Player, weights: Any, begun: Any, steps: Step, shift: Array
) -> tuple[Array, Array]:
    """Return logits and values on a rollout where something is added to all that was seen."""
    seen = as_numbers(steps.observation) + shift
    return player.replay(weights, begun, steps._replace(observation=seen))[:2]


def _starting(
    player: Player, weights: Any, observations: Array
) -> tuple[Array, Array, dict[str, Array]]:
    """Return logits, values and features of the first observations of episodes, envs last."""
    logits, value, _, features = player.act(
        weights, player.begin(observations.shape[-1]), observations
    )
    return logits, value, features


def named(metrics: dict[str, Array]) -> dict[str, Array]:
    """Return a mitigation's metrics under the names they are logged by."""
    return {f"mitigation/{name}": value for name, value in metrics.items()}


def _shares(steps: Step) -> Float[Array, "rollout envs"]:
    """Return the weight of each step in the loss: equal for live ones that may be learned from."""
    if not steps.told:
        live = steps.live.astype(jnp.float32)
        return live / jnp.sum(live)
    live = (steps.live & steps.told.learn).astype(jnp.float32)
    return live / jnp.maximum(jnp.sum(live), 1)

"""``Mitigation``: small pure functions that change training, composed like optax transforms.

Every hook is None by default, and a hook that is None costs nothing: without a mitigation training
is what it was, to the bit. Batches of environments lie on the trailing axis.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Int8, PRNGKeyArray

from gmbench.core import checks
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy


class Drawn(NamedTuple):
    """Levels to be played.

    Attributes:
        levels: on the trailing axis.
        ids: by which a level source knows them again, none of them negative. Episodes outlast
            rollouts, so a level that takes another's place needs an id of its own.
        learn: whether steps on them enter the loss.
    """

    levels: Level
    ids: Int[Array, " count"]
    learn: Bool[Array, " count"]


class Experience(NamedTuple):
    """What a rollout showed, for a level source: ``[num_steps, num_envs]`` each.

    Attributes:
        ids: of the level that each step was on; -1 where the source did not draw it.
        live: whether the step was one of an episode (else the time limit had cut it off).
        ended: whether its episode ended with it, by itself or by the time limit.
        reward: what the step was paid.
        value: the critic's estimate before it.
        advantage: the estimate of its action's advantage.
        discounted: discounted rewards of its episode so far.
        total: the same without discount; the episode's return where it ended.
        goals: what each goal paid in its episode so far.
        length: steps of its episode so far.
        gamma: the discount, of all steps.
        next_ids: of the level that each environment stands on after the rollout, ``[num_envs]``:
            episodes on these go on, or begin.
    """

    ids: Int[Array, "steps envs"]
    live: Bool[Array, "steps envs"]
    ended: Bool[Array, "steps envs"]
    reward: Float[Array, "steps envs"]
    value: Float[Array, "steps envs"]
    advantage: Float[Array, "steps envs"]
    discounted: Float[Array, "steps envs"]
    total: Float[Array, "steps envs"]
    goals: Float[Array, "goals steps envs"]
    length: Int[Array, "steps envs"]
    gamma: Float[Array, ""]
    next_ids: Int[Array, " envs"]


def unchanged(key: PRNGKeyArray, state: Any, experience: Experience) -> Any:
    """Return a level source's state as it is: of one that learns nothing from what was played."""
    del key, experience
    return state


class LevelSource(NamedTuple):
    """Where training levels come from, with a state of its own (any pytree of arrays).

    Attributes:
        init: ``(key, params) -> state``.
        draw: ``(key, state, params, count) -> (Drawn, state)``, before each rollout; ``count`` is
            static.
        update: ``(key, state, experience) -> state``, after each rollout; by default the same.
        rests: whether it draws rollouts that nothing is learned from: weights and momentum then
            stay as they are.
        consult: ``(key, state, policy, gamma) -> state``, after ``update``: the policy that played
            can be asked about levels of the source's own, without a step. None to ask nothing.
    """

    init: Callable[[PRNGKeyArray, EnvParams], Any]
    draw: Callable[[PRNGKeyArray, Any, EnvParams, int], tuple[Drawn, Any]]
    update: Callable[[PRNGKeyArray, Any, Experience], Any] = unchanged
    rests: bool = False
    consult: Callable[[PRNGKeyArray, Any, Policy, Float[Array, ""]], Any] | None = None


class Batch(NamedTuple):
    """What an added loss may use of a minibatch.

    Attributes:
        observation: what the network saw, ``[steps, rows, cols, channels, envs]``.
        action: what was done, ``[steps, envs]``.
        ended: whether the next step begins another episode, ``[steps, envs]``.
        logits: ``[actions, steps, envs]``.
        value: ``[steps, envs]``.
        advantage: ``[steps, envs]``.
        weight: of each step in a mean; they add up to 1.
        features: named activations of the same forward pass, each ``[..., steps, envs]``.
        read: what the network's heads read, before noise, ``[features, steps, envs]``; None of a
            network that has no :class:`~gmbench.agents.layers.Heads`.
        key: for losses that draw.
        shifted: ``shift -> (logits, value)``, what the network says where the shift, a float array
            like the observation, is added to what it saw (as numbers, bytes in [0, 1]).
        own: ``(logits, value) -> loss``, the agent's own loss, had the network said this.
        apply: ``observations -> (logits, value, features)`` of any others, envs last; each is the
            first of its episode to a network with memory.
    """

    observation: Array
    action: Int8[Array, "steps envs"]
    ended: Bool[Array, "steps envs"]
    logits: Float[Array, "actions steps envs"]
    value: Float[Array, "steps envs"]
    advantage: Float[Array, "steps envs"]
    weight: Float[Array, "steps envs"]
    features: dict[str, Array]
    read: Float[Array, "features steps envs"] | None
    key: PRNGKeyArray
    shifted: Callable[[Array], tuple[Array, Array]]
    own: Callable[[Array, Array], Float[Array, ""]]
    apply: Callable[[Array], tuple[Array, Array, dict[str, Array]]]


Metrics = dict[str, Float[Array, ""]]


class Mitigation(NamedTuple):
    """Hooks on training; None is the identity.

    Attributes:
        name: for refusals.
        levels: where levels come from.
        reward: ``(state, action, next_state, reward) -> reward`` of one environment.
        observe: ``(key, observations) -> observations``, what the network sees while it collects
            and therefore learns from; in evaluation it sees the plain observation.
        noise: ``(key, features) -> features``, what the heads read while the network learns, in
            place of its last hidden layer; acting and evaluation are without it.
        loss: ``(weights, batch) -> (loss, metrics)``, added to the agent's own.
        log: ``(source state, experience) -> metrics``; the state is None without a source.
    """

    name: str = ""
    levels: LevelSource | None = None
    reward: Callable[[Any, Any, Any, Float[Array, ""]], Float[Array, ""]] | None = None
    observe: Callable[[PRNGKeyArray, Array], Array] | None = None
    noise: Callable[[PRNGKeyArray, Array], Array] | None = None
    loss: Callable[[Any, Batch], tuple[Float[Array, ""], Metrics]] | None = None
    log: Callable[[Any, Experience], Metrics] | None = None


Mitigate = Callable[[Mapping[str, Any]], Mitigation]
"""``rates -> Mitigation``: what a run's mitigation is, given its traced settings."""


class Recipe(NamedTuple):
    """What is registered under a mitigation's name.

    Attributes:
        config: frozen dataclass of settings. Fields of type ``float`` are traced: runs that differ
            in them share a program. All others are static.
        make: ``(env, config) -> Mitigation``; while training, the config's float fields hold traced
            arrays. Refuses environments that it cannot work on.
        check: ``(env, params)``; refuses parameters of the training that it cannot work with.
    """

    config: type[Any]
    make: Callable[[Environment[Any, Any], Any], Mitigation]
    check: Callable[[Environment[Any, Any], EnvParams], None] | None = None


def chain(*members: Mitigation) -> Mitigation:
    """Return the mitigations as one: losses add, observations and features pass through in order.

    Raises:
        Refused: if two claim a hook of which there can be but one (levels, reward).
    """
    alone: dict[str, Any] = {}
    for hook in ("levels", "reward"):
        claims = [member for member in members if getattr(member, hook) is not None]
        if len(claims) > 1:
            names = " and ".join(repr(member.name) for member in claims)
            raise checks.Refused(f"mitigation: {names} both claim {hook}, allowed: one in a chain")
        alone[hook] = getattr(claims[0], hook) if claims else None
    losses = [member.loss for member in members if member.loss]
    sights = [member.observe for member in members if member.observe]
    noises = [member.noise for member in members if member.noise]
    logs = [member.log for member in members if member.log]
    return Mitigation(
        **alone,
        observe=partial(_in_order, sights) if sights else None,
        noise=partial(_in_order, noises) if noises else None,
        loss=partial(_summed, losses) if losses else None,
        log=partial(_merged, logs) if logs else None,
    )


def _in_order(changes: list[Any], key: PRNGKeyArray, values: Array) -> Array:
    for change, own in zip(changes, jax.random.split(key, len(changes)), strict=True):
        values = change(own, values)
    return values


def _summed(losses: list[Any], weights: Any, batch: Batch) -> tuple[Float[Array, ""], Metrics]:
    found = [loss(weights, batch) for loss in losses]
    total = jnp.sum(jnp.stack([loss for loss, _ in found]))
    return total, {name: value for _, metrics in found for name, value in metrics.items()}


def _merged(logs: list[Any], source: Any, experience: Experience) -> Metrics:
    found = [log(source, experience) for log in logs]
    return {name: value for metrics in found for name, value in metrics.items()}


def per_level(
    experience: Experience,
    values: Float[Array, "steps envs"],
    where: Bool[Array, "steps envs"],
    ids: Int[Array, " levels"],
) -> tuple[Float[Array, " levels"], Float[Array, " levels"], Int[Array, " levels"]]:
    """Return the mean and the maximum of some values on each of some levels, and their number.

    Args:
        experience: the rollout.
        values: one for each step.
        where: the steps that count (``experience.live``, or ``experience.ended``).
        ids: of the levels asked for, all different; steps on others are left out.

    Returns:
        Means and maxima, 0 where there is nothing, and numbers of steps.
    """
    count, played = ids.shape[0], experience.ids.reshape(-1)
    order = jnp.argsort(ids)
    place = order[jnp.clip(jnp.searchsorted(ids[order], played), 0, count - 1)]
    segments = jnp.where((ids[place] == played) & where.reshape(-1), place, count)
    flat = values.reshape(-1).astype(jnp.float32)
    number = jax.ops.segment_sum(jnp.ones(flat.shape, jnp.int32), segments, count + 1)[:count]
    total = jax.ops.segment_sum(flat, segments, count + 1)[:count]
    highest = jax.ops.segment_max(flat, segments, count + 1)[:count]
    seen, nothing = number > 0, jnp.float32(0)
    mean = total / jnp.maximum(number, 1).astype(jnp.float32)
    return mean, jnp.where(seen, highest, nothing), number

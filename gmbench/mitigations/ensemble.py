"""A diverse ensemble: members that agree on training levels and need not on deployment's.

Each member of ``--config network=ensemble`` is trained on all steps by the agent's own loss, and
the members' choices on **unlabelled** levels of deployment are driven to be independent of each
other: the mutual information of every two members' actions there is added to the loss, and, lest
members become independent by always doing the same, the divergence of how often each takes each
action there from how often training does. Where goals agree, as in training, nothing is lost by it;
where they come apart, members may come to follow several of them, and a few labelled levels then
say whom to trust (`gmbench queries`). It needs deployment's levels, as many as there are gradient
steps times ``levels``, but not what is rewarded on them, and a network for each member.

Sources: Lee et al. 2022, "Diversify and Disambiguate: Learning From Underspecified Data", arXiv
2202.03418, section 3 (equations 2 and 3; queries choose the head); Armstrong et al. 2023, "CoinRun:
Solving Goal Misgeneralisation", arXiv 2309.16166 (the same aim in this field).
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gmbench.core import checks, pool, registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Batch, Metrics, Mitigation, Recipe
from gmbench.core.params import EnvParams


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    scale: float = 1.0
    """Of the mutual information, in nats, in the loss."""
    keep: float = 1.0
    """Of the divergence from training's shares of actions, in nats."""
    levels: int = 64
    """Unlabelled levels for each gradient step."""
    walk: int = 8
    """Most random steps before a state on them is looked at."""


def information(probs: Float[Array, "members actions states"]) -> Float[Array, ""]:
    """Return the mutual information of two members' actions, in nats, the mean over all pairs."""
    joint = jnp.einsum("iax,jbx->ijab", probs, probs) / probs.shape[-1]
    alone = jnp.mean(probs, axis=-1)
    apart = alone[:, None, :, None] * alone[None, :, None, :]
    nats = jnp.sum(joint * (jnp.log(joint + 1e-9) - jnp.log(apart + 1e-9)), axis=(2, 3))
    pairs = jnp.triu(jnp.ones_like(nats), 1)
    return jnp.sum(nats * pairs) / jnp.sum(pairs)


def unlike(
    probs: Float[Array, "members actions states"], usual: Float[Array, " actions"]
) -> Float[Array, ""]:
    """Return the mean divergence of members' shares of actions from the usual ones, in nats."""
    shares = jnp.mean(probs, axis=-1)
    apart = shares * (jnp.log(shares + 1e-9) - jnp.log(usual + 1e-9)[None])
    return jnp.mean(jnp.sum(apart, axis=1))


def wandered(
    env: Environment[Any, Any], params: EnvParams, key: PRNGKeyArray, count: int, most: int
) -> Array:
    """Return what is seen on new levels, each after 0 to ``most`` random steps, envs last."""
    key_levels, key_steps, key_actions = jax.random.split(key, 3)
    states = pool.begin(env, pool.draw(env, params, key_levels, (count,)))
    steps = jax.random.randint(key_steps, (count,), 0, most + 1)
    actions = jax.random.randint(key_actions, (most, count), 0, env.num_actions)

    def step(states: Any, given: tuple[Array, Array]) -> tuple[Any, None]:
        number, action = given
        moved = pool.step(env, params, states, action)
        goes_on = (number < steps) & ~moved.terminated
        return jax.tree.map(
            lambda new, old: jnp.where(goes_on, new, old), moved.state, states
        ), None

    states, _ = jax.lax.scan(step, states, (jnp.arange(most), actions))
    return pool.observe(env, states)


def ensemble(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation.

    Raises:
        Refused: in a task without the parameter alpha, of which deployment's levels are not known.
    """
    if "alpha" not in env.default_params.values:
        name = type(getattr(env, "unwrapped", env)).__name__
        has = ", ".join(sorted(env.default_params.values))
        raise checks.Refused(f"ensemble needs a task with the parameter alpha, {name} has {has}")
    deployed = env.default_params.override(alpha=1.0)

    def loss(weights: Any, batch: Batch) -> tuple[Float[Array, ""], Metrics]:
        del weights
        if "members" not in batch.features:
            raise checks.Refused("ensemble needs members (allowed: --config network=ensemble)")
        members, values = batch.features["members"], batch.features["values"]
        own = jnp.mean(jnp.stack([batch.own(*said) for said in zip(members, values, strict=True)]))
        seen = wandered(env, deployed, batch.key, config.levels, config.walk)
        _, _, features = batch.apply(seen)
        probs = jax.nn.softmax(features["members"], axis=1)
        usual = jnp.sum(jax.nn.softmax(batch.logits, axis=0) * batch.weight[None], axis=(1, 2))
        nats, away = information(probs), unlike(probs, jax.lax.stop_gradient(usual))
        told = {"information": nats, "unlike": away, "members": own}
        return own + config.scale * nats + config.keep * away, told

    return Mitigation(loss=loss)


registry.mitigation("ensemble")(Recipe(config=Config, make=ensemble))

"""Train with a loop in the style of PureJaxRL, then score which goal the agent pursues.

    python docs/examples/purejaxrl_style.py

PureJaxRL trains by one jitted function of a key, on environments whose step returns five values,
with the end of an episode and its time limit in one ``done``. ``gmbench.wrappers.step5`` gives a
task that step; nothing else here knows of gmbench until the agent is scored.
"""

import argparse
import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import gmbench


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings, named as PureJaxRL names them."""

    num_envs: int = 64
    num_steps: int = 64
    num_updates: int = 60
    update_epochs: int = 2
    num_minibatches: int = 8
    lr: float = 2e-3
    gamma: float = 0.95
    gae_lambda: float = 0.9
    clip_eps: float = 0.2
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5


class ActorCritic(nn.Module):
    """Two hidden layers shared by policy and value."""

    actions: int

    @nn.compact
    def __call__(self, seen):
        """Return logits and value of one observation."""
        hidden = seen.reshape(-1).astype(jnp.float32)
        for units in (128, 64):
            hidden = nn.relu(nn.Dense(units)(hidden))
        return nn.Dense(self.actions)(hidden), nn.Dense(1)(hidden)[0]


class LogState(NamedTuple):
    """The environment's state, and what the episode under way and the last one came to."""

    env_state: Any
    episode_return: Any
    returned_episode_return: Any


class LogWrapper:
    """Adds the return of the last finished episode to ``info``."""

    def __init__(self, env):
        self._env = env

    def reset(self, key, params):
        """Begin an episode."""
        seen, state = self._env.reset(key, params)
        return seen, LogState(state, jnp.float32(0), jnp.float32(0))

    def step(self, key, state, action, params):
        """Step once."""
        seen, env_state, reward, done, info = self._env.step(key, state.env_state, action, params)
        total = state.episode_return + reward
        last = jnp.where(done, total, state.returned_episode_return)
        info = info | {"returned_episode": done, "returned_episode_return": last}
        return seen, LogState(env_state, jnp.where(done, 0, total), last), reward, done, info


class Transition(NamedTuple):
    """One step of every environment."""

    done: Any
    action: Any
    value: Any
    reward: Any
    log_prob: Any
    obs: Any
    info: Any


def advantages_of(traj, last_value, config):
    """Return generalised advantage estimates; as in PureJaxRL, every ``done`` is an ending."""

    def back(carry, step):
        gae, after = carry
        going = 1 - step.done.astype(jnp.float32)
        delta = step.reward + config.gamma * after * going - step.value
        gae = delta + config.gamma * config.gae_lambda * going * gae
        return (gae, step.value), gae

    start = (jnp.zeros_like(last_value), last_value)
    return jax.lax.scan(back, start, traj, reverse=True)[1]


def loss_of(network, config, weights, batch):
    """Return PPO's clipped loss of a minibatch."""
    traj, gae, target = batch
    logits, value = jax.vmap(network.apply, (None, 0))(weights, traj.obs)
    every = jax.nn.log_softmax(logits)
    log_prob = jnp.take_along_axis(every, traj.action[:, None], 1)[:, 0]
    ratio = jnp.exp(log_prob - traj.log_prob)
    gae = (gae - gae.mean()) / (gae.std() + 1e-8)
    clipped = jnp.clip(ratio, 1 - config.clip_eps, 1 + config.clip_eps)
    actor = -jnp.minimum(ratio * gae, clipped * gae).mean()
    entropy = -(jnp.exp(every) * every).sum(-1).mean()
    return actor + config.vf_coef * jnp.square(value - target).mean() - config.ent_coef * entropy


def make_train(env, params, config):
    """Return ``key -> (weights, metrics f32[updates])``, to be jitted (or vmapped over keys)."""
    network = ActorCritic(env.num_actions)
    env = LogWrapper(env)
    steps = optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm), optax.adam(config.lr, eps=1e-5)
    )

    def rollout(carry, key):
        weights, state, seen = carry
        key_act, key_step = jax.random.split(key)
        logits, value = jax.vmap(network.apply, (None, 0))(weights, seen)
        action = jax.random.categorical(key_act, logits)
        log_prob = jnp.take_along_axis(jax.nn.log_softmax(logits), action[:, None], 1)[:, 0]
        each = jax.random.split(key_step, config.num_envs)
        after, state, reward, done, info = jax.vmap(env.step, (0, 0, 0, None))(
            each, state, action, params
        )
        taken = Transition(done, action, value, reward, log_prob, seen, info)
        return (weights, state, after), taken

    def epoch(carry, key, batch):
        def minibatch(carry, part):
            weights, opt_state = carry
            loss, grads = jax.value_and_grad(lambda w: loss_of(network, config, w, part))(weights)
            updates, opt_state = steps.update(grads, opt_state)
            return (optax.apply_updates(weights, updates), opt_state), loss

        order = jax.random.permutation(key, config.num_envs * config.num_steps)
        parts = jax.tree.map(
            lambda x: x[order].reshape(config.num_minibatches, -1, *x.shape[1:]), batch
        )
        return jax.lax.scan(minibatch, carry, parts)

    def update(carry, key):
        weights, opt_state, state, seen = carry
        key_rollout, key_epochs = jax.random.split(key)
        (_, state, seen), traj = jax.lax.scan(
            rollout, (weights, state, seen), jax.random.split(key_rollout, config.num_steps)
        )
        last_value = jax.vmap(network.apply, (None, 0))(weights, seen)[1]
        gae = advantages_of(traj, last_value, config)
        batch = jax.tree.map(
            lambda x: x.reshape(-1, *x.shape[2:]),
            (traj._replace(info=()), gae, gae + traj.value),
        )
        (weights, opt_state), losses = jax.lax.scan(
            lambda carry, key: epoch(carry, key, batch),
            (weights, opt_state),
            jax.random.split(key_epochs, config.update_epochs),
        )
        ended = traj.info["returned_episode"]
        total = jnp.where(ended, traj.info["returned_episode_return"], 0).sum()
        metrics = {"return": total / jnp.maximum(ended.sum(), 1), "loss": losses.mean()}
        return (weights, opt_state, state, seen), metrics

    def train(key):
        key_init, key_reset, key_run = jax.random.split(key, 3)
        seen, state = jax.vmap(env.reset, (0, None))(
            jax.random.split(key_reset, config.num_envs), params
        )
        weights = network.init(key_init, seen[0])
        start = (weights, steps.init(weights), state, seen)
        keys = jax.random.split(key_run, config.num_updates)
        (weights, *_), metrics = jax.lax.scan(update, start, keys)
        return weights, metrics

    return train


def main():
    """Train, and print what the agent pursues."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--alpha", type=float, default=0.0)
    options = parser.parse_args()
    task = gmbench.make("CheeseCorner-v0", size=5)
    params = task.training.override(alpha=options.alpha)
    config = Config(num_updates=options.updates)
    train = jax.jit(make_train(gmbench.wrappers.step5(task.env), params, config))
    weights, metrics = train(jax.random.key(0))
    print(f"mean return: {metrics['return'][0]:.2f} at first, {metrics['return'][-1]:.2f} at last")
    network = ActorCritic(task.env.num_actions)
    scored = gmbench.score(task, lambda seen: network.apply(weights, seen)[0])
    for name, found in scored.distributions.items():
        print(f"{name}: {found.outcome}, regret {found.rho}")


if __name__ == "__main__":
    main()

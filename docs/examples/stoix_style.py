"""Train with a loop in the style of Stoix, then score which goal the agent pursues.

    python docs/examples/stoix_style.py

Stoix steps environments by time steps: an observation, a reward, a discount that is 0 only where an
episode ended by itself, and ``extras["next_obs"]``, the observation before the reset, so that the
value after a time limit is bootstrapped from where the episode was cut. gmbench's own step, of six
values, tells the two apart and hands over ``info["final_observation"]``: ``TimeSteps`` is all that
stands between them.
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
    """Settings, named as Stoix names them."""

    num_envs: int = 64
    rollout_length: int = 64
    num_updates: int = 60
    epochs: int = 2
    num_minibatches: int = 8
    lr: float = 2e-3
    gamma: float = 0.95
    gae_lambda: float = 0.9
    clip_eps: float = 0.2
    ent_coef: float = 0.01
    max_grad_norm: float = 0.5


class TimeStep(NamedTuple):
    """What a learner sees of one moment."""

    last: Any
    reward: Any
    discount: Any
    observation: Any
    extras: dict[str, Any]


class State(NamedTuple):
    """The environment's state, and what its episode and the last one came to."""

    key: Any
    env: Any
    total: Any
    last_total: Any


class TimeSteps:
    """A task as Stoix's loops take it: keys in the state, resets inside the step, metrics."""

    def __init__(self, env, params):
        self.env, self.params = env, params

    def reset(self, key):
        """Begin the first episode."""
        key, key_reset = jax.random.split(key)
        seen, state = self.env.reset(key_reset, self.params)
        metrics = {"episode_return": jnp.float32(0), "is_terminal_step": jnp.array(False)}
        extras = {"next_obs": seen, "episode_metrics": metrics}
        first = TimeStep(jnp.array(False), jnp.float32(0), jnp.float32(1), seen, extras)
        return State(key, state, jnp.float32(0), jnp.float32(0)), first

    def step(self, state, action):
        """Step once; where the episode is over, the observation is the next one's first."""
        key, key_step = jax.random.split(state.key)
        seen, env, reward, terminated, truncated, info = self.env.step(
            key_step, state.env, action, self.params
        )
        over = terminated | truncated
        total = state.total + reward
        last = jnp.where(over, total, state.last_total)
        metrics = {"episode_return": last, "is_terminal_step": over}
        extras = {"next_obs": info["final_observation"], "episode_metrics": metrics}
        discount = 1 - terminated.astype(jnp.float32)
        after = State(key, env, jnp.where(over, 0, total), last)
        return after, TimeStep(over, reward, discount, seen, extras)


class Torso(nn.Module):
    """Two hidden layers and a head."""

    outputs: int

    @nn.compact
    def __call__(self, seen):
        """Return the head's outputs for one observation."""
        hidden = seen.reshape(-1).astype(jnp.float32)
        for units in (64, 64):
            hidden = nn.relu(nn.Dense(units)(hidden))
        return nn.Dense(self.outputs)(hidden)


class Transition(NamedTuple):
    """One step of every environment."""

    obs: Any
    action: Any
    log_prob: Any
    timestep: TimeStep


class Learner(NamedTuple):
    """Actor and critic, each with its optimiser, and where the environments are."""

    weights: Any
    opt: Any
    states: Any
    timestep: TimeStep


def truncated_gae(reward, discount, last, value, next_value, config):
    """Return generalised advantage estimates; a time limit cuts the trace, but not the value."""
    delta = reward + config.gamma * discount * next_value - value
    trace = config.gamma * config.gae_lambda * discount * (1 - last.astype(jnp.float32))

    def back(gae, step):
        delta, trace = step
        gae = delta + trace * gae
        return gae, gae

    return jax.lax.scan(back, jnp.zeros_like(delta[0]), (delta, trace), reverse=True)[1]


def get_learner_fn(env, config):
    """Return ``key -> (actor's and critic's weights, metrics f32[updates])``."""
    actor, critic = Torso(env.env.num_actions), Torso(1)
    steps = optax.chain(optax.clip_by_global_norm(config.max_grad_norm), optax.adam(config.lr))

    def logits_of(weights, seen):
        return jax.vmap(actor.apply, (None, 0))(weights["actor"], seen)

    def value_of(weights, seen):
        return jax.vmap(critic.apply, (None, 0))(weights["critic"], seen)[:, 0]

    def env_step(carry, key):
        weights, states, timestep = carry
        logits = logits_of(weights, timestep.observation)
        action = jax.random.categorical(key, logits)
        log_prob = jnp.take_along_axis(jax.nn.log_softmax(logits), action[:, None], 1)[:, 0]
        states, after = jax.vmap(env.step)(states, action)
        taken = Transition(timestep.observation, action, log_prob, after)
        return (weights, states, after), taken

    def loss(weights, batch):
        traj, gae, target = batch
        every = jax.nn.log_softmax(logits_of(weights, traj.obs))
        log_prob = jnp.take_along_axis(every, traj.action[:, None], 1)[:, 0]
        ratio = jnp.exp(log_prob - traj.log_prob)
        gae = (gae - gae.mean()) / (gae.std() + 1e-8)
        clipped = jnp.clip(ratio, 1 - config.clip_eps, 1 + config.clip_eps)
        actor_loss = -jnp.minimum(ratio * gae, clipped * gae).mean()
        entropy = -(jnp.exp(every) * every).sum(-1).mean()
        value_loss = jnp.square(value_of(weights, traj.obs) - target).mean()
        return actor_loss - config.ent_coef * entropy + 0.5 * value_loss

    def minibatch(carry, batch):
        weights, opt = carry
        value, grads = jax.value_and_grad(loss)(weights, batch)
        updates, opt = steps.update(grads, opt)
        return (optax.apply_updates(weights, updates), opt), value

    def update_step(learner, key):
        key_act, key_shuffle = jax.random.split(key)
        (_, states, timestep), traj = jax.lax.scan(
            env_step,
            (learner.weights, learner.states, learner.timestep),
            jax.random.split(key_act, config.rollout_length),
        )
        value, next_value = (
            jax.vmap(value_of, (None, 0))(learner.weights, seen)
            for seen in (traj.obs, traj.timestep.extras["next_obs"])
        )
        found = traj.timestep
        gae = truncated_gae(found.reward, found.discount, found.last, value, next_value, config)
        batch = (traj._replace(timestep=None), gae, gae + value)
        batch = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)

        def epoch(carry, key):
            order = jax.random.permutation(key, config.num_envs * config.rollout_length)
            parts = jax.tree.map(
                lambda x: x[order].reshape(config.num_minibatches, -1, *x.shape[1:]), batch
            )
            return jax.lax.scan(minibatch, carry, parts)

        (weights, opt), losses = jax.lax.scan(
            epoch, (learner.weights, learner.opt), jax.random.split(key_shuffle, config.epochs)
        )
        metrics = found.extras["episode_metrics"]
        ended = metrics["is_terminal_step"]
        total = jnp.where(ended, metrics["episode_return"], 0).sum()
        told = {"return": total / jnp.maximum(ended.sum(), 1), "loss": losses.mean()}
        return Learner(weights, opt, states, timestep), told

    def learn(key):
        key_actor, key_critic, key_reset, key_run = jax.random.split(key, 4)
        states, timestep = jax.vmap(env.reset)(jax.random.split(key_reset, config.num_envs))
        seen = timestep.observation[0]
        weights = {"actor": actor.init(key_actor, seen), "critic": critic.init(key_critic, seen)}
        start = Learner(weights, steps.init(weights), states, timestep)
        keys = jax.random.split(key_run, config.num_updates)
        learner, metrics = jax.lax.scan(update_step, start, keys)
        return learner.weights, metrics

    return learn


def main():
    """Train, and print what the agent pursues."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--alpha", type=float, default=0.0)
    options = parser.parse_args()
    task = gmbench.make("CheeseCorner-v0", size=5)
    env = TimeSteps(task.env, task.training.override(alpha=options.alpha))
    config = Config(num_updates=options.updates)
    weights, metrics = jax.jit(get_learner_fn(env, config))(jax.random.key(0))
    print(f"mean return: {metrics['return'][0]:.2f} at first, {metrics['return'][-1]:.2f} at last")
    actor = Torso(task.env.num_actions)
    scored = gmbench.score(task, lambda seen: actor.apply(weights["actor"], seen))
    for name, found in scored.distributions.items():
        print(f"{name}: {found.outcome}, regret {found.rho}")


if __name__ == "__main__":
    main()

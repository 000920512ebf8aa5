"""Steps of a batch of environments under random actions, each episode on another level."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PRNGKeyArray

from gmbench.bench.timing import Options, Reading, Side, by_turns
from gmbench.core import pool, registry
from gmbench.core.env import EnvState
from gmbench.core.task import Task
from gmbench.grid import moves

ROLLOUT = 128
"""Most steps of each environment between two refills of the pool of levels."""
SPARE = 1.5
"""Levels drawn for each episode that is expected to begin."""


def env(options: Options) -> list[Reading]:
    """Steps a second of the task, and of a bare loop that shows the same planes."""
    return by_turns([stepping(options.make(), options), bare_loop(options)], options.repeats)


def tasks(options: Options) -> list[Reading]:
    """Steps a second of every task at its published size, and of the bare loop of the one named."""
    every = [replace(options, task=id, static={}) for id in registry.task_ids()]
    sides = [stepping(each.make(), each) for each in every]
    return by_turns([*sides, bare_loop(options)], options.repeats)


class _Batch(NamedTuple):
    """What one step leaves behind. XLA must write it all at every step, for it is carried."""

    states: EnvState
    observation: Array
    reward: Array
    done: Array


class _Counts(NamedTuple):
    """Episodes that ended in one repeat, and how many went on to a level that was not fresh."""

    episodes: Array
    reused: Array


def stepping(task: Task, options: Options) -> Side:
    """Return the program that steps a batch of environments, drawing levels as it goes."""
    env, params, envs = task.env, task.training, options.envs
    rollouts = -(-options.steps // ROLLOUT)
    rollout = -(-options.steps // rollouts)
    key_length, key_levels, key_run = jax.random.split(jax.random.key(0), 3)
    slots = max(2, round(SPARE * rollout / _episode_length(task, key_length)))
    # Each stretch of a rollout has levels of its own: a level comes back only where one environment
    # ends two episodes within a stretch. Random windows, as in training, would repeat more often.
    slot = jnp.arange(rollout, dtype=jnp.int32) * slots // rollout
    in_slot = (slot[None] == jnp.arange(slots, dtype=jnp.int32)[:, None]).astype(jnp.float32)

    def step(levels: Any, batch: _Batch, inputs: tuple[Array, Array]) -> tuple[_Batch, Array]:
        start, action = inputs
        moved = pool.step(env, params, batch.states, action)
        states = pool.reset(env, moved.state, moved.done, pool.window(levels, start, envs))
        seen = pool.observe(env, states)
        return _Batch(states, seen, moved.reward, moved.done), moved.done

    def one_rollout(batch: _Batch, key: Array) -> tuple[_Batch, _Counts]:
        key_levels, key_actions = jax.random.split(key)
        levels = pool.fill(env, params, key_levels, slots * envs, envs)
        actions = jax.random.randint(key_actions, (rollout, envs), 0, env.num_actions, jnp.int8)
        inputs = (slot * envs, actions)
        batch, done = jax.lax.scan(lambda *given: step(levels, *given), batch, inputs)
        ended = in_slot @ done.astype(jnp.float32)
        return batch, _Counts(jnp.sum(ended), jnp.sum(jnp.maximum(ended - 1, 0)))

    def program(carry: tuple[Array, _Batch, _Counts]) -> tuple[Array, _Batch, _Counts]:
        key, batch, _ = carry
        key, key_rollouts = jax.random.split(key)
        batch, counts = jax.lax.scan(one_rollout, batch, jax.random.split(key_rollouts, rollouts))
        return key, batch, jax.tree.map(lambda each: jnp.sum(each.astype(jnp.int32)), counts)

    @jax.jit
    def begin(key: Array) -> _Batch:
        states = pool.begin(env, pool.draw(env, params, key, (envs,)))
        return _Batch(states, pool.observe(env, states), jnp.zeros(envs), jnp.zeros(envs, bool))

    def about(last: tuple[Array, _Batch, _Counts]) -> dict[str, Any]:
        _, batch, counts = last
        return {
            "rollout": rollout,
            "steps": rollout * rollouts,
            "slots": slots,
            "levels_drawn": slots * envs * rollouts,
            "episodes": int(counts.episodes),
            "episodes_on_reused_levels": int(counts.reused),
            "observation": _described(batch.observation),
        }

    amount = float(envs * rollout * rollouts)
    first = (key_run, begin(key_levels), _Counts(jnp.int32(0), jnp.int32(0)))
    return Side(task.id, amount, "steps/s", program, first, about=about)


def _described(observation: Array) -> dict[str, Any]:
    *shape, envs = observation.shape
    bytes = observation.nbytes // envs
    return {"shape": shape, "dtype": str(observation.dtype), "bytes": bytes}


def _episode_length(task: Task, key: PRNGKeyArray) -> float:
    """Return the mean length of 256 episodes of random actions, of at most one rollout each."""
    env, params = task.env, task.training

    @jax.jit
    def mean(key: Array) -> Array:
        key_levels, key_actions = jax.random.split(key)
        states = pool.begin(env, pool.draw(env, params, key_levels, (256,)))
        actions = jax.random.randint(key_actions, (ROLLOUT, 256), 0, env.num_actions, jnp.int8)

        def step(carry: tuple[EnvState, Array], action: Array) -> tuple[Any, Array]:
            states, live = carry
            moved = pool.step(env, params, states, action)
            return (moved.state, live & ~moved.done), live

        _, live = jax.lax.scan(step, (states, jnp.ones(256, bool)), actions)
        return jnp.mean(jnp.sum(live, axis=0, dtype=jnp.int32).astype(jnp.float32))

    return float(mean(key))


def bare_loop(options: Options) -> Side:
    """Return the least that such a step can be: an agent that moves, and planes that are written.

    Nothing is drawn but actions, nothing stops the agent but the border, no episode ends. The
    planes are as many as the task shows, one of them with the agent, the others left as they were.
    """
    rows, cols, channels = options.make().env.observation_shape
    envs = options.envs
    still = jax.random.bernoulli(jax.random.key(1), shape=(rows, cols, channels - 1, envs))

    def step(carry: tuple[Array, Array, Array], action: Array) -> tuple[Any, None]:
        position, still, seen = carry
        directions = jnp.asarray([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]], jnp.int8)
        position = jnp.clip(position + directions[action].T, 0, jnp.int8(rows - 1))
        agent = moves.at(position, (rows, cols))
        seen = jnp.concatenate([still, agent[:, :, None]], axis=2)
        return (position, still, seen), None

    def program(carry: tuple[Key[Array, ""], Any]) -> tuple[Any, Any]:
        key, held = carry
        key, key_actions = jax.random.split(key)
        actions = jax.random.randint(key_actions, (options.steps, envs), 0, 5, jnp.int8)
        return key, jax.lax.scan(step, held, actions)[0]

    seen = jnp.zeros((rows, cols, channels, envs), bool)
    first = (jax.random.key(2), (jnp.zeros((2, envs), jnp.int8), still, seen))
    return Side("bare loop", float(envs * options.steps), "steps/s", program, first)

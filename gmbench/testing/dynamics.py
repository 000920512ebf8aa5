"""How a task's environment moves: without chance, alike however it is batched, as gymnax wants."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Level
from gmbench.core.params import EnvParams
from gmbench.core.task import Task
from gmbench.testing.shared import BATCH, AnyEnv, difference, draw, failure, one


def check_deterministic(task: Task, seed: int = 0) -> None:
    """Equal keys draw equal levels, unequal ones do not, and the dynamics need no key."""
    env, params = task.env, task.training
    levels, again = (draw(env, params, jax.random.key(seed)) for _ in range(2))
    if found := difference(levels, again):
        raise failure(task, "deterministic", f"equal keys draw unequal levels: {found}")
    if all(np.all(leaf == leaf[..., :1]) for leaf in jax.tree.leaves(jax.device_get(levels))):
        raise failure(task, "deterministic", f"{BATCH} keys draw the same level")
    keys = jax.random.split(jax.random.key(seed), BATCH)
    for action, name in enumerate(env.action_names):
        if found := difference(*_moved(env, params, levels, jnp.int32(action), keys)):
            message = f"what {name!r} does depends on the key: {found}"
            raise failure(task, "deterministic", message)


def check_actions(task: Task, seed: int = 0) -> None:
    """An action that does not exist does what the nearest one does that exists."""
    env, params, key = task.env, task.training, jax.random.key(seed)
    levels = draw(env, params, key)
    last = env.num_actions - 1
    for action, nearest in ((-1, 0), (-(2**31), 0), (last + 1, last), (99, last), (257, last)):
        # As in check_deterministic, so that nothing more is compiled.
        keys = jax.random.split(jax.random.clone(key), BATCH)
        odd, plain = (_moved(env, params, levels, jnp.int32(n), keys)[1] for n in (action, nearest))
        if found := difference(odd, plain):
            name = env.action_names[nearest]
            raise failure(task, "actions", f"{action} does not do what {name!r} does: {found}")


@partial(jax.jit, static_argnames="env")
def _moved(
    env: AnyEnv,
    params: EnvParams,
    levels: Level,
    action: Int[Array, ""],
    keys: Key[Array, " levels"],
) -> tuple[pool.Transition, pool.Transition]:
    """Step from the start of each level, without keys and with them."""
    states, actions = pool.begin(env, levels), jnp.full(BATCH, action)
    without = pool.step(env, params, states, actions)
    return without, pool.step(env, params, states, actions, keys)


def check_batched(
    task: Task, seed: int = 0, episodes: int = 2, steps: int = 12, thorough: bool = True
) -> None:
    """Random play gives the same bits compiled, vmapped over either axis, and eagerly.

    Args:
        task: the task.
        seed: where the random draws begin.
        episodes: played side by side.
        steps: of each episode.
        thorough: whether to step eagerly too, which compiles every operation by itself, and over a
            leading axis.
    """
    env, params = task.env, jax.tree.map(jnp.asarray, task.training)
    key_levels, key_actions = jax.random.split(jax.random.key(seed))
    split = jax.random.split(jax.random.clone(key_levels), BATCH)
    keys = partial(jax.random.clone, split[:episodes])
    shape = (episodes, steps)
    actions = jax.random.randint(key_actions, shape, 0, env.num_actions, jnp.int32)

    def follow(seen: Any, state: Any, actions: Any) -> Any:
        def step(state: Any, action: Any) -> Any:
            outcome = env.step_env(None, state, action, params=params)
            return outcome[1], outcome

        return (seen, state), jax.lax.scan(step, state, actions)[1]

    def drawn(key: PRNGKeyArray, actions: Any) -> Any:
        return follow(*env.reset_env(key, params), actions)

    def given(level: Level, actions: Any) -> Any:
        return follow(*env.reset_to_level(level, params), actions)

    one_by_one = jax.jit(partial(jax.lax.map, lambda each: drawn(*each)))
    compiled = jax.device_get(one_by_one((keys(), actions)))
    if thorough:
        begun = env.reset_env(keys()[0], params)
        taken = [env.step_env(None, begun[1], actions[0, 0], params=params)]
        for action in actions[0, 1:]:
            taken.append(env.step_env(None, taken[-1][1], action, params=params))
        stepped = begun, jax.tree.map(lambda *leaves: np.stack(leaves), *taken)
        if found := difference(stepped, jax.tree.map(lambda leaf: leaf[0], compiled)):
            raise failure(task, "batched", f"jit and eager differ: {found}")
        if found := difference(compiled, jax.jit(jax.vmap(drawn))(keys(), actions)):
            raise failure(task, "batched", f"jit and vmap over the leading axis differ: {found}")
    levels = one(draw(env, params, key_levels), slice(episodes))
    trailing = jax.jit(pool.over_envs(given))(levels, actions.T)
    moved = jax.tree.map(lambda leaf: np.moveaxis(leaf, 0, -1), compiled)
    if found := difference(moved, trailing):
        raise failure(task, "batched", f"jit and vmap over the trailing axis differ: {found}")


def check_gymnax(task: Task, seed: int = 0) -> None:
    """``env.step`` returns gymnax's six values and resets where the episode has ended."""
    env = task.env
    level = one(draw(env, task.training, jax.random.key(seed)), 0)
    _, state = env.reset_to_level(level, task.training)
    for action in range(env.num_actions):
        for params in (task.training, task.training.override(horizon=1)):
            outcome = env.step(jax.random.key(seed), state, jnp.int32(action), params)
            if len(outcome) != 6:
                raise failure(task, "gymnax", f"step returns {len(outcome)} values, not 6")
            observation, after, reward, terminated, truncated, info = outcome
            final, stepped, *_ = env.step_env(None, state, jnp.int32(action), params)
            done = bool(terminated | truncated)
            facts = {
                "info['goals'] is not f32[goals]": (
                    info["goals"].shape == (len(env.goals),) and info["goals"].dtype == jnp.float32
                ),
                "the reward is not what env.reward says": (
                    reward == env.reward(state, jnp.int32(action), stepped)
                ),
                "the horizon does not truncate": truncated == (params.horizon == 1),
                "info['final_observation'] is not that of the state reached": (
                    not difference(info["final_observation"], final)
                ),
                "the observation is not the state's": (
                    not difference(observation, env.observation(after))
                ),
                "the state is not reset where, and only where, the episode ended": (
                    after.time == 0 if done else not difference(after, stepped)
                ),
            }
            for fault, absent in facts.items():
                if not absent:
                    message = f"after {env.action_names[action]!r}, {fault}"
                    raise failure(task, "gymnax", message)

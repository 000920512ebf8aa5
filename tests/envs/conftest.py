"""Environments step like plain-Python references written from their docstrings."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import pool

PARALLEL = 50
"""Levels played side by side."""


@partial(jax.jit, static_argnames=("env", "steps"))
def _record(env, params, key, steps):
    """Play at random without resets; return levels, actions, and what every step showed."""
    key_levels, key_actions = jax.random.split(key)
    levels = pool.draw(env, params, key_levels, (PARALLEL,))
    shape = (steps, PARALLEL)
    actions = jax.random.randint(key_actions, shape, 0, env.num_actions, jnp.int32)
    picture = pool.over_envs(env.picture)

    def step(states, action):
        moved = pool.step(env, params, states, action)
        return moved.state, (moved.goals, moved.terminated, picture(moved.state))

    states = pool.begin(env, levels)
    return levels, actions, picture(states), jax.lax.scan(step, states, actions)[1]


def _compare(task, params, reference, seed, steps):
    env = task.env
    recorded = jax.device_get(_record(env, params, jax.random.key(seed), steps))
    levels, actions, first, (paid, ended, pictures) = recorded
    count = 0
    for index in range(PARALLEL):
        fields = {
            field.name: np.asarray(getattr(levels, field.name))[..., index]
            for field in dataclasses.fields(levels)
        }
        simulator = reference(fields)
        assert _drawn(simulator, env) == _seen(first[..., index])
        for time in range(steps):
            goals, over = simulator.step(int(actions[time, index]))
            context = f"level {index}, step {time}, action {env.action_names[actions[time, index]]}"
            np.testing.assert_array_equal(goals, paid[time, :, index], err_msg=context)
            assert over == ended[time, index], context
            assert _drawn(simulator, env) == _seen(pictures[time, ..., index]), context
            count += 1
            if over:
                break
    return count


def _seen(picture):
    return [
        {(int(r), int(c)) for r, c in np.argwhere(plane)} for plane in np.moveaxis(picture, 2, 0)
    ]


def _drawn(simulator, env):
    layers = simulator.layers()
    return [set(layers[thing]) for thing in env.things]


@pytest.fixture(scope="session")
def differential():
    """Return ``check(task, reference, total, seed=0)``.

    ``reference(fields)`` makes a simulator from one level's fields (numpy, by name). It has
    ``step(action: int) -> (what each goal pays, terminated)`` and ``layers() -> dict``, from each
    thing's name to the (row, col) cells it stands on. At least ``total`` steps are compared, half
    of them under the headline shift: rewards, ends, and everything drawn.
    """

    def check(task, reference, total, seed=0):
        for params in (task.training, task.shifts[task.headline]):
            count = 0
            while count < total / 2:
                steps = min(task.env.episode_steps, 60)
                count += _compare(task, params, reference, seed, steps)
                seed += 1

    return check

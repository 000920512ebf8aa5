"""What a task says about itself: its names, its parameters, its types, its pictures."""

import copy
import dataclasses
import math
import pickle
import re
import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from gmbench.core import pool
from gmbench.core.env import EnvState
from gmbench.core.params import EnvParams
from gmbench.core.task import Task
from gmbench.testing.shared import AnyEnv, difference, draw, ends, failure, one


def check_identity(task: Task) -> None:
    """The id carries a version, and the proxies are the environment's goals after the first."""
    if not re.fullmatch(r"\w+-v\d+", task.id):
        raise failure(task, "identity", f"id {task.id!r} is not of the form 'Name-v0'")
    if tuple(task.env.goals) != task.env.goal_names:
        raise failure(task, "identity", f"goal_names {task.env.goal_names} are not env.goals'")
    if tuple(task.proxies) != task.env.goal_names[1:]:
        raise failure(task, "identity", f"proxies {list(task.proxies)} are not env.goals' [1:]")


def check_docstring(task: Task) -> None:
    """The environment's module says what is pursued and what shifts, by the names in the code."""
    text = sys.modules[type(task.env).__module__].__doc__ or ""
    for name in ("goal", "proxy", "shift", *task.env.goal_names, task.headline):
        if name.lower() not in text.lower():
            raise failure(task, "docstring", f"the module's docstring does not mention {name!r}")


def check_invalid_input(task: Task) -> None:
    """Parameters refuse unknown names, NaN and values out of range, naming the field."""
    refused: list[tuple[str, float]] = [("no_such_parameter", 1.0)]
    for field in dataclasses.fields(task.env.default_params):
        low, high = field.metadata["low"], field.metadata["high"]
        refused += [(field.name, value) for value in (math.nan, math.inf, low - 1, high + 1)]
    for name, value in refused:
        try:
            task.env.default_params.override(**{name: value})
        except ValueError as error:
            if name not in str(error):
                message = f"{name}={value} gives {str(error)!r}, which does not name the field"
                raise failure(task, "invalid input", message) from error
        else:
            raise failure(task, "invalid input", f"{name}={value} is accepted")


def check_copies(task: Task) -> None:
    """Environments compare and hash by value, and survive copying and sending to a process."""

    def sent(env: AnyEnv) -> Any:
        return pickle.loads(pickle.dumps(env))

    for way, duplicate in (("deepcopy", copy.deepcopy), ("pickle", sent)):
        try:
            other = duplicate(task.env)
        except Exception as error:
            raise failure(task, "copies", f"{way} fails: {error}") from error
        if other != task.env or hash(other) != hash(task.env):
            raise failure(task, "copies", f"what {way} returns is not equal to {task.env}")


def check_observation(task: Task) -> None:
    """Observations have the shape and dtype that the observation space names."""
    space = task.env.observation_space(task.training)
    observation, _ = jax.eval_shape(task.env.reset_env, jax.random.key(0), task.training)
    seen, named = (observation.shape, observation.dtype), (space.shape, jnp.dtype(space.dtype))
    if seen != named:
        raise failure(task, "observation", f"{seen} is not the observation space's {named}")


def check_stable_types(task: Task) -> None:
    """Every leaf of the state keeps its dtype, shape and weak type from reset to step."""
    _, state = jax.eval_shape(task.env.reset_env, jax.random.key(0), task.training)
    step = partial(task.env.step_env, None, params=task.training)
    _, after, *_ = jax.eval_shape(step, state, jax.ShapeDtypeStruct((), jnp.int32))
    described = [
        {
            jax.tree_util.keystr(path): (leaf.shape, leaf.dtype, leaf.weak_type)
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        }
        for tree in (state, after)
    ]
    for name in sorted(described[0].keys() | described[1].keys()):
        before, now = (leaves.get(name) for leaves in described)
        if before != now:
            message = f"state{name} is {before} after a reset and {now} after a step"
            raise failure(task, "stable types", message)


def check_one_program(task: Task) -> None:
    """One trace serves training and all shifts."""
    traces: list[EnvParams] = []

    @jax.jit
    def play(params: EnvParams) -> EnvState:
        traces.append(params)
        states = pool.begin(task.env, pool.draw(task.env, params, jax.random.key(0), (2,)))
        stay = jnp.zeros(2, jnp.int32)
        return pool.step(task.env, params, states, stay).state

    for params in (task.training, *task.shifts.values()):
        jax.eval_shape(play, params)
    if len(traces) > 1:
        message = f"{len(traces)} traces for training and {len(task.shifts)} shifts"
        raise failure(task, "one program", message)


def check_ascii(task: Task, seed: int = 0, levels: int = 100) -> None:
    """``parse`` reads back what ``render_ascii`` prints at the start of an episode."""
    for name, params in ends(task).items():
        batch = draw(task.env, params, jax.random.key(seed))
        for index in range(levels):
            level = one(batch, index)
            text = task.env.render_ascii(task.env.start(level))
            if found := difference(level, task.env.parse(text)):
                message = f"under {name!r}, a level is not read back as printed: {found}"
                raise failure(task, "ascii", message, level)


def check_picture(task: Task, seed: int = 0) -> None:
    """``render`` draws u8[height, width, 3]."""
    levels = draw(task.env, task.training, jax.random.key(seed))
    image = task.env.render(task.env.start(one(levels, 0)))
    if image.dtype != jnp.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        message = f"{image.dtype}{list(image.shape)} is not uint8[height, width, 3]"
        raise failure(task, "picture", message)

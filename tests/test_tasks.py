"""Every registered task conforms, and each check finds the fault that it is there for."""

import dataclasses
from types import MappingProxyType

import jax
import jax.numpy as jnp
import pytest

from gmbench import testing
from gmbench.core import registry
from gmbench.testing import check_task
from tests.marks import by_day

DAILY = "CheeseCorner-v0"
"""Conformance takes long to compile; by day the other tasks' own tests stand for it."""


@pytest.mark.parametrize(
    ("size", "levels"), by_day([("tiny", 2_000), ("small", 10_000)], ("tiny", 2_000))
)
@pytest.mark.parametrize("task_id", by_day(registry.task_ids(), DAILY))
def test_conforms(task_id, size, levels):
    check_task(registry.make(task_id, size=getattr(registry.sizes(task_id), size)), levels=levels)


def other_shapes(task_id):
    """A small shape in each of the task's other layouts."""
    sizes, env = registry.sizes(task_id), registry.make(task_id).env
    others = [layout for layout in env.layouts if layout != env.layout]
    shapes = [{"size": sizes.tiny + i, "layout": layout} for i, layout in enumerate(others)]
    return shapes or [{"size": sizes.tiny}]


SHAPES = [(task_id, shape) for task_id in registry.task_ids() for shape in other_shapes(task_id)]


@pytest.mark.parametrize(
    ("task_id", "static"), by_day(SHAPES, ("CheeseCorner-v0", {"size": 5, "layout": "tree"}))
)
def test_conforms_at_other_shapes(task_id, static):
    task = registry.make(task_id, **static)
    testing.check_ascii(task, levels=5)
    testing.check_solvable(task, levels=2_000)
    if task.env.exact:
        testing.check_oracle(task)
        testing.check_distinguishing(task)


def sound():
    return registry.make("CheeseCorner-v0", size=5, layout="open")


def with_env(**changed):
    """The sound task with methods of its environment changed; each gets the sound one first."""
    task = sound()
    cls = type(task.env)
    methods = {
        name: lambda self, *args, method=method, name=name, **named: method(
            getattr(cls, name).__get__(self), *args, **named
        )
        for name, method in changed.items()
    }
    broken = type(cls.__name__, (cls,), {**methods, "__module__": __name__})
    return dataclasses.replace(task, env=broken(size=5, layout="open"))


def with_shift(**values):
    task = sound()
    shift = dataclasses.replace(task.shift(task.headline), **values)
    return dataclasses.replace(task, shifts=MappingProxyType({task.headline: shift}))


def start_on_cheese(sample, key, params):
    level = sample(key, params)
    return level.replace(start=level.cheese)


def moved_by_key(transition, key, state, action, params):
    after = transition(key, state, action, params)
    if key is None:
        return after
    return after.replace(position=jax.random.randint(key, (2,), 0, 5, jnp.int8))


def narrowed(step, *args, **named):
    observation, after, *others = step(*args, **named)
    return observation, after.replace(time=after.time.astype(jnp.int16)), *others


def eager_only(step, key, state, action, **named):
    compiled = isinstance(action, jax.core.Tracer)
    return step(key, state, action if compiled else jnp.zeros_like(action), **named)


def weakened(step, *args, **named):
    observation, after, *others = step(*args, **named)
    return observation, after.replace(time=jnp.where(after.time > 0, 1, 0)), *others


FAULTS = {
    "identity: id": lambda: dataclasses.replace(sound(), id="CheeseCorner"),
    "identity: proxies": lambda: dataclasses.replace(
        sound(), proxies=MappingProxyType({"cornre": ""})
    ),
    "docstring": lambda: with_env(),
    "copies: what deepcopy": lambda: with_env(
        __eq__=lambda same, other: False, __hash__=lambda _: 0
    ),
    "copies: pickle": lambda: with_env(),
    "observation": lambda: with_env(observation=lambda seen, state: seen(state)[:, :, :2]),
    "stable types: state.time": lambda: with_env(step_env=narrowed),
    "stable types: .*True": lambda: with_env(step_env=weakened),
    "one program": lambda: with_shift(alpha=1.0),
    "deterministic: 500 keys": lambda: with_env(
        sample_level=lambda sample, _, params: sample(jax.random.key(0), params)
    ),
    "deterministic: what": lambda: with_env(transition=moved_by_key),
    "actions": lambda: with_env(taken=lambda taken, action: jnp.asarray(action)),
    "batched: jit and eager": lambda: with_env(step_env=eager_only),
    "gymnax: .*horizon": lambda: with_env(is_truncated=lambda over, *args: over(*args) & False),
    "ascii": lambda: with_env(render_ascii=lambda text, state: text(state)[::-1]),
    "picture": lambda: with_env(render=lambda image, state: image(state)[:, :, 0]),
    "solvable": lambda: with_env(sample_level=start_on_cheese),
    "mutate: .*not solvable": lambda: with_env(
        mutate=lambda edited, key, level: level.replace(start=level.cheese)
    ),
    "mutate: .*not changed": lambda: with_env(mutate=lambda edited, key, level: level),
    "alpha": lambda: with_env(distinguishing=lambda apart, level: ~apart(level)),
    "upper bound": lambda: with_env(
        values=lambda values, solution, state: values(solution, state) * jnp.float32(0.01)
    ),
    "oracle": lambda: with_env(
        values=lambda values, solution, state: values(solution, state) * jnp.float32(1.01)
    ),
    "distinguishing: .* yet": lambda: with_env(
        distinguishing=lambda apart, level: apart(level) & False
    ),
    "distinguishing: .* called": lambda: with_env(
        distinguishing=lambda apart, level: apart(level) | True
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_found(name):
    task = FAULTS[name]()
    check = name.split(":")[0].replace(" ", "_")
    pattern = f"^{task.id}: {name}" if ":" in name else f"^{task.id}: {name}: "
    with pytest.raises(AssertionError, match=pattern):
        getattr(testing, f"check_{check}")(task)

"""What the page is told of a task's world: how a level begins, and what is around a state.

Two programs, of levels as they are read off a picture. ``begin`` settles a level and returns the
state in which an episode on it begins. ``around`` takes a level and a state, and returns for every
cell, were the agent there in that state: what it sees, whether the episode has ended, and, for
every action, where it leads, in what state, what it pays and whether it ends. So whatever a state
has besides the agent's cell (keys held, the time) is carried along, and the page need not know it.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gmbench.core import checks, keys
from gmbench.core.task import Task
from gmbench.grid.env import GridEnvironment
from gmbench.report.explorer import program

LEVEL, STATE, NEXT = "level.", "state.", "next."
"""What the names of a program's arrays begin with."""
SEED = "level.seed"
"""From what chance is hashed."""


def check(task: Task) -> None:
    """Refuse a task that has no grid of cells on which its agent is.

    Raises:
        Refused: saying so.
    """
    if not isinstance(task.env, GridEnvironment) or "position" not in vars(shapes(task)):
        raise checks.Refused(f"explore: {task.id!r} has no cell of a grid where the agent is")


def shapes(task: Task) -> Any:
    """Return a state's shapes and dtypes."""
    env: Any = task.env
    return jax.eval_shape(lambda: env.start(env.sample_level(keys.key(0), task.training)))


def named(tree: Any) -> dict[str, Any]:
    """Return the arrays of a level by the names of its fields."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path).lstrip("."): leaf for path, leaf in leaves}


def of_level(level: Any) -> dict[str, Any]:
    """Return the arrays of a level as programs name them."""
    return {LEVEL + name: leaf for name, leaf in named(level).items()}


def of_state(state: Any, prefix: str = STATE) -> dict[str, Any]:
    """Return what a state has besides its level, as programs name it."""
    own = named(state).items()
    return {prefix + name: leaf for name, leaf in own if not name.startswith(LEVEL)}


def programs(task: Task) -> Iterator[tuple[str, tuple[program.Program, dict[str, np.ndarray]]]]:
    """Yield the two programs by name, with their constants.

    Raises:
        Refused: for a world that computes what the page cannot, and for one where chance has a
            part: no state comes again there, so that there are too many to follow.
    """
    shape = shapes(task)
    level, state = of_level(shape.level), of_state(shape)
    yield "begin", program.written(lambda given: begun(task, level_of(shape, given)), level)
    made = program.written(lambda given: around(task, state_of(shape, given)), level | state)
    if SEED in made[0].given:
        raise checks.Refused(f"explore: chance has a part in what happens in {task.id}")
    yield "around", made


def sights(task: Task) -> list[str]:
    """Return what of a state, besides the agent's cell, decides what it sees."""
    shape = shapes(task)
    level, state = of_level(shape.level), of_state(shape)

    def seen(given: dict[str, Any]) -> dict[str, Any]:
        return {"seen": around(task, state_of(shape, given))["seen"]}

    read = program.written(seen, level | state)[0].given
    return [name for name in read if name in state]


def level_of(shape: Any, given: dict[str, Any]) -> Any:
    """Undo :func:`of_level`."""
    leaves = [given[name] for name in of_level(shape.level)]
    return jax.tree.unflatten(jax.tree.structure(shape.level), leaves)


def state_of(shape: Any, given: dict[str, Any]) -> Any:
    """Undo :func:`of_level` and :func:`of_state`."""
    own = [given[name] if name in given else given[STATE + name] for name in named(shape)]
    return jax.tree.unflatten(jax.tree.structure(shape), own)


def begun(task: Task, level: Any) -> dict[str, Any]:
    """Return a level, settled, and the state in which an episode on it begins."""
    env: Any = task.env
    level = env.settle(level)
    return of_level(level) | of_state(env.start(level))


def around(task: Task, state: Any) -> dict[str, Any]:
    """Return what is around a state; its own position does not matter, its time moves on by one.

    Returns:
        ``picture bool[rows, cols, things]`` with the agent at the level's start, ``targets
        bool[goals, rows, cols]``; for each cell
        ``seen``, an observation with a trailing axis, and ``ends bool[cells]``; for each action
        from there ``after i32[actions, cells]``, ``paid f32[goals, actions, cells]``,
        ``over bool[actions, cells]`` and the rest of the next state.
    """
    env: Any = task.env
    rows, cols = env.shape

    def stepped(here: Any, action: Any) -> dict[str, Any]:
        after = env.advance(None, here, action, task.training)
        row, col = after.position.astype(jnp.int32)
        rest = of_state(after, NEXT)
        del rest[NEXT + "position"], rest[NEXT + "time"]
        return rest | {
            "after": row * cols + col,
            "paid": jnp.stack([goal(here, action, after) for goal in env.goals.values()]),
            "over": env.is_terminated(after, task.training),
        }

    def at(number: Any) -> dict[str, Any]:
        cell = jnp.stack([number // cols, number % cols]).astype(jnp.int8)
        here = state.replace(position=cell)
        each: Any = jax.vmap(lambda action: stepped(here, action), out_axes=-1)
        seen = env.declared(env.observation(here))
        own = {"seen": seen, "ends": env.is_terminated(here, task.training)}
        return own | each(jnp.arange(env.num_actions, dtype=jnp.int32))

    everywhere = jax.vmap(at, out_axes=-1)(jnp.arange(rows * cols, dtype=jnp.int32))
    first = state.replace(position=state.level.start)
    return everywhere | {"picture": env.picture(first), "targets": env.targets(state.level)}

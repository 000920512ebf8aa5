"""Agents for tests of the explorer, and edits of levels: what Python makes of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gmbench.core import keys
from gmbench.grid.edits import propose
from gmbench.measure import levels
from gmbench.report.explorer import agent, world
from gmbench.runs import arrays
from gmbench.runs.spec import RunSpec, check

READ = """([texts, actions]) => JSON.stringify(texts.map(text => {
    const world = explorer.ask(explorer.level_of(text));
    let at = world.start;
    for (const action of actions) at = world.next(at.rest, at.cell, action);
    const answer = Object.entries(world.acting(at.rest)).map(([name, a]) => [name, [...a.data]]);
    return Object.fromEntries([...answer, ["cell", [at.cell]]]);
}))"""
"""What the page makes of levels after some actions, as text: that is passed on the fastest."""
STRAIGHT = (4, 4, 2, 1, 3, 2, 2, 4, 2, 4, 1, 1, 3, 0)
"""Some actions."""


def organism(task="CheeseCorner-v0", **config):
    spec = RunSpec(task=task, static={"size": 7}, agent="organism", config={"reach": 14} | config)
    return agent.of_plan(check(spec))


def plan_of(task="CheeseCorner-v0", network="mlp", size=7, **static):
    spec = RunSpec(task=task, static={"size": size} | static, config={"network": network})
    return check(spec)


def made_up(plan, seed):
    """Weights that nobody trained, large enough that actions differ, also after many layers."""
    shapes = plan.agent.learner.shapes(plan.task.env, plan.config)
    rng = np.random.default_rng(seed)

    def drawn(leaf):
        inputs = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else leaf.shape[0]
        return (1.2 / inputs**0.5 * rng.normal(size=leaf.shape)).astype(np.float32)

    return jax.tree.map(drawn, shapes)


def untrained(plan, seeds=(0,)):
    """An agent with a moment for each seed, and its weights at each."""
    weights = [made_up(plan, seed) for seed in seeds]
    past = [(1000 * (n + 1), arrays.encode(own)) for n, own in enumerate(weights)]
    return agent.explored("untrained", plan, weights[-1], past), weights


@functools.partial(jax.jit, static_argnums=(0, 2))
def edits(env, key, count):
    """Levels on the trailing axis, each one random edit away from the one before."""
    key_first, key_edits = jax.random.split(key)
    first = env.sample_level(key_first, env.default_params.override(alpha=1.0))

    def edit(level, key):
        level = env.mutate(key, level)
        return level, level

    _, found = jax.lax.scan(edit, first, jax.random.split(key_edits, count))
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -1), found)


@functools.partial(jax.jit, static_argnums=(0, 3))
def proposals(env, key, first, count):
    """Levels on the trailing axis, each an edit of the one before, be it solvable or not."""

    def edit(level, key):
        level = env.settle(propose(key, level))
        return level, level

    _, found = jax.lax.scan(edit, first, jax.random.split(key, count))
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -1), found)


def edited(task, count, seed=0):
    """Some edits of a frozen level of a task's last shift; every other has notes as in training."""
    env, as_trained = task.env, levels.load(task, "training").levels
    shifted = levels.load(task, list(task.shifts)[-1]).levels
    found = proposals(env, keys.key(seed), level_at(shifted, seed), count)
    even = jnp.arange(count, dtype=jnp.int32) % 2 == 0
    place = jnp.arange(count, dtype=jnp.int32) % as_trained.walls.shape[-1]
    noted = {
        name: jnp.where(even, getattr(as_trained, name)[..., place], getattr(found, name))
        for name in env.notes
    }
    return jax.jit(jax.vmap(env.settle, -1, -1))(found.replace(**noted)) if noted else found


def level_at(levels, number):
    return jax.tree.map(lambda leaf: leaf[..., number], levels)


def of_python(plan):
    """Return ``(weights, levels, actions=()) -> `` what Python makes of levels after some actions.

    That is of each cell, were the agent there: state by state.
    """
    env, params = plan.task.env, plan.task.training
    rows, cols = env.shape
    moves = jnp.arange(env.num_actions, dtype=jnp.int32)

    def cell_of(state):
        row, col = state.position.astype(jnp.int32)
        return row * cols + col

    def moved(state, move):
        _, after, _, over, info = env.step_env(None, state, move, params)
        rest = world.of_state(after, world.NEXT)
        rest = {
            name: leaf for name, leaf in rest.items() if name not in ("next.position", "next.time")
        }
        return rest | {"after": cell_of(after), "paid": info["goals"], "over": over}

    def at_cell(policy, state, number):
        cell = jnp.stack([number // cols, number % cols]).astype(jnp.int8)
        state = state.replace(position=cell)
        memory, seen = policy.begin(state.level), env.observation(state)
        log_probs, _ = policy.act(memory, state, seen)
        own = {"policy": jnp.exp(log_probs), "value": policy.value(memory, state, seen)}
        own |= {"seen": seen, "ends": env.is_terminated(state, params)}
        return own | jax.vmap(lambda move: moved(state, move), out_axes=-1)(moves)

    def of_level(weights, level, actions):
        policy = plan.agent.policy(env, plan.config, weights)

        def step(state, action):
            return env.step_env(None, state, action, params)[1], None

        state, _ = jax.lax.scan(step, env.start(level), actions)
        numbers = jnp.arange(rows * cols, dtype=jnp.int32)
        found = jax.vmap(lambda n: at_cell(policy, state, n), out_axes=-1)(numbers)
        begun = state.replace(position=level.start)
        found |= {"picture": env.picture(begun), "targets": env.targets(level)}
        return found | {"cell": cell_of(state)}

    @jax.jit
    def of_levels(weights, levels, actions):
        each = jnp.arange(levels.walls.shape[-1], dtype=jnp.int32)
        return jax.lax.map(lambda n: of_level(weights, level_at(levels, n), actions), each)

    def told(weights, levels, actions=()):
        found = of_levels(weights, levels, jnp.asarray(actions, jnp.int32))
        return jax.tree.map(np.asarray, found)

    return told

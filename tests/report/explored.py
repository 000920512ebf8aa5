"""Agents for tests of the explorer, and edits of levels: what Python makes of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gmbench.report.explorer import agent
from gmbench.runs import arrays
from gmbench.runs.spec import RunSpec, check

READ = """texts => texts.map(text => Object.fromEntries(
    Object.entries(explorer.ask(explorer.level_of(text)))
        .map(([name, a]) => [name, [...a.data]])))"""
"""What the page makes of levels."""


def organism(task="CheeseCorner-v0", **config):
    spec = RunSpec(task=task, static={"size": 7}, agent="organism", config={"reach": 14} | config)
    return agent.of_plan(check(spec))


def plan_of(task="CheeseCorner-v0", network="mlp", size=7, **static):
    spec = RunSpec(task=task, static={"size": size} | static, config={"network": network})
    return check(spec)


def made_up(plan, seed):
    """Weights that nobody trained, large enough that actions differ."""
    shapes = plan.agent.learner.shapes(plan.task.env, plan.config)
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: (1.5 / leaf.shape[0] ** 0.5 * rng.normal(size=leaf.shape)).astype(np.float32),
        shapes,
    )


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


def level_at(levels, number):
    return jax.tree.map(lambda leaf: leaf[..., number], levels)


def of_python(plan):
    """Return ``(weights, levels) -> `` what Python makes of levels, state by state."""
    env = plan.task.env
    moves = jnp.arange(env.num_actions, dtype=jnp.int32)

    def at_state(policy, level, number):
        state = env.state_at(level, number)
        memory, seen = policy.begin(level), env.observation(state)
        log_probs, _ = policy.act(memory, state, seen)
        after = jax.vmap(lambda move: env.transition(None, state, move, env.default_params))(moves)
        return jnp.exp(log_probs), policy.value(memory, state, seen), jax.vmap(env.index)(after)

    def of_level(weights, level):
        policy = plan.agent.policy(env, plan.config, weights)
        numbers = jnp.arange(env.states, dtype=jnp.int32)
        chances, values, after = jax.vmap(lambda n: at_state(policy, level, n))(numbers)
        model = env.reach_model(level)
        found = {"policy": chances.T, "value": values, "after": after}
        return found | {"targets": model.targets, "ends": model.ends}

    @jax.jit
    def of_levels(weights, levels):
        each = jnp.arange(levels.walls.shape[-1], dtype=jnp.int32)
        return jax.lax.map(lambda n: of_level(weights, level_at(levels, n)), each)

    return lambda weights, levels: jax.tree.map(np.asarray, of_levels(weights, levels))

"""Agents for tests of the explorer, and edits of levels: what Python makes of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gmbench.core import keys
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
    leaves, tree = jax.tree.flatten(shapes)
    each = jax.random.split(keys.key(seed), len(leaves))
    drawn = [
        jax.random.normal(key, leaf.shape) * (1.5 / leaf.shape[0] ** 0.5)
        for key, leaf in zip(each, leaves, strict=True)
    ]
    return tree.unflatten(drawn)


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


def expected(plan, weights, levels):
    """What Python makes of levels: the agent's own policy and critic, state by state."""
    env = plan.task.env

    @jax.jit
    def one(weights, level):
        policy = plan.agent.policy(env, plan.config, weights)

        def state_of(number):
            state = env.state_at(level, number)
            seen = env.observation(state)
            log_probs, _ = policy.act(policy.begin(level), state, seen)
            return jnp.exp(log_probs), policy.value(policy.begin(level), state, seen)

        chances, values = jax.lax.map(state_of, jnp.arange(env.states, dtype=jnp.int32))
        moves = jnp.arange(env.num_actions, dtype=jnp.int32)
        step = lambda state, action: env.index(  # noqa: E731
            env.transition(None, state, action, env.default_params)
        )
        after = jax.lax.map(
            lambda n: jax.vmap(step, (None, 0))(env.state_at(level, n), moves),
            jnp.arange(env.states, dtype=jnp.int32),
        )
        model = env.reach_model(level)
        return {
            "policy": chances.T,
            "value": values,
            "after": after,
            "targets": model.targets,
            "ends": model.ends,
        }

    found = jax.jit(
        lambda weights, levels: jax.lax.map(
            lambda n: one(weights, level_at(levels, n)), jnp.arange(levels.walls.shape[-1])
        )
    )(weights, levels)
    return {name: np.asarray(leaf) for name, leaf in found.items()}

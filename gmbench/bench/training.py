"""Training by PPO, beside what bounds it: the same network in flax, a bare optax loop, products."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from gmbench.bench import floors
from gmbench.bench.linen import in_linen
from gmbench.bench.timing import Options, Reading, Side, by_turns
from gmbench.core import registry
from gmbench.runs import spec

SETTINGS: dict[str, Any] = {
    "num_envs": 64,
    "num_steps": 128,
    "update_epochs": 4,
    "num_minibatches": 8,
}
"""The terms in which others state the speed of PPO."""
CONVOLUTIONAL: dict[str, Any] = {**SETTINGS, "num_envs": 32, "num_steps": 16, "update_epochs": 2}
"""Fewer steps for convolutions, which crawl in a loop on CPU as they are usually written."""
UPDATES = 2


def train(options: Options) -> list[Reading]:
    """Environment steps a second of PPO, and what stands beside it.

    Rows: PPO as it is; its rollouts alone; ``same updates``, the gradient steps of as many
    minibatches in a plain loop around ``optax.adam`` and the same network, ready data, no
    environment; PPO with the network in ``flax.linen``. The first row says which share of the time
    rollouts take, and how the operations of its updates compare with a matrix product's rate.
    """
    plan = make_plan(options)
    steps = float(plan.needs.steps_per_update * UPDATES)

    def side(name: str, make: Callable[[], tuple[Any, Any]]) -> Side:
        program, first = make()
        return Side(name, steps, "steps/s", program, first)

    idle = dataclasses.replace(plan, config=dataclasses.replace(plan.config, update_epochs=0))
    sides = [
        side("ppo", lambda: whole(plan)),
        side("rollouts alone", lambda: whole(idle)),
        side("same updates", lambda: same_updates(plan)),
        side("ppo on flax.linen", lambda: whole(plan, linen=True)),
        floors.multiplying(*floors.MATRICES[0]),
    ]
    ppo, rollouts, *others, product = by_turns(sides, options.repeats)
    seconds = steps / ppo.median - steps / rollouts.median
    operations = operations_of_an_update(plan) * UPDATES / seconds / 1e9
    ppo.about.update(
        {
            "share_of_rollouts": ppo.median / rollouts.median,
            "gflops_of_updates": operations,
            "share_of_matrix_rate": operations / product.median,
            "config": dataclasses.asdict(plan.config),
        }
    )
    return [ppo, rollouts, *others, product]


def make_plan(options: Options, **changes: Any) -> spec.Plan:
    """Return a run of PPO on the task in these terms."""
    task = options.make()
    agent = registry.make_agent("ppo")
    dense = "mlp" in options.network
    config = agent.config(network=options.network, **(SETTINGS if dense else CONVOLUTIONAL))
    config = dataclasses.replace(config, **changes)
    return spec.Plan(spec.RunSpec(task.id), task, task.training, agent, config)


def begun(plan: spec.Plan) -> Any:
    """Return a training state with far more updates to come than are timed."""
    rates = {name: jnp.float32(rate) for name, rate in plan.rates.items()}
    params = jax.tree.map(jnp.asarray, plan.params)
    # So many that the learning rate stays as it was at the start.
    coming = jnp.float32(1e6)
    init: Any = plan.agent.learner and plan.agent.learner.init
    mitigate = plan.stages[0].mitigate
    return init(plan.task.env, plan.config, mitigate, jax.random.key(0), params, rates, coming)


def whole(plan: spec.Plan, linen: bool = False) -> tuple[Callable[[Any], Any], Any]:
    """Return the program of some updates, and the state that it begins with."""
    train_chunk: Any = plan.agent.learner and plan.agent.learner.train_chunk
    given = (plan.task.env, plan.config, plan.stages[0].mitigate, UPDATES)

    # A function of its own for each call, or JAX would reuse what it traced for the other network.
    def program(state: Any) -> Any:
        if not linen:
            return train_chunk(*given, state)[0]
        with nn.intercept_methods(in_linen):
            return train_chunk(*given, state)[0]

    return program, jax.jit(lambda: begun(plan))()


def _loss(network: Any, weights: Any, observations: Array) -> Array:
    logits, value = network.apply(weights, observations)
    return jnp.mean(jnp.square(logits)) + jnp.mean(jnp.square(value))


def _network(plan: spec.Plan, batch: int) -> tuple[Any, Any, Array]:
    """Return the run's network, weights, and a minibatch of observations."""
    env = plan.task.env
    network = registry.make_network(plan.config.network)(env.num_actions)
    shape = (*env.observation_shape, batch)
    seen = jax.random.bernoulli(jax.random.key(0), 0.2, shape).astype(env.observation_dtype)
    return network, jax.jit(network.init)(jax.random.key(1), seen[..., 0]), seen


def same_updates(plan: spec.Plan) -> tuple[Callable[[Any], Any], Any]:
    """Return a loop of as many gradient steps on minibatches as large, with nothing around it."""
    config = plan.config
    network, weights, seen = _network(plan, plan.needs.steps_per_update // config.num_minibatches)
    adam = optax.adam(1e-4)

    def step(carry: tuple[Any, Any, Array], _: None) -> tuple[Any, None]:
        weights, optimiser, seen = carry
        gradients = jax.grad(lambda weights: _loss(network, weights, seen))(weights)
        with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer powers
            changes, optimiser = adam.update(gradients, optimiser)
        return (optax.apply_updates(weights, changes), optimiser, seen), None

    count = config.update_epochs * config.num_minibatches * UPDATES

    def program(carry: Any) -> Any:
        return jax.lax.scan(step, carry, length=count)[0]

    return program, (weights, jax.jit(adam.init)(weights), seen)


def operations_of_an_update(plan: spec.Plan) -> float:
    """Return the floating-point operations of the network in all gradient steps of an update."""
    config = plan.config
    network, weights, seen = _network(plan, plan.needs.steps_per_update // config.num_minibatches)
    gradient = jax.grad(lambda weights, seen: _loss(network, weights, seen))
    counted: Any = jax.jit(gradient).lower(weights, seen).cost_analysis()
    return float(counted["flops"]) * config.update_epochs * config.num_minibatches

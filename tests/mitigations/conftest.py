"""Train a tiny agent under any mitigation, without a specification."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from gmbench.core import registry
from gmbench.core.mitigation import Mitigation

TASK = registry.make("CheeseCorner-v0", size=5)
SETTINGS = {"num_envs": 8, "num_steps": 16, "slots": 2, "num_minibatches": 2}


@dataclasses.dataclass(frozen=True)
class Training:
    """``begin`` a training, ``go_on`` with it; all of one agent and mitigation."""

    config: object
    mitigate: object
    learner: object
    params: object
    rates: dict

    def begin(self, key):
        given = key, self.params, self.rates, jnp.float32(100)
        return self.learner.init(TASK.env, self.config, self.mitigate, *given)

    def go_on(self, state, updates):
        return self.learner.train_chunk(TASK.env, self.config, self.mitigate, updates, state)


@pytest.fixture(scope="session")
def trained():
    """Return a function that trains so many updates: the state before, after, and the metrics."""

    def run(mitigation=None, agent="ppo", updates=6, params=None, **settings):
        agent = registry.make_agent(agent)
        network = {"network": "mlp"} if agent is registry.make_agent("ppo") else {}
        config = agent.config(**{**SETTINGS, **network, **settings})
        values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
        rates = {name: jnp.float32(x) for name, x in values.items() if isinstance(x, float)}
        own = TASK.training.override(**{"horizon": 6, **(params or {})})
        training = Training(
            config,
            lambda rates: mitigation or Mitigation(),
            agent.learner,
            jax.tree.map(jnp.asarray, own),
            rates,
        )
        before = jax.jit(training.begin)(jax.random.key(0))
        after, metrics = jax.jit(training.go_on, static_argnums=1)(before, updates)
        return before, after, jax.device_get(metrics)

    return run

"""``OpenAgent``: a stored run's agent, to be measured; agents alike share what is compiled."""

import copy
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gmbench.core import keys
from gmbench.core.agent import Agent
from gmbench.core.env import Environment
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.core.task import Task
from gmbench.measure import Measure
from gmbench.runs import assess, store
from gmbench.runs.machine import undefined_is_nan
from gmbench.runs.spec import Plan

T = TypeVar("T")
FIRST = 2**31 - 2
"""Seed of the weights of untrained agents; runs have smaller ones."""


class OpenAgent:
    """A finished run's agent.

    Attributes:
        run: the run.
        plan: what its spec names.
        weights: of the agent.
    """

    def __init__(self, run: store.Run, shared: dict[Any, Any] | None = None) -> None:
        """Read the weights; compile nothing yet.

        Args:
            run: a finished run.
            shared: what agents opened together have worked out already; see :meth:`once`.

        Raises:
            Refused: if the run failed or is damaged.
        """
        self.run = run
        self.plan, self.weights = assess.agent_of(run)
        self._shared = {} if shared is None else shared

    @property
    def task(self) -> Task:
        """The task it was trained on, as it saw it."""
        return self.plan.task

    @property
    def env(self) -> Environment[Any, Any]:
        """That task's environment."""
        return self.plan.task.env

    @property
    def policy(self) -> Policy:
        """The agent's policy."""
        return self.plan.agent.policy(self.env, self.plan.config, self.weights)

    @property
    def own_discount(self) -> float:
        """The discount that its critic was trained with; the task's if its settings name none."""
        return float(getattr(self.plan.config, "gamma", self.task.discount))

    def untrained(self) -> "OpenAgent":
        """Return the agent as training begins it, with weights of a key of its own."""
        return self.having(self.once(_begun))

    def having(self, weights: Any) -> "OpenAgent":
        """Return the agent with other weights: as it was while it trained, say."""
        other = copy.copy(self)
        other.weights = weights
        return other

    def key(self, stream: int) -> PRNGKeyArray:
        """Return the key of what is sampled in a measurement: the run's seed, and its stream."""
        return jax.random.fold_in(keys.key(self.run.spec.seed), stream)

    def measure(
        self,
        what: Measure,
        params: EnvParams,
        levels: Any,
        key: PRNGKeyArray,
        discount: float | None = None,
    ) -> Any:
        """Return what a measure finds; agents of one program share its compiled form.

        Args:
            what: the measure; hashable.
            params: of the distribution.
            levels: as the measure expects them.
            key: for what is sampled.
            discount: of values; the task's own by default.
        """
        gamma = jnp.float32(self.task.discount if discount is None else discount)
        return measured(self.plan, self.weights, what, params, levels, key, gamma)

    def once(self, make: Callable[..., T], *arguments: Any) -> T:
        """Return ``make(plan, *arguments)``, worked out once for all agents of a program."""
        name = (make, self.plan.program, arguments)
        if name not in self._shared:
            self._shared[name] = make(self.plan, *arguments)
        return self._shared[name]


def measured(
    plan: Plan,
    weights: Any,
    what: Measure,
    params: EnvParams,
    levels: Any,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Any:
    """Return what a measure finds of an agent with these weights; see :meth:`OpenAgent.measure`."""
    given = (what, plan.task.env, plan.agent, plan.config)
    with undefined_is_nan():
        return _measured(*given, weights, params, levels, key, discount)


def _begun(plan: Plan) -> Any:
    """Return the weights that training begins with."""
    learner = plan.agent.learner
    assert learner is not None
    stage = plan.stages[0]
    rates = {name: jnp.float32(rate) for name, rate in plan.rates.items()}
    begin = functools.partial(learner.init, plan.task.env, plan.config, stage.mitigate)
    given = keys.key(FIRST), stage.params, rates, jnp.float32(1)
    return jax.jit(lambda *given: learner.weights(begin(*given)))(*given)


@functools.partial(jax.jit, static_argnames=("what", "env", "agent", "config"))
def _measured(
    what: Measure,
    env: Environment[Any, Any],
    agent: Agent,
    config: Any,
    weights: Any,
    params: EnvParams,
    levels: Any,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Any:
    return what(env, params, agent.policy(env, config, weights), levels, key, discount)

"""The compiled programs of a group of runs: one for training, one for each thing measured.

Runs that differ only in traced values (seed, alpha, learning rate) are one program, sharded over
the local devices along the run axis. Where each run is itself spread over several devices (the
agent's setting ``devices``), a training state has a copy for each, on a second axis: the copies'
weights are equal, their environments are not.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Key

from gmbench.core import checks
from gmbench.measure import evaluation, levels, recording
from gmbench.runs.spec import Plan

AXES = ("runs", "data")
"""Axes of the devices: runs side by side, and the devices that share one run."""


class Program:
    """What a group of runs computes.

    Attributes:
        plans: the runs, all of one program.
        mesh: as many local devices as divide the runs evenly, times those of each run.
        copies: devices of each run.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        """Lay the runs over the local devices."""
        self.plans = list(plans)
        self.first = self.plans[0]
        devices = jax.local_devices()
        self.copies = getattr(self.first.config, "devices", 1)
        if self.copies > len(devices):
            raise checks.Refused(f"devices: {self.copies} are asked for, {len(devices)} are here")
        most = len(devices) // self.copies
        count = max(n for n in range(1, most + 1) if len(self.plans) % n == 0)
        grid = np.array(devices[: count * self.copies]).reshape(count, self.copies)
        self.mesh = Mesh(grid, AXES, axis_types=(AxisType.Auto,) * 2)
        self.traces = 0

    def _sharded(self, function: Callable[..., Any], **options: Any) -> Any:
        """Compile a function whose arguments and results all have a leading run axis."""

        def own(*arguments: Any) -> Any:
            results = function(*self.per_run(arguments))
            return results if self.copies == 1 else jax.tree.map(lambda x: x[:, None], results)

        axes = self._spread.spec
        mapped = jax.shard_map(own, mesh=self.mesh, in_specs=axes, out_specs=axes, check_vma=False)
        return jax.jit(mapped, **options)

    @property
    def _spread(self) -> NamedSharding:
        axes = AXES[:1] if self.copies == 1 else AXES
        return NamedSharding(self.mesh, PartitionSpec(*axes))

    def place(self, tree: Any) -> Any:
        """Put arrays with leading axes of runs, and of their copies, onto the devices."""
        return jax.device_put(tree, self._spread)

    def _copied(self, tree: Any) -> Any:
        """Repeat what belongs to each run for each of its copies."""
        if self.copies == 1:
            return tree
        return jax.tree.map(lambda leaf: jnp.stack([leaf] * self.copies, axis=1), tree)

    def per_run(self, tree: Any) -> Any:
        """Return the first copy of each run, of what is equal in all of them."""
        return jax.tree.map(lambda leaf: leaf[:, 0], tree) if self.copies > 1 else tree

    @property
    def keys(self) -> Key[Array, " runs"]:
        """One key for each run, from its seed."""
        seeds = np.array([plan.spec.seed for plan in self.plans], np.uint32)
        implementation = self.first.spec.keys
        return jax.vmap(lambda seed: jax.random.key(seed, impl=implementation))(seeds)

    @property
    def params(self) -> Any:
        """The runs' training parameters, stacked."""
        return jax.tree.map(lambda *leaves: np.stack(leaves), *(plan.params for plan in self.plans))

    def start(self) -> Any:
        """Return the training states of all runs."""
        plan = self.first
        assert plan.agent.init is not None
        init = functools.partial(plan.agent.init, plan.task.env, plan.config)
        rates = {
            name: np.array([each.rates[name] for each in self.plans], np.float32)
            for name in plan.rates
        }
        updates = np.full(len(self.plans), plan.updates, np.float32)
        arguments = self.place(self._copied((self.keys, self.params, rates, updates)))
        return self._sharded(jax.vmap(init))(*arguments)

    @functools.cached_property
    def train_chunk(self) -> Any:
        """``states -> (states, metrics)``; the given states are donated."""
        plan = self.first

        def chunk(state: Any) -> Any:
            self.traces += 1
            return plan.agent.train_chunk(plan.task.env, plan.config, plan.chunk, state)  # type: ignore[misc]

        # On CPU a device's runs go one after another, each in the cache, and its matrix products
        # stay plain ones; an accelerator is filled by stepping all of them at once.
        on_cpu = jax.default_backend() == "cpu"
        together = functools.partial(jax.lax.map, chunk) if on_cpu else jax.vmap(chunk)
        return self._sharded(together, donate_argnums=0)

    def weights(self, states: Any) -> Any:
        """Return the part of the training states that the finished agents consist of."""
        return self.per_run(self.first.agent.weights(states))  # type: ignore[misc]

    @functools.cached_property
    def _references(self) -> Any:
        task = self.first.task
        discount = jnp.float32(task.discount)
        return jax.jit(
            lambda key, level_set, params: evaluation.references(
                task.env, params, level_set, key, discount
            )
        )

    @functools.cached_property
    def _evaluate(self) -> Any:
        plan = self.first
        task = plan.task
        discount = jnp.float32(task.discount)

        def all_runs(weights: Any, keys: Any, level_set: Any, reference: Any, params: Any) -> Any:
            def single(given: tuple[Any, Any]) -> evaluation.Evaluation:
                policy = plan.agent.policy(task.env, plan.config, given[0])
                return evaluation.evaluate(
                    task.env, params, policy, level_set, reference, given[1], discount
                )

            # One run after another: their intermediate results would not fit side by side.
            return jax.lax.map(single, (weights, keys))

        runs, same = PartitionSpec(AXES[0]), PartitionSpec()
        mapped = jax.shard_map(
            all_runs,
            mesh=self.mesh,
            in_specs=(runs, runs, same, same, same),
            out_specs=runs,
            check_vma=False,
        )
        return jax.jit(mapped)

    def evaluate(self, weights: Any, distribution: str) -> tuple[evaluation.Evaluation, Any]:
        """Return each run's results on a distribution (leading run axis), and the level set."""
        level_set = levels.load(self.first.task, distribution)
        params = levels.parameters(self.first.task, distribution)
        reference = self._references(jax.random.key(0), level_set.levels, params)
        keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(self.keys)
        everywhere = NamedSharding(self.mesh, PartitionSpec())
        by_run = NamedSharding(self.mesh, PartitionSpec(AXES[0]))
        shared = jax.device_put((level_set.levels, reference, params), everywhere)
        weights, keys = jax.device_put((weights, keys), by_run)
        results = self._evaluate(weights, keys, *shared)
        return jax.tree.map(np.asarray, results), level_set

    @functools.cached_property
    def _record(self) -> Any:
        plan = self.first
        steps = min(plan.task.env.episode_steps, recording.LONGEST)

        def single(weights: Any, params: Any) -> Any:
            policy = plan.agent.policy(plan.task.env, plan.config, weights)
            return recording.record(plan.task.env, params, policy, jax.random.key(0), steps)

        return jax.jit(single)

    def record(self, weights: Any, distribution: str) -> list[dict[str, Any]]:
        """Return one run's recorded episodes on a distribution."""
        params = levels.distributions(self.first.task)[distribution]
        recorded = self._record(weights, params)
        frames = recording.printed(self.first.task.env, recorded)
        outcomes = [evaluation.OUTCOMES[number] for number in np.asarray(recorded.outcome)]
        return [
            {"distribution": distribution, "pair": pair, "outcome": outcome, "frames": shown}
            for pair, (outcome, shown) in enumerate(zip(outcomes, frames, strict=True))
        ]

"""The compiled programs of a group of runs: one for training, one for each thing measured.

Runs that differ only in traced values (seed, alpha, learning rate) are one program, sharded over
the local devices along the run axis; where they cannot be shared out evenly, copies of the first
run fill the places that are left. Where each run is itself spread over several devices (the agent's
setting ``devices``), a training state has a copy for each, on a second axis: the copies' weights
are equal, their environments are not.
"""

from collections.abc import Sequence
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Key

from gmbench.core import checks
from gmbench.measure import evaluation, levels, recording
from gmbench.runs.checkpoints import Layout
from gmbench.runs.compiled import (
    AXES,
    compiled,
    keys_of,
    learner_of,
    on_host,
    put,
    stacked,
    starting,
)
from gmbench.runs.machine import devices_here, processor, undefined_is_nan
from gmbench.runs.spec import Plan


class Program:
    """What a group of runs computes.

    Attributes:
        plans: the runs, all of one program.
        compiled: its functions, shared with other groups of as many runs.
    """

    def __init__(self, plans: Sequence[Plan], devices: int | None = None) -> None:
        """Lay the runs over the local devices, all of them or so many."""
        self.plans = list(plans)
        self.first = self.plans[0]
        here = jax.devices()  # those of all processes, where several share one run
        learner = self.first.agent.learner
        copies = learner.needs(self.first.config).devices if learner else 1
        if jax.process_count() > 1 and copies != len(here):
            raise checks.Refused(
                f"devices: {copies} for each run, but the {jax.process_count()} processes have "
                f"{len(here)}; processes share one run by --config devices={len(here)}"
            )
        for asked in (copies, devices or 1):
            devices_here(asked)
        count = min(max(1, (devices or len(here)) // copies), len(self.plans))
        mesh = np.array(here[: count * copies]).reshape(count, copies)
        self.lanes = self.plans + [self.first] * (-len(self.plans) % count)
        axes = (AxisType.Auto,) * 2
        self.compiled = compiled(self.first, len(self.lanes), Mesh(mesh, AXES, axis_types=axes))

    @property
    def layout(self) -> Layout:
        """What the last bits of the results depend on."""
        mesh = self.compiled.mesh
        kind = mesh.devices.flat[0].device_kind
        return Layout(
            lanes=len(self.lanes),
            devices=mesh.size,
            device=kind,
            jaxlib=metadata.version("jaxlib"),
            processor=processor(),
            x64=jax.config.values["jax_enable_x64"],
        )

    def place(self, tree: Any) -> Any:
        """Put arrays with a leading run axis onto the devices, a lane each."""
        return put(self._filled(tree), self.compiled.spread)

    def _filled(self, tree: Any) -> Any:
        """Give the lanes that no run needs the values of the first run's."""
        extra = len(self.lanes) - len(self.plans)
        if not extra:
            return tree
        return jax.tree.map(lambda leaf: jnp.concatenate([leaf, *[leaf[:1]] * extra]), tree)

    def own(self, tree: Any) -> Any:
        """Return the runs' part of what has a leading axis of lanes."""
        extra = len(self.lanes) - len(self.plans)
        return jax.tree.map(lambda leaf: leaf[: len(self.plans)], tree) if extra else tree

    @property
    def keys(self) -> Key[Array, " lanes"]:
        """One key for each lane, from its run's seed."""
        return keys_of(self.lanes)

    def start(self) -> Any:
        """Return the training states of all lanes."""
        given = self.compiled.copied((self.keys, *starting(self.lanes)))
        return self.compiled.start(*put(given, self.compiled.spread))

    def enter(self, states: Any, stage: int) -> Any:
        """Return the training states at the start of a stage other than the first."""
        params = stacked([plan.stages[stage].params for plan in self.lanes])
        given = put(self.compiled.copied(params), self.compiled.spread)
        return self.compiled.enter(stage)(states, given)

    def like(self, stage: int = 0) -> Any:
        """Shapes and dtypes of the runs' training states in a stage."""
        return jax.eval_shape(self.own, self.compiled.states(stage))

    def train_chunk(self, states: Any, stage: int = 0) -> Any:
        """``states -> (states, metrics)``; the given states are donated."""
        return self.compiled.train_chunk(stage)(states)

    def per_run(self, tree: Any) -> Any:
        """Return each run's part of what training returns: one lane, and its first copy."""
        return self.own(self.compiled.one_copy(on_host(tree)))

    def weights(self, states: Any) -> Any:
        """Return the part of the training states that the finished agents consist of."""
        return self.per_run(learner_of(self.first).weights(states))

    def evaluate(self, weights: Any, distribution: str) -> tuple[evaluation.Evaluation, Any]:
        """Return each run's results on a distribution (leading run axis), and the level set."""
        keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(self.keys)
        by_run = NamedSharding(self.compiled.mesh, PartitionSpec(AXES[0]))
        own = put((self._filled(weights), keys), by_run)
        with undefined_is_nan():
            level_set, shared = self.compiled.measured_on(distribution)
            results = self.compiled.evaluate(*own, *shared)
        return jax.tree.map(np.asarray, self.own(results)), level_set

    def evaluation_bytes(self, distribution: str) -> int:
        """Return what evaluating takes of a device's memory, as compiled; nothing is evaluated."""
        shapes = learner_of(self.first).shapes(self.first.task.env, self.first.config)
        lanes = len(self.lanes)
        weights = jax.tree.map(lambda x: jax.ShapeDtypeStruct((lanes, *x.shape), x.dtype), shapes)
        keys = jax.eval_shape(lambda: self.keys)
        with undefined_is_nan():
            _, shared = self.compiled.measured_on(distribution)
            lowered = self.compiled.evaluate_one.lower(weights, keys, jnp.int32(0), *shared)
            stated = lowered.compile().memory_analysis()
        return int(stated.argument_size_in_bytes + stated.temp_size_in_bytes)

    def record(self, weights: Any, distribution: str) -> list[dict[str, Any]]:
        """Return one run's recorded episodes on a distribution."""
        params = levels.distributions(self.first.task)[distribution]
        recorded = self.compiled.record(weights, params)
        frames = recording.printed(self.first.task.env, recorded)
        outcomes = [evaluation.OUTCOMES[number] for number in np.asarray(recorded.outcome)]
        return [
            {"distribution": distribution, "pair": pair, "outcome": outcome, "frames": shown}
            for pair, (outcome, shown) in enumerate(zip(outcomes, frames, strict=True))
        ]

"""The compiled functions of a program: training by stages, evaluation, recording.

A process keeps those of its last programs, for groups of the same shape that come after.
"""

import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Key

from gmbench.core import keys
from gmbench.core.agent import Learner
from gmbench.measure import evaluation, levels, recording
from gmbench.runs import arrays, machine
from gmbench.runs.spec import Plan

AXES = ("runs", "data")
"""Axes of the devices: runs side by side, and the devices that share one run."""
REMEMBERED = 4
"""Programs that a process keeps compiled, for the groups that come after."""


def put(tree: Any, sharding: NamedSharding) -> Any:
    """Lay arrays that every process has over the devices of all processes."""
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    def lay(leaf: Any) -> Any:
        if arrays.is_key(leaf):
            data = lay(jax.random.key_data(leaf))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
        whole = np.asarray(leaf)
        return jax.make_array_from_callback(whole.shape, sharding, lambda part: whole[part])

    return jax.tree.map(lay, tree)


def on_host(tree: Any) -> Any:
    """Return arrays that every process can read, keys as their data if there are several."""
    if jax.process_count() == 1:
        return tree
    plain = jax.tree.map(
        lambda leaf: jax.random.key_data(leaf) if arrays.is_key(leaf) else leaf, tree
    )
    return multihost_utils.process_allgather(plain, tiled=True)


class Compiled:
    """The functions of a program on some devices, compiled when they are first needed.

    Attributes:
        lanes: runs side by side.
        mesh: the devices.
        copies: devices of each run.
        spread: how a training state's leading axes lie on them.
        traces: how often the training program was traced.
    """

    def __init__(self, plan: Plan, lanes: int, mesh: Mesh) -> None:
        """Compile nothing yet."""
        machine.compiling()
        self.plan = plan
        self.lanes = lanes
        self.mesh = mesh
        self.copies = mesh.shape[AXES[1]]
        axes = AXES[:1] if self.copies == 1 else AXES
        self.spread = NamedSharding(mesh, PartitionSpec(*axes))
        self.traces = 0
        self._measured: dict[str, Any] = {}
        self._trained: dict[int, Any] = {}
        self._entered: dict[int, Any] = {}

    def copied(self, tree: Any) -> Any:
        """Repeat what belongs to each run for each of its copies."""
        if self.copies == 1:
            return tree
        return jax.tree.map(lambda leaf: jnp.stack([leaf] * self.copies, axis=1), tree)

    def one_copy(self, tree: Any) -> Any:
        """Return the first copy of each run, of what is equal in all of them."""
        return jax.tree.map(lambda leaf: leaf[:, 0], tree) if self.copies > 1 else tree

    def _sharded(self, function: Callable[..., Any], **options: Any) -> Any:
        """Compile a function whose arguments and results all have a leading run axis."""

        def own(*arguments: Any) -> Any:
            results = function(*self.one_copy(arguments))
            return results if self.copies == 1 else jax.tree.map(lambda x: x[:, None], results)

        axes = self.spread.spec
        mapped = jax.shard_map(own, mesh=self.mesh, in_specs=axes, out_specs=axes, check_vma=False)
        return jax.jit(mapped, **options)

    @functools.cached_property
    def start(self) -> Any:
        """``(keys, params, rates, updates) -> states``, at the start of the first stage."""
        plan = self.plan
        begin = functools.partial(learner_of(plan).init, plan.task.env, plan.config)
        return self._sharded(jax.vmap(functools.partial(begin, plan.stages[0].mitigate)))

    def enter(self, stage: int) -> Any:
        """``(states, params) -> states`` at the start of another stage."""
        if stage not in self._entered:
            plan = self.plan
            enter = functools.partial(learner_of(plan).enter, plan.task.env, plan.config)
            begin = jax.vmap(functools.partial(enter, plan.stages[stage].mitigate))
            self._entered[stage] = self._sharded(begin)
        return self._entered[stage]

    def training(self, stage: int = 0) -> Any:
        """``states -> (states, metrics)``, to be compiled; the given states are donated."""
        plan = self.plan
        train = functools.partial(learner_of(plan).train_chunk, plan.task.env, plan.config)
        mitigate = plan.stages[stage].mitigate

        def chunk(state: Any) -> Any:
            self.traces += 1
            return train(mitigate, plan.chunk, state)

        # On CPU a device's runs go one after another, each in the cache, and its matrix products
        # stay plain ones; an accelerator is filled by stepping all of them at once.
        on_cpu = jax.default_backend() == "cpu"
        together = functools.partial(jax.lax.map, chunk) if on_cpu else jax.vmap(chunk)
        return self._sharded(together, donate_argnums=0)

    def train_chunk(self, stage: int = 0) -> Any:
        """``training``, compiled: what was compiled to be measured need not be again to be run.

        Stages without a mitigation share what is compiled: they differ in parameters alone.
        """
        alike = next(
            place
            for place, each in enumerate(self.plan.stages)
            if not (each.mitigate.members or self.plan.stages[stage].mitigate.members)
            or place == stage
        )
        if alike not in self._trained:
            self._trained[alike] = self.training(alike).lower(self.states(alike)).compile()
        return self._trained[alike]

    def states(self, stage: int = 0) -> Any:
        """Shapes, dtypes and places of the training states in a stage."""
        alike = [self.plan] * self.lanes
        states = jax.eval_shape(self.start, *self.copied((keys_of(alike), *starting(alike))))
        if stage:
            params = self.copied(stacked([each.stages[stage].params for each in alike]))
            states = jax.eval_shape(self.enter(stage), states, params)
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self.spread), states
        )

    @property
    def bytes(self) -> int:
        """What training takes of each device's memory, states and temporaries, as compiled."""
        stated = self.train_chunk().memory_analysis()
        return int(stated.argument_size_in_bytes + stated.temp_size_in_bytes)

    @functools.cached_property
    def evaluate_one(self) -> Any:
        """``(weights, keys, lane, level_set, reference, params) -> Evaluation`` of a lane a device.

        One run after another, as their intermediate results would not fit side by side; and one
        call after another. Mapped over runs inside one program on two CPU devices, XLA returned
        wrong values on some levels from the third run on (jaxlib 0.10.2).
        """
        plan = self.plan
        task = plan.task
        discount = jnp.float32(task.discount)

        def single(
            weights: Any, keys: Any, lane: Any, level_set: Any, reference: Any, params: Any
        ) -> evaluation.Evaluation:
            own, key = jax.tree.map(lambda leaf: leaf[lane], (weights, keys))
            policy = plan.agent.policy(task.env, plan.config, own)
            found = evaluation.evaluate(
                task.env, params, policy, level_set, reference, key, discount
            )
            return jax.tree.map(lambda leaf: leaf[None, None], found)

        runs, same = PartitionSpec(AXES[0]), PartitionSpec()
        mapped = jax.shard_map(
            single,
            mesh=self.mesh,
            in_specs=(runs, runs, same, same, same, same),
            out_specs=runs,
            check_vma=False,
        )
        return jax.jit(mapped)

    def evaluate(self, weights: Any, keys: Any, *shared: Any) -> evaluation.Evaluation:
        """Return the evaluation of every lane, given what :meth:`measured_on` returns."""
        lanes = self.lanes // self.mesh.shape[AXES[0]]
        each = [
            self.evaluate_one(weights, jax.random.clone(keys), jnp.int32(n), *shared)
            for n in range(lanes)
        ]
        return self._gathered(each)

    @functools.cached_property
    def _gathered(self) -> Any:
        """``lists of [devices, 1, ...] -> [lanes, ...]``, in the order of the lanes."""

        def gather(each: Any) -> Any:
            return jax.tree.map(
                lambda *leaves: jnp.concatenate(leaves, axis=1).reshape(-1, *leaves[0].shape[2:]),
                *each,
            )

        return jax.jit(gather, out_shardings=NamedSharding(self.mesh, PartitionSpec(AXES[0])))

    def measured_on(self, distribution: str) -> tuple[Any, Any]:
        """Return a distribution's level set, and the arguments of ``evaluate`` that it decides."""
        if distribution not in self._measured:
            task = self.plan.task
            level_set = levels.load(task, distribution)
            params = levels.parameters(task, distribution)
            reference = self.references(keys.key(0), level_set.levels, params)
            everywhere = NamedSharding(self.mesh, PartitionSpec())
            shared = put((level_set.levels, reference, params), everywhere)
            self._measured[distribution] = (level_set, shared)
        return self._measured[distribution]

    @functools.cached_property
    def references(self) -> Any:
        """``(key, level_set, params) -> Reference``: what agents are compared with."""
        task = self.plan.task
        discount = jnp.float32(task.discount)
        return jax.jit(
            lambda key, level_set, params: evaluation.references(
                task.env, params, level_set, key, discount
            )
        )

    @functools.cached_property
    def record(self) -> Any:
        """``(weights of one run, params) -> recorded episodes``."""
        plan = self.plan
        steps = min(plan.task.env.episode_steps, recording.LONGEST)

        def single(weights: Any, params: Any) -> Any:
            policy = plan.agent.policy(plan.task.env, plan.config, weights)
            return recording.record(plan.task.env, params, policy, keys.key(0), steps)

        return jax.jit(single)


def learner_of(plan: Plan) -> Learner:
    """Return how a plan's agent is trained; only agents that learn get here."""
    assert plan.agent.learner is not None
    return plan.agent.learner


_REMEMBERED: OrderedDict[Any, Compiled] = OrderedDict()


def compiled(plan: Plan, lanes: int, mesh: Mesh) -> Compiled:
    """Return the program's functions on the devices, those of an earlier group if there was one."""
    key = (plan.program, plan.agent, lanes, mesh)
    _REMEMBERED.setdefault(key, Compiled(plan, lanes, mesh))
    _REMEMBERED.move_to_end(key)
    while len(_REMEMBERED) > REMEMBERED:
        _REMEMBERED.popitem(last=False)
    return _REMEMBERED[key]


def keys_of(plans: Sequence[Plan]) -> Key[Array, " runs"]:
    """Return a key for each run, from its seed."""
    seeds = np.array([plan.spec.seed for plan in plans], np.uint32)
    implementation = plans[0].spec.keys
    return jax.vmap(lambda seed: keys.key(seed, implementation))(seeds)


def stacked(params: Sequence[Any]) -> Any:
    """Return the parameters of several runs with a leading run axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *params)


def starting(plans: Sequence[Plan]) -> tuple[Any, Any, Any]:
    """Return what may differ between runs of one program: parameters, rates, and the updates."""
    params = stacked([plan.stages[0].params for plan in plans])
    rates = {
        name: np.array([plan.rates[name] for plan in plans], np.float32) for name in plans[0].rates
    }
    return params, rates, np.full(len(plans), plans[0].updates, np.float32)

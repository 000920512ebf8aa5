"""How fast gmbench is on this machine: ``gmbench bench env | train | levels | solve``.

Each measurement compiles one program, runs it once unmeasured, then times it; every run goes on
from where the one before ended. All that the figure claims is done inside the timed program.
"""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

from gmbench.core import checks, pool, registry
from gmbench.core.env import EnvState
from gmbench.core.policy import uniform
from gmbench.core.task import Task
from gmbench.measure import exact
from gmbench.runs import spec
from gmbench.runs.train import PACKAGES

ROLLOUT = 128
"""Most steps of each environment between two refills of the pool of levels."""
SPARE = 1.5
"""Levels drawn for each episode that is expected to begin."""
TRAIN_ENVS, TRAIN_UPDATES = 32, 2
"""Most environments and updates of ``train`` on CPU, where convolutions in a loop crawl."""


def measure(
    what: str,
    task: str,
    static: Mapping[str, int | str],
    envs: int,
    steps: int,
    network: str,
    repeats: int,
) -> dict[str, Any]:
    """Measure one speed.

    - ``env``: ``steps_per_second`` of a batch of environments under random actions.
    - ``train``: ``steps_per_second`` of PPO, and of PPO on the same network written batch first
      with ``flax.linen``; ``ratio`` is ours to theirs. On CPU at most 32 environments take part.
    - ``levels``: ``levels_per_second`` of drawing levels.
    - ``solve``: ``solutions_per_second``, in (level, goal) pairs, of optimal values, and of the
      exact values of a policy where the task has them.

    Args:
        what: one of the above.
        task: task id.
        static: the task's static settings, such as its size.
        envs: environments, or levels, side by side.
        steps: of each environment in one repeat (``env``, ``train``); rounded to whole rollouts.
        network: the network of ``train``.
        repeats: timed repeats.

    Returns:
        What can be written as JSON: the median under the name above and all ``repeats``,
        ``compile_seconds``, ``settings``, ``device``, ``versions``, ``date``.

    Raises:
        ValueError: for an unknown name or a number out of range.
    """
    settings: dict[str, Any] = dict(locals())
    measurements: dict[str, Callable[..., dict[str, Any]]] = {
        "env": _environment,
        "train": _train,
        "levels": _levels,
        "solve": _solve,
    }
    checks.known("what", what, measurements)
    for name in ("envs", "steps", "repeats"):
        checks.integer(name, settings[name], 1, 10_000_000)
    began = datetime.now(UTC).isoformat(timespec="seconds")
    made = registry.make(task, **static)
    options = {"envs": envs, "steps": steps, "network": network, "repeats": repeats}
    device = jax.devices()[0]
    return {
        "what": settings.pop("what"),
        "settings": settings,
        **measurements[what](made, options),
        "device": {
            "platform": device.platform,
            "kind": device.device_kind,
            "cores": sorted(os.sched_getaffinity(0)),
        },
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "date": began,
    }


class _Timed(NamedTuple):
    """Seconds of compiling and of each repeat, and what the last repeat returned."""

    compile_seconds: float
    seconds: list[float]
    last: Any

    def speeds(self, amount: int, unit: str) -> dict[str, Any]:
        """Return the median speed and all of them, for an amount of work in each repeat."""
        each = [amount / seconds for seconds in self.seconds]
        return {
            f"{unit}_per_second": statistics.median(each),
            "repeats": each,
            "compile_seconds": self.compile_seconds,
        }


def _time(program: Callable[[Any], Any], start: Any, repeats: int) -> _Timed:
    """Time a program whose result is its next argument."""
    began = time.perf_counter()
    compiled = jax.jit(program, donate_argnums=0).lower(start).compile()
    compile_seconds = time.perf_counter() - began
    carry = jax.block_until_ready(compiled(start))
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        carry = jax.block_until_ready(compiled(carry))
        seconds.append(time.perf_counter() - began)
    return _Timed(compile_seconds, seconds, carry)


# ---- environments ----------------------------------------------------------------------------


class _Batch(NamedTuple):
    """What one step leaves behind. XLA must write it all at every step, for it is carried."""

    states: EnvState
    observation: Array
    reward: Array
    done: Array


class _Counts(NamedTuple):
    """Episodes that ended in one repeat, and how many went on to a level that was not fresh."""

    episodes: Array
    reused: Array


def _environment(task: Task, options: dict[str, Any]) -> dict[str, Any]:
    env, params, envs = task.env, task.training, options["envs"]
    rollouts = -(-options["steps"] // ROLLOUT)
    rollout = -(-options["steps"] // rollouts)
    key_length, key_levels, key_run = jax.random.split(jax.random.key(0), 3)
    slots = max(2, round(SPARE * rollout / _episode_length(task, key_length)))
    # Each stretch of a rollout has levels of its own: a level comes back only where one environment
    # ends two episodes within a stretch. Random windows, as in training, would repeat more often.
    slot = jnp.arange(rollout, dtype=jnp.int32) * slots // rollout
    in_slot = (slot[None] == jnp.arange(slots, dtype=jnp.int32)[:, None]).astype(jnp.float32)

    def step(levels: Any, batch: _Batch, inputs: tuple[Array, Array]) -> tuple[_Batch, Array]:
        start, action = inputs
        moved = pool.step(env, params, batch.states, action)
        states = pool.reset(env, moved.state, moved.done, pool.window(levels, start, envs))
        seen = pool.observe(env, states)
        return _Batch(states, seen, moved.reward, moved.done), moved.done

    def one_rollout(batch: _Batch, key: Array) -> tuple[_Batch, _Counts]:
        key_levels, key_actions = jax.random.split(key)
        levels = pool.fill(env, params, key_levels, slots * envs, envs)
        actions = jax.random.randint(key_actions, (rollout, envs), 0, env.num_actions, jnp.int32)
        inputs = (slot * envs, actions)
        batch, done = jax.lax.scan(lambda *given: step(levels, *given), batch, inputs)
        ended = in_slot @ done.astype(jnp.float32)
        return batch, _Counts(jnp.sum(ended), jnp.sum(jnp.maximum(ended - 1, 0)))

    def program(carry: tuple[Array, _Batch, _Counts]) -> tuple[Array, _Batch, _Counts]:
        key, batch, _ = carry
        key, key_rollouts = jax.random.split(key)
        batch, counts = jax.lax.scan(one_rollout, batch, jax.random.split(key_rollouts, rollouts))
        return key, batch, jax.tree.map(lambda each: jnp.sum(each.astype(jnp.int32)), counts)

    @jax.jit
    def begin(key: Array) -> _Batch:
        states = pool.begin(env, pool.draw(env, params, key, (envs,)))
        seen = pool.observe(env, states)
        return _Batch(states, seen, jnp.zeros(envs), jnp.zeros(envs, bool))

    start = (key_run, begin(key_levels), _Counts(jnp.int32(0), jnp.int32(0)))
    timed = _time(program, start, options["repeats"])
    _, batch, counts = timed.last
    return {
        **timed.speeds(envs * rollout * rollouts, "steps"),
        "steps": rollout * rollouts,
        "rollout": rollout,
        "slots": slots,
        "levels_drawn": slots * envs * rollouts,
        "episodes": int(counts.episodes),
        "episodes_on_reused_levels": int(counts.reused),
        "observation": {
            "shape": batch.observation.shape[:-1],
            "dtype": str(batch.observation.dtype),
            "bytes": batch.observation.nbytes // envs,
        },
    }


def _episode_length(task: Task, key: Array) -> float:
    """Return the mean length of 256 episodes of random actions, of at most one rollout each."""
    env, params = task.env, task.training

    @jax.jit
    def mean(key: Array) -> Array:
        key_levels, key_actions = jax.random.split(key)
        states = pool.begin(env, pool.draw(env, params, key_levels, (256,)))
        actions = jax.random.randint(key_actions, (ROLLOUT, 256), 0, env.num_actions, jnp.int32)

        def step(carry: tuple[EnvState, Array], action: Array) -> tuple[Any, Array]:
            states, live = carry
            moved = pool.step(env, params, states, action)
            return (moved.state, live & ~moved.done), live

        _, live = jax.lax.scan(step, (states, jnp.ones(256, bool)), actions)
        return jnp.mean(jnp.sum(live, axis=0, dtype=jnp.int32).astype(jnp.float32))

    return float(mean(key))


# ---- levels and solutions --------------------------------------------------------------------


def _levels(task: Task, options: dict[str, Any]) -> dict[str, Any]:
    def draw(key: Array) -> Any:
        return pool.draw(task.env, task.training, key, (options["envs"],))

    def program(carry: tuple[Array, Any]) -> tuple[Array, Any]:
        key, key_levels = jax.random.split(carry[0])
        return key, draw(key_levels)

    key_first, key_run = jax.random.split(jax.random.key(0))
    start = (key_run, jax.jit(draw)(key_first))
    return _time(program, start, options["repeats"]).speeds(options["envs"], "levels")


def _solve(task: Task, options: dict[str, Any]) -> dict[str, Any]:
    env, discount = task.env, jnp.float32(task.discount)
    solutions = options["envs"] * len(env.goal_names)
    draw = jax.jit(lambda key: pool.draw(env, task.training, key, (options["envs"],)))

    def speeds(program: Callable[[Any], Any]) -> dict[str, Any]:
        # The levels are drawn anew between repeats; only their solution is timed.
        found = _time_on(program, draw, options["repeats"]).speeds(solutions, "solutions")
        return found | {"milliseconds": 1e3 / found["solutions_per_second"]}

    result = speeds(pool.over_envs(lambda level: env.solve(level, discount)))
    random = uniform(env)
    if exact.can_evaluate(env, random):
        result["policy"] = speeds(lambda levels: exact.evaluate(env, random, levels, discount))
    return result


def _time_on(program: Callable[[Any], Any], draw: Callable[[Any], Any], repeats: int) -> _Timed:
    """Time a program on inputs drawn anew for each repeat; drawing them is not timed."""
    first, *keys = jax.random.split(jax.random.key(0), repeats + 1)
    inputs = draw(first)
    began = time.perf_counter()
    compiled = jax.jit(program).lower(inputs).compile()
    compile_seconds = time.perf_counter() - began
    last = jax.block_until_ready(compiled(inputs))
    seconds = []
    for key in keys:
        inputs = jax.block_until_ready(draw(key))
        began = time.perf_counter()
        last = jax.block_until_ready(compiled(inputs))
        seconds.append(time.perf_counter() - began)
    return _Timed(compile_seconds, seconds, last)


# ---- training --------------------------------------------------------------------------------


def _train(task: Task, options: dict[str, Any]) -> dict[str, Any]:
    network, envs = options["network"], options["envs"]
    agent = registry.make_agent("ppo")
    on_cpu = jax.default_backend() == "cpu"
    envs = min(envs, TRAIN_ENVS) if on_cpu else envs
    config = agent.config(network=network, envs=envs, minibatches=min(4, envs))
    updates = max(1, options["steps"] // config.rollout)
    updates = min(updates, TRAIN_UPDATES) if on_cpu else updates
    plan = spec.Plan(spec.RunSpec(task.id), task, task.training, agent, config)
    rates = {name: jnp.float32(rate) for name, rate in plan.rates.items()}
    params = jax.tree.map(jnp.asarray, task.training)
    # Far more updates to come than are timed, so that the learning rate stays as at the start.
    coming = jnp.float32(1e6)

    def speeds() -> dict[str, Any]:
        # Functions of its own for each network, or JAX would reuse what it traced for the other.
        def begin() -> Any:
            return agent.init(task.env, config, jax.random.key(0), params, rates, coming)

        def program(state: Any) -> Any:
            return agent.train_chunk(task.env, config, updates, state)[0]

        timed = _time(program, jax.jit(begin)(), options["repeats"])
        return timed.speeds(config.steps_per_update * updates, "steps")

    ours = speeds()
    with nn.intercept_methods(_in_linen):
        theirs = speeds()
    return {
        **ours,
        "envs": envs,
        "updates": updates,
        "steps": config.rollout * updates,
        "reference": theirs | {"network": f"{network} on flax.linen, batch first"},
        "ratio": ours["steps_per_second"] / theirs["steps_per_second"],
    }


def _in_linen(call: Any, given: Any, named: Any, context: nn.module.InterceptorContext) -> Any:
    """Compute a whole network by :func:`linen_network`, once it has weights."""
    network = context.module
    # The parent of a network is the scope of its weights, that of its layers the network.
    whole = hasattr(network, "num_actions") and not isinstance(network.parent, nn.Module)
    if not whole or context.method_name != "__call__" or network.is_initializing():
        return call(*given, **named)
    return linen_network(network, network.variables["params"], *given)


def linen_network(network: Any, weights: Any, observation: Array) -> tuple[Array, Array]:
    """Compute a network of ``gmbench.agents.networks`` as it is usually written in flax.

    The batch is the first axis, layers are those of ``flax.linen``. Weights have the same shapes;
    only the hidden layer behind convolutions reads its inputs in another order.

    Args:
        network: an MLP, or an Impala with its ``channels``, ``blocks`` and ``pool_above``.
        weights: its weights.
        observation: ``[rows, cols, channels, *batch]``.

    Returns:
        Logits ``f32[actions, *batch]`` and value ``f32[*batch]``.
    """
    shape = observation.shape[3:]
    planes = jnp.moveaxis(observation.reshape(*observation.shape[:3], -1), -1, 0)
    x = planes.astype(jnp.float32)
    convolutions = iter(range(len(weights)))

    def conv(x: Array, features: int) -> Array:
        named = {"params": weights[f"Conv3x3_{next(convolutions)}"]}
        return nn.Conv(features, (3, 3)).apply(named, x)  # type: ignore[return-value]

    def dense(name: str, inner: Any, x: Array) -> Array:
        layer = nn.Dense(inner[name]["bias"].size)
        return layer.apply({"params": inner[name]}, x)  # type: ignore[return-value]

    for features in getattr(network, "channels", ()):
        x = conv(x, features)
        if min(x.shape[1:3]) > network.pool_above:
            x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for _ in range(network.blocks):
            x = x + conv(nn.relu(conv(nn.relu(x), features)), features)
    if hasattr(network, "channels"):
        x = nn.relu(x)
    x = x.reshape(x.shape[0], -1)
    for name in sorted(name for name in weights if name.startswith("Dense")):
        x = nn.relu(dense(name, weights, x))
    heads = weights["Heads_0"]
    logits = dense("policy", heads, x).T.reshape(-1, *shape)
    return logits, dense("value", heads, x)[:, 0].reshape(shape)

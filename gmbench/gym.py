"""Gymnasium's door: tasks as ``gymnasium.Env`` and ``gymnasium.vector.VectorEnv``.

    envs = gmbench.gym.make("CheeseCorner-v0", num_envs=64, size=7)
    observations, _ = envs.reset(seed=0)

Importing this module also registers every task with Gymnasium:
``gymnasium.make("gmbench/CheeseCorner-v0")``. A batch is stepped by one compiled function; levels
are drawn from the task's distribution a pool at a time (:mod:`gmbench.core.pool`). Rewards are
those of training; ``info["goals"]`` says what each goal paid.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, SupportsFloat

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from gmbench import wrappers
from gmbench.core import checks, keys, pool, registry
from gmbench.core.env import Environment
from gmbench.core.params import EnvParams
from gmbench.core.task import Task

REFILL = 64
"""Steps of a batch after which its pool of levels is drawn anew."""
SLOTS = 4
"""Levels in a pool for each environment."""
FPS = 8
"""Frames a second of what is rendered."""


def make(
    id: str,
    *,
    shift: str = "training",
    num_envs: Any = None,
    view: str = wrappers.PLANES,
    params: Mapping[str, int | float] | None = None,
    output: str = "numpy",
    render_mode: str | None = None,
    **static: Any,
) -> "Env | VecEnv":
    """Return a task's environment for Gymnasium.

    Args:
        id: a task id.
        shift: distribution of its levels: ``training``, or the name of a shift.
        num_envs: environments in a ``VectorEnv``; without it, a single ``Env``.
        view: what the agent sees, as :func:`gmbench.wrap` takes it.
        params: parameters of the distribution that differ, such as ``{"alpha": 0.1}``.
        output: what a ``VectorEnv`` returns: NumPy arrays, or JAX's, which stay on the device and
            are read by ``torch.from_dlpack`` and the like.
        render_mode: ``rgb_array``, or None.
        **static: the task's static settings, such as ``size``.

    Raises:
        Refused: for anything unknown, or a value that is not allowed.
    """
    task = wrappers.wrap(registry.make(id, **static), view)
    chosen = task.shift(shift).override(**(params or {}))
    if render_mode is not None:
        checks.known("render_mode", render_mode, Env.metadata["render_modes"])
    if num_envs is None:
        return Env(task, chosen, render_mode)
    checks.known("output", output, ("numpy", "jax"))
    count = checks.integer("num_envs", num_envs, 1, 2**20)
    return VecEnv(task, chosen, count, output, render_mode)


def _spaces(task: Task) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Discrete[Any]]:
    dtype = np.dtype(task.env.observation_dtype)
    top = 1 if dtype.kind == "b" else 255
    shape = task.env.observation_shape
    # Gymnasium's own checks do not take booleans: planes are bytes of 0 and 1.
    return (
        gymnasium.spaces.Box(0, top, shape, np.uint8),
        gymnasium.spaces.Discrete(task.env.num_actions),
    )


def _seeded(generator: np.random.Generator) -> Any:
    return keys.key(int(generator.integers(keys.MOST_SEED)))


def _pictures(states: Any, env: Environment[Any, Any], count: int) -> tuple[np.ndarray, ...]:
    each = (jax.tree.map(lambda leaf, i=i: leaf[..., i], states) for i in range(count))
    return tuple(np.asarray(env.render(state)) for state in each)


class Env(gymnasium.Env[np.ndarray, Any]):
    """One environment of a task; each episode is on a freshly drawn level."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": FPS}  # noqa: RUF012 (Gymnasium's own)

    def __init__(self, task: Task, params: EnvParams, render_mode: str | None) -> None:
        """Compile nothing yet."""
        self.task, self.params, self.render_mode = task, params, render_mode
        self.observation_space, self.action_space = _spaces(task)
        self._state: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode on a freshly drawn level, or on ``options["level"]`` (in ASCII)."""
        super().reset(seed=seed)
        env = self.task.env
        if options and "level" in options:
            self._state = env.start(env.parse(options["level"]))
        else:
            self._state = _begun(env, self.params, _seeded(self.np_random), None)
        seen = np.asarray(env.observation(self._state)).astype(np.uint8)
        return seen, {"goals": np.zeros(len(env.goal_names), np.float32)}

    def step(self, action: Any) -> tuple[np.ndarray, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step once.

        Raises:
            Refused: before the first reset, and for an action that does not exist.
        """
        if self._state is None:
            raise checks.Refused("step: reset begins the first episode")
        _exists(self.task.env, np.asarray(action))
        stepped = _stepped(
            self.task.env, self.params, self._state, np.int32(action), _seeded(self.np_random)
        )
        self._state, seen, reward, goals, terminated, truncated = stepped
        info = {"goals": np.asarray(goals)}
        return np.asarray(seen), float(reward), bool(terminated), bool(truncated), info

    def render(self) -> Any:
        """Return the state as a picture, ``u8[height, width, 3]``, with that render mode."""
        if self.render_mode is None or self._state is None:
            return None
        return np.asarray(self.task.env.render(self._state))


class VecEnv(VectorEnv[Any, Any, Any]):
    """A batch of environments of a task, stepped by one compiled function.

    An environment whose episode has ended begins the next one with the next step, whose action it
    ignores (Gymnasium's next-step autoreset).
    """

    metadata = {  # noqa: RUF012 (Gymnasium's own)
        "render_modes": ["rgb_array"],
        "render_fps": FPS,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self, task: Task, params: EnvParams, num_envs: int, output: str, render_mode: str | None
    ) -> None:
        """Compile nothing yet."""
        self.task, self.params, self.num_envs = task, params, num_envs
        self.output, self.render_mode = output, render_mode
        self.single_observation_space, self.single_action_space = _spaces(task)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._carry: Any = None
        self._levels: Any = None
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in every environment, on freshly drawn levels."""
        del options
        super().reset(seed=seed)
        env = self.task.env
        states = _begun(env, self.params, _seeded(self.np_random), self.num_envs)
        done = jnp.zeros(self.num_envs, bool)
        self._carry = states, done, _seeded(self.np_random)
        self._levels = self._drawn()
        self._steps = 0
        nothing = jnp.zeros((self.num_envs, len(env.goal_names)), jnp.float32)
        return self._out(_seen(env, states)), self._info(nothing)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step every environment.

        Args:
            actions: a whole number for each environment.

        Raises:
            Refused: before the first reset, and for actions that do not exist.
        """
        if self._carry is None:
            raise checks.Refused("step: reset begins the first episodes")
        if not isinstance(actions, jax.Array):
            actions = np.asarray(actions)
            _exists(self.task.env, actions)
        if actions.shape != (self.num_envs,):
            raise checks.Refused(
                f"actions: their shape is {actions.shape}, ({self.num_envs},) is needed"
            )
        self._steps += 1
        if self._steps % REFILL == 0:
            self._levels = self._drawn()
        given = self._carry, self._levels, actions
        self._carry, goals, *out = _stepped_all(self.task.env, self.params, *given)
        return *map(self._out, out), self._info(goals)

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return the states as pictures, with that render mode."""
        if self.render_mode is None or self._carry is None:
            return None
        return _pictures(self._carry[0], self.task.env, self.num_envs)

    def close_extras(self, **kwargs: Any) -> None:
        """Let go of the states."""
        del kwargs
        self._carry = None

    def _drawn(self) -> Any:
        return _filled(
            self.task.env,
            self.params,
            _seeded(self.np_random),
            SLOTS * self.num_envs,
            self.num_envs,
        )

    def _out(self, array: Any) -> Any:
        return array if self.output == "jax" else np.asarray(array)

    def _info(self, goals: Any) -> dict[str, Any]:
        return {"goals": self._out(goals), "_goals": np.ones(self.num_envs, bool)}


def _exists(env: Environment[Any, Any], actions: np.ndarray) -> None:
    """Refuse actions that do not exist."""
    if not np.issubdtype(actions.dtype, np.integer):
        raise checks.Refused(f"action: {actions.dtype} is not a kind of whole number")
    if actions.size and (actions.min() < 0 or actions.max() >= env.num_actions):
        odd = actions[(actions < 0) | (actions >= env.num_actions)].flat[0]
        raise checks.Refused(f"action: {odd} does not exist (allowed: 0 to {env.num_actions - 1})")


def _seen(env: Environment[Any, Any], states: Any) -> Any:
    """Return observations ``u8[envs, rows, cols, channels]``."""
    return jnp.moveaxis(pool.observe(env, states), -1, 0).astype(jnp.uint8)


@partial(jax.jit, static_argnames=("env", "count"))
def _begun(env: Environment[Any, Any], params: EnvParams, key: Any, count: int | None) -> Any:
    if count is None:
        return env.start(env.sample_level(key, params))
    return pool.begin(env, pool.draw(env, params, key, (count,)))


@partial(jax.jit, static_argnames=("env", "count", "envs"))
def _filled(env: Environment[Any, Any], params: EnvParams, key: Any, count: int, envs: int) -> Any:
    return pool.fill(env, params, key, count, envs)


@partial(jax.jit, static_argnames="env")
def _stepped(
    env: Environment[Any, Any], params: EnvParams, state: Any, action: Any, key: Any
) -> Any:
    seen, after, reward, terminated, info = env.step_env(key, state, action, params)
    truncated = env.is_truncated(after, params)
    return after, seen.astype(jnp.uint8), reward, info["goals"], terminated, truncated


@partial(jax.jit, static_argnames="env", donate_argnames="carry")
def _stepped_all(
    env: Environment[Any, Any], params: EnvParams, carry: Any, levels: Any, actions: Any
) -> Any:
    """Step environments that are under way; those that had ended begin their next episode.

    Args:
        env: the environment.
        params: of the distribution.
        carry: states, whether each has ended, and a key.
        levels: a pool to begin episodes on.
        actions: one for each.
    """
    states, done, key = carry
    envs = done.shape[0]
    key, key_window, key_step = jax.random.split(key, 3)
    start = jax.random.randint(key_window, (), 0, SLOTS * envs)
    fresh = pool.window(levels, start, envs)
    each = jax.random.split(key_step, envs)
    moved = pool.step(env, params, states, actions, each)
    begun = pool.begin(env, fresh)
    after = jax.tree.map(partial(jnp.where, done), begun, moved.state)
    going = ~done
    reward = jnp.where(done, jnp.float32(0), moved.reward)
    goals = jnp.where(done[None], jnp.float32(0), moved.goals).T
    terminated, truncated = moved.terminated & going, moved.truncated & going
    ended = terminated | truncated
    return (after, ended, key), goals, _seen(env, after), reward, terminated, truncated


def register() -> None:
    """Register every task with Gymnasium, as ``gmbench/ID``; those that are there stay."""
    for id in registry.task_ids():
        name = f"gmbench/{id}"
        if name not in gymnasium.registry:
            # Named, not passed: a specification with functions in it cannot be stored.
            made = f"{__name__}:make"
            gymnasium.register(name, entry_point=made, vector_entry_point=made, kwargs={"id": id})


register()

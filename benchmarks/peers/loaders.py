"""How the peers' environments and training are loaded, each behind the same few functions.

This runs in a peer's process, whose interpreter has the peer but not gmbench, and is imported where
there is neither: JAX and the peers are imported where they are used.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SIZE = 13
TRAIN_ENVS, TRAIN_ROLLOUT, TRAIN_EPOCHS, TRAIN_MINIBATCHES = 64, 128, 4, 8
TRAIN_HIDDEN = (128, 128, 128)
WALLS = 25
"""Walls of jaxued's mazes, as many as in its own examples."""


@dataclass(frozen=True)
class Batch:
    """A batch of one peer's environments, behind the same three functions for every peer.

    Attributes:
        actions: number of discrete actions.
        reset: ``keys[n] -> timesteps``, the first timesteps of ``n`` environments.
        step: ``(key, timesteps, i32[n]) -> timesteps``, with the peer's own auto-reset.
        observation: ``timesteps -> Array[n, ...]``, the observation within the timesteps.
    """

    actions: int
    reset: Callable[[Any], Any]
    step: Callable[[Any, Any, Any], Any]
    observation: Callable[[Any], Any]


@dataclass(frozen=True)
class Program:
    """What is timed: one function, applied again and again to what it returned.

    Attributes:
        start: its first argument.
        advance: the function.
        steps: environment steps, summed over the environments, of each application.
        observation: the observations within what it returns; none are reported without.
    """

    start: Any
    advance: Callable[[Any], Any]
    steps: int
    observation: Callable[[Any], Any] | None = None


# ---- environments ----------------------------------------------------------------------------


def load_xland_minigrid(task: str) -> Batch:
    """Return a batch of xland-minigrid environments, which reset within the step that ends."""
    import jax
    import xminigrid  # type: ignore[import-not-found]
    from xminigrid.wrappers import GymAutoResetWrapper  # type: ignore[import-not-found]

    env, params = xminigrid.make(task)
    env = GymAutoResetWrapper(env)
    reset = jax.vmap(env.reset, in_axes=(None, 0))
    step = jax.vmap(env.step, in_axes=(None, 0, 0))
    return Batch(
        actions=env.num_actions(params),
        reset=lambda keys: reset(params, keys),
        step=lambda _, timesteps, actions: step(params, timesteps, actions),
        observation=lambda timesteps: timesteps.observation,
    )


def load_navix(task: str) -> Batch:
    """Return a batch of navix environments, which spend the step after an end on the reset."""
    import jax
    import navix  # type: ignore[import-not-found]

    env = navix.make(task)
    step = jax.vmap(env.step)
    return Batch(
        actions=len(env.action_set),
        reset=jax.vmap(env.reset),
        step=lambda _, timesteps, actions: step(timesteps, actions),
        observation=lambda timesteps: timesteps.observation,
    )


def batch_of(
    actions: int, reset: Callable[[Any], Any], step: Callable[[Any, Any, Any], Any]
) -> Batch:
    """Return a batch of environments in the manner of gymnax.

    Args:
        actions: number of discrete actions.
        reset: ``key -> (observation, state)`` of one environment.
        step: ``(key, state, action) -> (observation, state, reward, done, ...)`` of one, with an
            auto-reset. Keys are arrays of integers, as these projects expect them.

    Returns:
        The batch; what a step returns beyond ``done`` is dropped.
    """
    import jax

    def reset_all(keys: Any) -> Any:
        observation, state = jax.vmap(reset)(jax.random.key_data(keys))
        reward = jax.numpy.zeros(keys.shape)
        return observation, state, reward, reward > 0

    def step_all(key: Any, timesteps: Any, actions: Any) -> Any:
        keys = jax.random.key_data(jax.random.split(key, actions.shape[0]))
        return jax.vmap(step)(keys, timesteps[1], actions)[:4]

    return Batch(actions, reset_all, step_all, lambda timesteps: jax.tree.leaves(timesteps[0])[0])


def load_gymnax(task: str) -> Batch:
    """Return a batch of gymnax environments, which compute a reset at every step and select."""
    import gymnax

    env, params = gymnax.make(task)

    def step(key: Any, state: Any, action: Any) -> Any:
        observation, state, reward, terminated, truncated, _ = env.step(key, state, action, params)
        return observation, state, reward, terminated | truncated

    return batch_of(env.num_actions, lambda key: env.reset(key, params), step)


def load_craftax(task: str) -> Batch:
    """Return a batch of Craftax environments, which compute a reset at every step and select."""
    from craftax.craftax_env import make_craftax_env_from_name  # type: ignore[import-not-found]

    env = make_craftax_env_from_name(task, auto_reset=True)
    params = env.default_params
    return batch_of(
        env.num_actions,
        reset=lambda key: env.reset(key, params),
        step=lambda key, state, action: env.step(key, state, action, params),
    )


def load_kinetix() -> Batch:
    """Return a batch of Kinetix's small worlds, which draw another at every step and select."""
    from kinetix.environment import (  # type: ignore[import-not-found]
        ActionType,
        EnvParams,
        ObservationType,
        make_kinetix_env,
        static_env_params_from_size,
    )
    from kinetix.environment.ued.ued import (  # type: ignore[import-not-found]
        make_reset_fn_sample_kinetix_level,
    )

    params, static = EnvParams(), static_env_params_from_size("s")
    draw = make_reset_fn_sample_kinetix_level(params, static)
    kinds = ActionType.DISCRETE, ObservationType.SYMBOLIC_FLAT
    env = make_kinetix_env(*kinds, draw, params, static)
    return batch_of(
        env.action_space(params).n,
        reset=lambda key: env.reset(key, params),
        step=lambda key, state, action: env.step(key, state, action, params),
    )


def load_jaxued(fresh: bool) -> Batch:
    """Return a batch of jaxued's mazes, under its wrapper that draws or the one that replays.

    jaxued calls ``jax.tree_map``, which JAX has since renamed. The old name is put back here, for
    on the JAX that still had it jaxued is several times slower, which would flatter gmbench.
    """
    import jax

    jax.tree_map = jax.tree.map  # type: ignore[attr-defined]
    from jaxued.environments import Maze  # type: ignore[import-not-found]
    from jaxued.environments.maze import make_level_generator  # type: ignore[import-not-found]
    from jaxued.wrappers import (  # type: ignore[import-not-found]
        AutoReplayWrapper,
        AutoResetWrapper,
    )

    maze = Maze(max_height=SIZE, max_width=SIZE)
    draw = make_level_generator(SIZE, SIZE, WALLS)
    env = AutoResetWrapper(maze, draw) if fresh else AutoReplayWrapper(maze)
    params = env.default_params

    def reset(key: Any) -> Any:
        key_level, key_reset = jax.random.split(key)
        return env.reset_to_level(key_reset, draw(key_level), params)

    return batch_of(
        env.action_space(params).n,
        reset=reset,
        step=lambda key, state, action: env.step(key, state, action, params),
    )


def load_jaxgmg(fresh: bool) -> Batch:
    """Return a batch of jaxgmg's cheese in the corner; it replays levels, drawing them is ours."""
    import jax
    from jaxgmg.environments import cheese_in_the_corner  # type: ignore[import-not-found]
    from jaxgmg.procgen import maze_generation  # type: ignore[import-not-found]

    env = cheese_in_the_corner.Env(automatically_reset=not fresh)
    levels = cheese_in_the_corner.LevelGenerator(
        height=SIZE, width=SIZE, maze_generator=maze_generation.BlockMazeGenerator()
    )
    wants_key = "rng" in inspect.signature(env.reset_to_level).parameters  # its branches differ

    def reset(key: Any) -> Any:
        key_level, key_reset = jax.random.split(key)
        more = {"rng": key_reset} if wants_key else {}
        return env.reset_to_level(level=levels.sample(key_level), **more)

    def step(key: Any, state: Any, action: Any) -> Any:
        key_step, key_reset = jax.random.split(key)
        observation, state, reward, done, _ = env.step(key_step, state, action)
        if fresh:
            observation, state = jax.tree.map(
                lambda new, old: jax.numpy.where(done, new, old),
                reset(key_reset),
                (observation, state),
            )
        return observation, state, reward, done

    return batch_of(env.num_actions, reset, step)


# ---- training --------------------------------------------------------------------------------


def load_rejax(task: str) -> Program:
    """Return PPO of rejax without its evaluations: each application is one update."""
    import jax
    from rejax import PPO  # type: ignore[import-not-found]

    algorithm = PPO.create(
        env=task,
        num_envs=TRAIN_ENVS,
        num_steps=TRAIN_ROLLOUT,
        num_epochs=TRAIN_EPOCHS,
        num_minibatches=TRAIN_MINIBATCHES,
        agent_kwargs={"hidden_layer_sizes": TRAIN_HIDDEN},
    )
    start = algorithm.init_state(jax.random.PRNGKey(0))
    return Program(start, algorithm.train_iteration, TRAIN_ENVS * TRAIN_ROLLOUT)

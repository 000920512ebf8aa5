"""Rollouts: environments stepped side by side, reset out of a pool of levels.

The player acts, unless a teacher is given: then the teacher does, and its actions are noted.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.mitigation import Mitigation
from gmbench.measure.rollouts import draw

from . import curriculum
from .objective import over_devices
from .player import Player, Step, where


class Teacher(NamedTuple):
    """Who acts in the player's place.

    Attributes:
        begin: ``levels -> plans``, what is known of each level.
        act: ``(plans, states, observations, key) -> (actions i8[envs], done i8[envs])``: the
            actions to be learned, and those that are taken.
    """

    begin: Callable[[Level], Any]
    act: Callable[[Any, EnvState, Array, PRNGKeyArray], tuple[Array, Array]]


def collect(
    player: Player,
    env: Environment[Any, Any],
    config: Any,
    mitigation: Mitigation,
    state: Any,
    key: PRNGKeyArray,
    teacher: Teacher | None = None,
) -> tuple[Any, Step, Float[Array, " envs"], dict[str, Array]]:
    """Step every environment ``config.num_steps`` times with the current policy, or a teacher."""
    envs = config.share
    key_levels, key_starts, key_actions = jax.random.split(key, 3)
    count = config.slots * envs
    state, levels = curriculum.filled(env, mitigation, state, key_levels, count, envs)
    starts = jax.random.randint(key_starts, (config.num_steps,), 0, count)
    chances = jax.random.uniform(key_actions, (config.num_steps, envs))
    begin = teacher.begin if teacher else lambda levels: ()
    levels, plans = (levels[0], begin(levels[0]), *levels[1:]), begin(state.envs.level)
    lessons = _keys(key_actions, 2, config.num_steps) if teacher else None
    sights, last_sight = _sights(mitigation, key_actions, config.num_steps)
    act = partial(player.act, state.weights)
    unremembering = player.begin(envs)

    def step(carry: tuple[Any, ...], inputs: tuple[Any, ...]) -> tuple[Any, Step]:
        states, memory, earned, totals, told, plans = carry
        place, chance, sight, lesson = inputs
        observation = _seen(env, mitigation, states, sight)
        logits, value, memory, _ = act(memory, observation)
        log_probs = jax.nn.log_softmax(logits, axis=0)
        action = done = draw(log_probs, chance)
        if teacher:
            action, done = teacher.act(plans, states, observation, lesson)
        cut_off = pool.over_envs(env.is_truncated, in_axes=(-1, None))(states, state.params)
        moved = pool.step(env, state.params, states, done)
        reward = moved.reward
        if mitigation.reward:
            reward = pool.over_envs(mitigation.reward)(states, done, moved.state, reward)
        live = ~cut_off
        nothing = jnp.float32(0)
        earned = earned + jnp.where(live[None], moved.goals, nothing)
        ended = cut_off | moved.terminated
        totals = (
            totals[0] + jnp.sum(jnp.where(ended[None], earned, nothing), axis=1),
            totals[1] + jnp.sum(ended, dtype=jnp.int32),
            totals[2] + jnp.sum(live, dtype=jnp.int32),
        )
        fresh, planned, *about = pool.window(levels, place, envs)
        before, states = states.level, pool.reset(env, moved.state, ended, fresh)
        plans = where(~same(before, states.level), planned, plans) if teacher else plans
        log_prob = jnp.take_along_axis(log_probs, action[None].astype(jnp.int32), axis=0)[0]
        memory = where(ended, unremembering, memory)
        noted = curriculum.noted(told, reward, live, ended, earned, state.rates)
        out = Step(observation, action, log_prob, value, reward, moved.terminated, live, noted)
        told = curriculum.following(env, noted, ended, about)
        return (states, memory, jnp.where(ended[None], nothing, earned), totals, told, plans), out

    nothing = jnp.zeros(len(env.goal_names), jnp.float32), jnp.int32(0), jnp.int32(0)
    told = state.curriculum.told if state.curriculum else ()
    first = (state.envs, state.memory, state.earned, nothing, told, plans)
    carried, steps = jax.lax.scan(step, first, (starts, chances, sights, lessons))
    states, memory, earned, totals, told, _ = carried
    _, last_value, *_ = act(memory, _seen(env, mitigation, states, last_sight))
    metrics = _metrics(env, config, steps, totals)
    state = state.replace(envs=states, memory=memory, earned=earned)
    if state.curriculum:
        state = state.replace(curriculum=state.curriculum._replace(told=told))
    return state, steps, last_value, metrics


def _sights(mitigation: Mitigation, key: PRNGKeyArray, steps: int) -> tuple[Any, Any]:
    """Return keys for what is seen, of each step and after the last; none where none is needed."""
    if mitigation.observe is None:
        return None, None
    sights = _keys(key, 1, steps + 1)
    return sights[:-1], sights[-1]


def _keys(key: PRNGKeyArray, place: int, count: int) -> Any:
    """Return keys that no other place of the rollout draws from."""
    return jax.random.split(jax.random.fold_in(key, place), count)


def _seen(env: Environment[Any, Any], mitigation: Mitigation, states: Any, sight: Any) -> Array:
    """Return what the network sees of a batch of states."""
    plain = pool.observe(env, states)
    return mitigation.observe(sight, plain) if mitigation.observe else plain


def same(these: Level, those: Level) -> Bool[Array, " envs"]:
    """Whether levels are equal."""

    def alike(one: Level, other: Level) -> Array:
        equal = jax.tree.map(lambda *leaves: jnp.all(jnp.equal(*leaves)), one, other)
        return jnp.all(jnp.stack(jax.tree.leaves(equal)))

    return pool.over_envs(alike)(these, those)


def _metrics(
    env: Environment[Any, Any], config: Any, steps: Step, totals: tuple[Any, ...]
) -> dict[str, Array]:
    """Return means over the episodes that ended, and over the live steps."""
    rewarded = jnp.sum(steps.reward * steps.live.astype(jnp.float32))
    paid, episodes, live_steps, rewarded = over_devices(jax.lax.psum, config, (*totals, rewarded))
    count = episodes.astype(jnp.float32)
    live = live_steps.astype(jnp.float32)
    metrics = {f"return/{name}": paid[i] / count for i, name in enumerate(env.goal_names)}
    return metrics | {"episodes": count, "length": live / count, "reward": rewarded / live}

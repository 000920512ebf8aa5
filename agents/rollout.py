"""The rollouts of PPO: environments stepped side by side, reset out of a pool of levels.

Without a mitigation the pool is filled with fresh levels. A mitigation's level source fills it
otherwise, and is told what became of each; its state and the running sums of the episodes are the
training state's ``curriculum``, empty where nothing asks for them.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Environment, Level
from gmbench.core.mitigation import Experience, Mitigation
from gmbench.core.params import EnvParams
from gmbench.measure.rollouts import draw

from .objective import named, over_devices
from .player import Player, Step, policy


class Told(NamedTuple):
    """What each environment's episode has come to, its level's id, and whether it is learned from.

    Attributes:
        gamma_t: the discount of the next step's reward.
    """

    ids: Int[Array, " envs"]
    learn: Bool[Array, " envs"]
    gamma_t: Float[Array, " envs"]
    discounted: Float[Array, " envs"]
    total: Float[Array, " envs"]
    goals: Float[Array, "goals envs"]
    length: Int[Array, " envs"]
    ended: Bool[Array, " envs"]


class Curriculum(NamedTuple):
    """A level source's state, and what is known of the episodes in progress."""

    source: Any
    told: Told


def untold(env: Environment[Any, Any], envs: int) -> Told:
    """Return what is known of episodes on levels that no source drew."""
    nothing = jnp.zeros(envs, jnp.float32)
    return Told(
        ids=jnp.full(envs, -1, jnp.int32),
        learn=jnp.ones(envs, bool),
        gamma_t=jnp.ones(envs, jnp.float32),
        discounted=nothing,
        total=nothing,
        goals=jnp.zeros((len(env.goal_names), envs), jnp.float32),
        length=jnp.zeros(envs, jnp.int32),
        ended=jnp.zeros(envs, bool),
    )


def curriculum(
    env: Environment[Any, Any],
    mitigation: Mitigation,
    key: PRNGKeyArray,
    params: EnvParams,
    envs: int,
) -> Any:
    """Return the start of what a mitigation is told; nothing if it has no source and no log."""
    if not (mitigation.levels or mitigation.log):
        return ()
    source = mitigation.levels.init(key, params) if mitigation.levels else None
    return Curriculum(source, untold(env, envs))


def first_levels(
    env: Environment[Any, Any],
    mitigation: Mitigation,
    key: PRNGKeyArray,
    params: EnvParams,
    envs: int,
    begun: Any,
) -> tuple[Level, Any]:
    """Return the levels that training begins on, and the curriculum after drawing them."""
    if mitigation.levels is None:
        return pool.draw(env, params, key, (envs,)), begun
    drawn, source = mitigation.levels.draw(key, begun.source, params, envs)
    told = begun.told._replace(ids=drawn.ids, learn=drawn.learn)
    return drawn.levels, Curriculum(source, told)


def collect(
    player: Player,
    env: Environment[Any, Any],
    config: Any,
    mitigation: Mitigation,
    state: Any,
    key: PRNGKeyArray,
) -> tuple[Any, Step, Float[Array, " envs"], dict[str, Array]]:
    """Step every environment ``config.num_steps`` times with the current policy."""
    envs = config.share
    key_levels, key_starts, key_actions = jax.random.split(key, 3)
    count = config.slots * envs
    state, levels = _filled(env, mitigation, state, key_levels, count, envs)
    starts = jax.random.randint(key_starts, (config.num_steps,), 0, count)
    chances = jax.random.uniform(key_actions, (config.num_steps, envs))
    sights, last_sight = _sights(mitigation, key_actions, config.num_steps)
    act = partial(player.act, state.weights)
    unremembering = player.begin(envs)

    def step(carry: tuple[Any, ...], inputs: tuple[Any, Any, Any]) -> tuple[Any, Step]:
        states, memory, earned, totals, told = carry
        place, chance, sight = inputs
        observation = _seen(env, mitigation, states, sight)
        logits, value, memory, _ = act(memory, observation)
        log_probs = jax.nn.log_softmax(logits, axis=0)
        action = draw(log_probs, chance)
        cut_off = pool.over_envs(env.is_truncated, in_axes=(-1, None))(states, state.params)
        moved = pool.step(env, state.params, states, action)
        reward = moved.reward
        if mitigation.reward:
            reward = pool.over_envs(mitigation.reward)(states, action, moved.state, reward)
        live = ~cut_off
        nothing = jnp.float32(0)
        earned = earned + jnp.where(live[None], moved.goals, nothing)
        ended = cut_off | moved.terminated
        totals = (
            totals[0] + jnp.sum(jnp.where(ended[None], earned, nothing), axis=1),
            totals[1] + jnp.sum(ended, dtype=jnp.int32),
            totals[2] + jnp.sum(live, dtype=jnp.int32),
        )
        fresh, *about = pool.window(levels, place, envs)
        states = pool.reset(env, moved.state, ended, fresh)
        log_prob = jnp.take_along_axis(log_probs, action[None].astype(jnp.int32), axis=0)[0]
        memory = jax.tree.map(partial(jnp.where, ended), unremembering, memory)
        noted = _noted(told, reward, live, ended, earned, state.rates)
        out = Step(observation, action, log_prob, value, reward, moved.terminated, live, noted)
        told = _next(env, noted, ended, about)
        return (states, memory, jnp.where(ended[None], nothing, earned), totals, told), out

    nothing = jnp.zeros(len(env.goal_names), jnp.float32), jnp.int32(0), jnp.int32(0)
    told = state.curriculum.told if state.curriculum else ()
    first = (state.envs, state.memory, state.earned, nothing, told)
    carried, steps = jax.lax.scan(step, first, (starts, chances, sights))
    states, memory, earned, totals, told = carried
    _, last_value, *_ = act(memory, _seen(env, mitigation, states, last_sight))
    metrics = _metrics(env, config, steps, totals)
    state = state.replace(envs=states, memory=memory, earned=earned)
    if state.curriculum:
        state = state.replace(curriculum=state.curriculum._replace(told=told))
    return state, steps, last_value, metrics


def tell(
    player: Player,
    env: Environment[Any, Any],
    config: Any,
    mitigation: Mitigation,
    state: Any,
    steps: Step,
    advantages: Float[Array, "rollout envs"],
    key: PRNGKeyArray,
) -> tuple[Any, dict[str, Array]]:
    """Tell a level source what a rollout showed; return the state and what is to be logged."""
    if not state.curriculum:
        return state, {}
    told = steps.told
    experience = Experience(
        ids=told.ids,
        live=steps.live,
        ended=told.ended,
        reward=steps.reward,
        value=steps.value,
        advantage=advantages,
        discounted=told.discounted,
        total=told.total,
        goals=jnp.moveaxis(told.goals, 1, 0),
        length=told.length,
        gamma=jnp.asarray(state.rates["gamma"], jnp.float32),
    )
    source = state.curriculum.source
    if mitigation.levels:
        source = mitigation.levels.update(key, source, experience)
        if mitigation.levels.consult:
            asked = policy(env, player, state.weights)
            own = jax.random.fold_in(key, 1)
            source = mitigation.levels.consult(own, source, asked, experience.gamma)
    logged = mitigation.log(source, experience) if mitigation.log else {}
    if mitigation.levels:  # every step is paid for, also those that nothing is learned from
        learned = jnp.sum(told.learn & steps.live) / jnp.sum(steps.live)
        logged = {"learned": learned.astype(jnp.float32), **logged}
    logged = over_devices(jax.lax.pmean, config, named(logged))
    return state.replace(curriculum=state.curriculum._replace(source=source)), logged


def _sights(mitigation: Mitigation, key: PRNGKeyArray, steps: int) -> tuple[Any, Any]:
    """Return keys for what is seen, of each step and after the last; none where none is needed."""
    if mitigation.observe is None:
        return None, None
    sights = jax.random.split(jax.random.fold_in(key, 1), steps + 1)
    return sights[:-1], sights[-1]


def _seen(env: Environment[Any, Any], mitigation: Mitigation, states: Any, sight: Any) -> Array:
    """Return what the network sees of a batch of states."""
    plain = pool.observe(env, states)
    return mitigation.observe(sight, plain) if mitigation.observe else plain


def _filled(
    env: Environment[Any, Any],
    mitigation: Mitigation,
    state: Any,
    key: PRNGKeyArray,
    count: int,
    envs: int,
) -> tuple[Any, tuple[Any, ...]]:
    """Return the pool of levels; those of a source with their ids, and whether to learn on them."""
    if mitigation.levels is None:
        about = (jnp.full(count, -1, jnp.int32), jnp.ones(count, bool)) if state.curriculum else ()
        fresh = pool.fill(env, state.params, key, count, envs)
        return state, (fresh, *pool.repeated(about, envs))
    drawn, source = mitigation.levels.draw(key, state.curriculum.source, state.params, count)
    state = state.replace(curriculum=state.curriculum._replace(source=source))
    return state, tuple(pool.repeated(drawn, envs))


def _noted(
    told: Any,
    reward: Float[Array, " envs"],
    live: Bool[Array, " envs"],
    ended: Bool[Array, " envs"],
    earned: Float[Array, "goals envs"],
    rates: dict[str, Any],
) -> Any:
    """Return what the episodes have come to with this step."""
    if not told:
        return ()
    paid = jnp.where(live, reward, jnp.float32(0))
    return told._replace(
        discounted=told.discounted + told.gamma_t * paid,
        gamma_t=told.gamma_t * rates["gamma"],
        total=told.total + paid,
        goals=earned,
        length=told.length + live.astype(jnp.int32),
        ended=ended,
    )


def _next(env: Environment[Any, Any], noted: Any, ended: Bool[Array, " envs"], about: Any) -> Any:
    """Return what is known before the next step: of a new episode where one has ended."""
    if not noted:
        return ()
    ids, learn = about
    fresh = untold(env, ended.shape[0])._replace(ids=ids, learn=learn)
    return jax.tree.map(partial(jnp.where, ended), fresh, noted)


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

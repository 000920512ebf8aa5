"""What a mitigation's level source draws and is told: the pool of levels, and what became of each.

Without a source the pool is filled with fresh levels. The source's state and the running sums of
the episodes are the training state's ``curriculum``, empty where nothing asks for them.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Environment, Level
from gmbench.core.mitigation import Experience, Mitigation
from gmbench.core.params import EnvParams

from .objective import named, over_devices
from .player import Player, Step, policy, where


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


def begun(
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
        next_ids=state.curriculum.told.ids,
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


def filled(
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


def noted(
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


def following(
    env: Environment[Any, Any], noted: Any, ended: Bool[Array, " envs"], about: Any
) -> Any:
    """Return what is known before the next step: of a new episode where one has ended."""
    if not noted:
        return ()
    ids, learn = about
    fresh = untold(env, ended.shape[0])._replace(ids=ids, learn=learn)
    return where(ended, fresh, noted)

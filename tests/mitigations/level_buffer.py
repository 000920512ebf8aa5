"""A level buffer by regret: half of the levels played are those with the largest estimates."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gmbench.core import pool, registry
from gmbench.core.mitigation import Drawn, LevelSource, Mitigation, Recipe, per_level


class Buffer(NamedTuple):
    levels: Any
    score: Any
    visits: Any


@dataclasses.dataclass(frozen=True)
class Config:
    replay: float = 0.5
    size: int = 16


def level_buffer(env, config):
    def init(key, params):
        levels = pool.draw(env, params, key, (config.size,))
        return Buffer(levels, jnp.zeros(config.size), jnp.zeros(config.size))

    def draw(key, state, params, count):
        key_fresh, key_place, key_mix, key_enter = jax.random.split(key, 4)
        fresh = pool.draw(env, params, key_fresh, (config.size,))
        # A fresh level takes the place of the one with the least score that was visited.
        enters = (state.visits > 0) & (state.score <= jnp.median(state.score))
        levels = jax.tree.map(lambda new, old: jnp.where(enters, new, old), fresh, state.levels)
        score = jnp.where(enters, jnp.float32(0), state.score)
        visits = jnp.where(enters, jnp.float32(0), state.visits)
        by_rank = jnp.argsort(-score)[: config.size // 2]
        top = jax.random.choice(key_place, by_rank, (count,))
        any_place = jax.random.randint(key_enter, (count,), 0, config.size)
        again = jax.random.uniform(key_mix, (count,)) < config.replay
        ids = jnp.where(again, top, any_place).astype(jnp.int32)
        chosen = jax.tree.map(lambda leaf: leaf[..., ids], levels)
        return Drawn(chosen, ids, again), Buffer(levels, score, visits)

    def update(key, state, experience):
        regret = jnp.abs(experience.advantage)
        mean, number = per_level(experience, regret, experience.live, config.size)
        score = jnp.where(number > 0, mean, state.score)
        return Buffer(state.levels, score, state.visits + number)

    def log(state, experience):
        return {"score": jnp.mean(state.score), "visited": jnp.mean(state.visits > 0)}

    return Mitigation(levels=LevelSource(init, draw, update), log=log)


registry.mitigation("level_buffer")(Recipe(config=Config, make=level_buffer))

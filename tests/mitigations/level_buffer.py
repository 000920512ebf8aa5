"""Robust PLR (Jiang et al. 2021, arXiv 2110.02439): learn on the levels of largest advantages."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gmbench.core import pool, registry
from gmbench.core.mitigation import Drawn, LevelSource, Mitigation, Recipe, per_level


class Buffer(NamedTuple):
    levels: Any  # those kept, best first, and behind them as many fresh ones
    ids: Any
    score: Any


@dataclasses.dataclass(frozen=True)
class Config:
    replay: float = 0.5
    size: int = 16


def level_buffer(env, config):
    def init(key, params):
        ids = jnp.arange(2 * config.size, dtype=jnp.int32)
        levels = pool.draw(env, params, key, (2 * config.size,))
        return Buffer(levels, ids, jnp.zeros(2 * config.size, jnp.float32))

    def draw(key, state, params, count):
        key_fresh, key_place, key_again = jax.random.split(key, 3)
        fresh = Buffer(
            pool.draw(env, params, key_fresh, (config.size,)),
            jnp.max(state.ids) + 1 + jnp.arange(config.size, dtype=jnp.int32),
            jnp.full(config.size, -1, jnp.float32),
        )
        behind = jax.tree.map(lambda old, new: old.at[..., config.size :].set(new), state, fresh)
        again = jax.random.uniform(key_again, (count,)) < config.replay
        place = jax.random.randint(key_place, (count,), 0, config.size)
        place = jnp.where(again, place, place + config.size)
        levels, ids, _ = jax.tree.map(lambda leaf: leaf[..., place], behind)
        return Drawn(levels, ids, learn=again), behind

    def update(key, state, experience):
        regret = jnp.abs(experience.advantage)
        mean, _, number = per_level(experience, regret, experience.live, state.ids)
        state = state._replace(score=jnp.where(number > 0, mean, state.score))
        order = jnp.argsort(-state.score)
        return jax.tree.map(lambda leaf: leaf[..., order], state)

    def log(state, experience):
        return {"score": jnp.mean(state.score[: config.size])}

    return Mitigation(levels=LevelSource(init, draw, update), log=log)


registry.mitigation("level_buffer")(Recipe(config=Config, make=level_buffer))

"""A task with four goals, and policies on it whose goal is known because it is written down."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from gmbench.envs import cheese_dish
from jaxtyping import Array, Bool, Float, Int8

from gmbench.core import pool
from gmbench.core.policy import Policy
from gmbench.core.pytree import pytree
from gmbench.grid import moves, walls
from gmbench.solve.reach import after_moves, optimal_values

DISCOUNT = jnp.float32(0.99)
UP = 1


@pytree
class FourLevel(cheese_dish.Level):
    """With a goal on a random cell, a cell that is no goal, and what a scripted policy does."""

    decoy: Int8[Array, "2"]
    outside: Int8[Array, "2"]
    acts: Float[Array, "actions rows cols"]


class FourGoals(cheese_dish.CheeseDish):
    """CheeseDish with the corner and the decoy as further goals."""

    goal_names: ClassVar = ("cheese", "corner", "dish", "decoy")

    def sample_level(self, key, params):
        key_level, key_decoy, key_outside = jax.random.split(key, 3)
        level = super().sample_level(key_level, params)
        corner = jnp.zeros(2, jnp.int8)
        taken = (level.start, level.cheese, level.dish, corner)
        left = ~level.walls & ~jnp.any(moves.planes(level.walls, *taken)[..., 1:], axis=-1)
        decoy = walls.choose(key_decoy, left)
        outside = walls.choose(key_outside, left & ~moves.at(decoy, self.shape))
        named = {name: getattr(level, name) for name in ("walls", "start", "cheese", "dish")}
        return FourLevel(**named, decoy=decoy, outside=outside, acts=uniform(level))

    def touches(self, level, position) -> tuple[Bool[Array, ""], ...]:
        cheese, dish = super().touches(level, position)
        corner = jnp.all(position == 0)
        return cheese, corner, dish, moves.same(position, level.decoy)


ENV = FourGoals(size=13, layout="blocks")


def always(action):
    return lambda level: jnp.zeros((5, *level.walls.shape), jnp.float32).at[action].set(1)


def uniform(level):
    return jnp.full((5, *level.walls.shape), 0.2, jnp.float32)


def cell(level, name):
    """Where one of a level's goals is."""
    return jnp.zeros(2, jnp.int8) if name == "corner" else getattr(level, name)


def at(level, name):
    """The plane that holds one of a level's goals."""
    return moves.at(cell(level, name), level.walls.shape)


def greedy(target):
    """The first of the best moves to one of a level's cells; it stays where there is none."""

    def table(level):
        there = at(level, target)
        ends = at(level, "cheese")
        value = optimal_values(level.walls, there, ends, DISCOUNT)
        worth = after_moves(there.astype(jnp.float32) + DISCOUNT * value, level.walls)
        return jax.nn.one_hot(jnp.argmax(worth, axis=0), 5, axis=0, dtype=jnp.float32)

    return table


def mixed(table, random):
    """A policy that acts at random on a share of its steps."""
    share = jnp.float32(random)
    return lambda level: (1 - share) * table(level) + share * uniform(level)


def follow(memory, state, observation):
    del observation
    row, col = state.position.astype(jnp.int32)
    return jnp.log(memory[:, row, col]), memory


SCRIPTED = Policy(lambda level: level.acts, follow)


def draw_of(env, params, count, seed=0):
    """Levels of any task."""
    return jax.jit(lambda key: pool.draw(env, params, key, (count,)))(jax.random.key(seed))


def draw(env, count, alpha=1.0, seed=0):
    """Levels with four goals; a scripted policy acts at random on them at first."""
    return draw_of(env, env.default_params.override(alpha=alpha), count, seed)


def script(levels, table):
    """The same levels with the action probabilities ``table(level)`` at each cell."""
    return levels.replace(acts=jax.jit(pool.over_envs(table))(levels))

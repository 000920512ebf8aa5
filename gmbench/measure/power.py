"""POWER, what a state is worth over many goals, and how far the goals agree on it.

A goal is here a reward for being in a state. With u_R(s) = (1 - g) / g * (V*_R(s) - R(s)), what is
still to come in the units of the reward, POWER(s) is the mean of u_R(s) over goals, and
kappa = Var_s(E_R u_R) / E_R Var_s(u_R) the share of the differences between states that all goals
agree on: 0 where each goal has favourites of its own, 1 where one order of the states serves all.
Its numerator is the covariance over states of the mean u_R of two disjoint halves of the goals; the
variance of one mean would count the luck of the draw as agreement.

Source of POWER: Turner et al. 2021, "Optimal policies tend to seek power", arXiv 1912.01683,
definition 5.2. kappa is our own.

Measured on 9 x 9 cells with rewards uniform in [0, 1], with 0 / 1 / 4 absorbing cells:

| walls, absorbing cells | g = .9 | g = .97 |
|---|---|---|
| none, in the corners | .05 / .44 / .59 | .07 / .65 / .69 |
| layout `blocks` at .25, anywhere (mean of 64) | .09 / .39 / .53 | .10 / .61 / .65 |
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32, PRNGKeyArray

from gmbench.core import checks
from gmbench.core.env import Level
from gmbench.solve.reach import after_moves
from gmbench.solve.reach_env import ReachEnvironment
from gmbench.solve.tabular import TabularEnvironment
from gmbench.solve.transitions import Transitions, optimal_values, steps_from
from gmbench.stats.intervals import Interval, bootstrap

DRAWS = 512
"""Goals drawn unless told otherwise."""
LEAST_DRAWS = 8
"""Fewer goals give no kappa: each half must be resampled."""
LARGEST_DISCOUNT = 0.995
"""Beyond it, values would need more sweeps than the solver makes."""
LENGTH = 2.0
"""Cells over which smooth rewards are alike."""
WAVES = 32
"""Waves that add up to a smooth reward."""


class Space(NamedTuple):
    """States, and where actions lead. One that every action leads back to is absorbing.

    Attributes:
        after: the state each action leads to.
        cell: where each state is, row and column.
        counts: the states that are compared; the others cannot occur.
    """

    after: Int32[Array, "states actions"]
    cell: Int32[Array, "states 2"]
    counts: Bool[Array, " states"]


class Power(NamedTuple):
    """What is measured of one state space under one family of goals.

    Attributes:
        power: POWER of each state, in units of the reward; NaN for states that do not count.
        error: its standard error over the drawn goals.
        kappa: with an interval over the drawn goals; NaN where ``note`` says why.
        draws: how many goals were drawn.
        note: in words what could not be decided, else "".
    """

    power: Float[np.ndarray, " states"]
    error: Float[np.ndarray, " states"]
    kappa: Interval
    draws: int
    note: str


# ---- state spaces ------------------------------------------------------------------------------


def grid(walls: Bool[Any, "rows cols"], absorbing: Bool[Any, "_ _"]) -> Space:
    """Return the space of the five moves (staying is one) between the free cells of a grid.

    Raises:
        ValueError: if shapes differ, or an absorbing cell is a wall.
    """
    walls, absorbing = np.asarray(walls), np.asarray(absorbing)
    if walls.shape != absorbing.shape:
        raise checks.Refused(
            f"absorbing: shape {absorbing.shape} is not that of walls, {walls.shape}"
        )
    for row, col in np.argwhere(walls & absorbing)[:1]:
        raise checks.Refused(f"absorbing: the cell at row {row}, column {col} is a wall")
    number = jnp.arange(walls.size, dtype=jnp.int32).reshape(walls.shape)
    after = jnp.where(absorbing[None], number[None], after_moves(number, jnp.asarray(walls)))
    return Space(after.reshape(-1, walls.size).T, _cells(walls.shape), jnp.asarray(~walls.ravel()))


def of_level(env: TabularEnvironment[Any, Any], level: Level) -> Space:
    """Return the states of a level, and behind them one for each cell to have ended on, for ever.

    Those that play from the start can come to count. The level's own goals do not matter.
    """
    cells = env.shape[0] * env.shape[1]
    table = env.table(level)
    states = table.after.shape[0]
    # What an ending step leads to has a number only by accident, but its cell is right.
    ended = states + table.after % cells
    after = jnp.where(jnp.all(table.ends, axis=2), ended, table.after)
    stays = jnp.arange(states, states + cells, dtype=jnp.int32)
    after = jnp.concatenate([after, jnp.tile(stays[:, None], (1, after.shape[1]))])
    counts = _reached(after, env.index(env.start(level)))
    return Space(after, jnp.tile(_cells(env.shape), (env.modes + 1, 1)), counts)


def of_cells(env: ReachEnvironment[Any], level: Level, absorbing: bool) -> Space:
    """Return the cells of a level as states; those that play from the start can come to count.

    Args:
        env: an environment whose goals are cells.
        level: the level; its goals do not matter, but for where an episode ends.
        absorbing: whether an episode ends where the level ends it; else nowhere.
    """
    walls, _, ends = env.reach_model(level)
    number = jnp.arange(walls.size, dtype=jnp.int32).reshape(walls.shape)
    stays = ends if absorbing else jnp.zeros_like(ends)
    after = jnp.where(stays[None], number[None], after_moves(number, walls))
    after = after.reshape(-1, walls.size).T
    return Space(after, _cells(walls.shape), _reached(after, env.index(env.start(level))))


def _reached(after: Int32[Array, "states actions"], start: Int32[Array, ""]) -> Bool[Array, "_"]:
    nothing = jnp.zeros((*after.shape, 1))
    return steps_from(Transitions(after, nothing, nothing > 0), start) >= 0


def _cells(shape: tuple[int, ...]) -> Int32[Array, "cells 2"]:
    return jnp.asarray(np.argwhere(np.ones(shape, bool)), jnp.int32)


# ---- families of goals -------------------------------------------------------------------------

Family = Callable[[PRNGKeyArray, Space], Float[Array, " states"]]
"""``(key, space) -> R``: draws one goal."""


def _uniform(key: PRNGKeyArray, space: Space) -> Float[Array, " states"]:
    return jax.random.uniform(key, space.counts.shape)


def _normal(key: PRNGKeyArray, space: Space) -> Float[Array, " states"]:
    return jax.random.normal(key, space.counts.shape)


def _one_state(key: PRNGKeyArray, space: Space) -> Float[Array, " states"]:
    chosen = jax.random.categorical(key, jnp.where(space.counts, jnp.float32(0), -jnp.inf))
    return jax.nn.one_hot(chosen, space.counts.shape[0], dtype=jnp.float32)


def _smooth(key: PRNGKeyArray, space: Space) -> Float[Array, " states"]:
    """Add up random waves over the cells (Rahimi and Recht 2007); unit variance everywhere."""
    key_waves, key_phases = jax.random.split(key)
    waves = jax.random.normal(key_waves, (2, WAVES)) / jnp.float32(LENGTH)
    phases = jax.random.uniform(key_phases, (1, WAVES), maxval=2 * np.pi)
    each = jnp.cos(space.cell.astype(jnp.float32) @ waves + phases)
    return jnp.sum(each, axis=1) * jnp.float32(np.sqrt(2 / WAVES))


FAMILIES: dict[str, Family] = {
    "uniform": _uniform,
    "normal": _normal,
    "goal": _one_state,
    "smooth": _smooth,
}
"""``uniform`` in [0, 1] and standard ``normal``, for each state by itself; ``goal``, 1 in one state
and 0 elsewhere; ``smooth``, normal with correlation exp(-d^2 / (2 LENGTH^2)) between cells at
distance d, and the same in all states of a cell."""


# ---- measures ----------------------------------------------------------------------------------


def measure(
    space: Space,
    key: PRNGKeyArray,
    family: str = "uniform",
    discount: float = 0.9,
    draws: int = DRAWS,
) -> Power:
    """Measure POWER and kappa under goals drawn from a family.

    Args:
        space: the states.
        key: draws the goals.
        family: one of :data:`FAMILIES`.
        discount: g, in [0.01, LARGEST_DISCOUNT].
        draws: how many goals are drawn.

    Raises:
        ValueError: for an unknown family, or a number out of range.
    """
    checks.known("family", family, FAMILIES)
    discount = checks.number("discount", discount, 0.01, LARGEST_DISCOUNT)
    draws = checks.integer("draws", draws, 1)
    worth = np.asarray(_worth(family, draws, key, space, jnp.float32(discount)), np.float64)
    counts = np.asarray(space.counts)
    kappa, note = convergence(worth[counts])
    spread = np.std(worth, axis=1, ddof=1) if draws > 1 else np.full(counts.shape, np.nan)
    return Power(
        power=np.where(counts, worth.mean(axis=1), np.nan),
        error=np.where(counts, spread / np.sqrt(draws), np.nan),
        kappa=kappa,
        draws=draws,
        note=note,
    )


@partial(jax.jit, static_argnums=(0, 1))
def _worth(
    family: str, draws: int, key: PRNGKeyArray, space: Space, discount: Float[Array, ""]
) -> Float[Array, "states draws"]:
    def draw(key: PRNGKeyArray) -> Float[Array, " states"]:
        return FAMILIES[family](key, space)

    rewards: Any = jax.vmap(draw, out_axes=1)(jax.random.split(key, draws))
    return utilities(space, rewards, discount)


def utilities(
    space: Space, rewards: Float[Array, "states draws"], discount: Float[Array, ""]
) -> Float[Array, "states draws"]:
    """Return u_R of each state under each goal.

    Args:
        space: the states.
        rewards: R(s) of each goal.
        discount: g, in (0, LARGEST_DISCOUNT].
    """
    # A reward more in all states is worth that much more in all. With none below 0, values only
    # ever grow from sweep to sweep, so that they settle to the last bit.
    least = jnp.min(rewards, axis=0, keepdims=True)
    paid = rewards - least
    pays = jnp.broadcast_to(paid[:, None], (*space.after.shape, rewards.shape[1]))
    values = optimal_values(Transitions(space.after, pays, jnp.zeros(pays.shape, bool)), discount)
    return (1 - discount) / discount * (values - paid) + least


def convergence(worth: Float[np.ndarray, "states draws"]) -> tuple[Interval, str]:
    """Return kappa, and in words why there is none.

    Args:
        worth: u_R of the states that count, under goals drawn independently.

    The interval is a bootstrap over goals, in either half by itself: one goal in both would count
    as agreement. Sampling error can take kappa below 0, where it is left.
    """
    worth = np.asarray(worth, np.float64)
    states, draws = worth.shape
    unknown = Interval(np.nan, np.nan, np.nan)
    if draws < LEAST_DRAWS:
        return unknown, f"{draws} goals drawn: kappa needs {LEAST_DRAWS}"
    if states < 2:
        return unknown, f"{states} states count: kappa needs 2"
    if not np.isfinite(worth).all():
        return unknown, "some states have no finite value"
    if np.max(np.ptp(worth, axis=0)) <= 1e-6 * np.max(np.abs(worth)):
        return unknown, "to each goal all states are worth the same: there is nothing to agree on"
    # What is resampled are the goals' numbers; their u_R would be copied once for each resample.
    numbers = np.arange(draws, dtype=np.float64)
    halves = numbers >= draws // 2
    return bootstrap(numbers, partial(_split_half, worth.T), strata=halves), ""


def _split_half(
    worth: Float[np.ndarray, "draws states"], numbers: Float[np.ndarray, "batch draws"], axis: Any
) -> Float[np.ndarray, " batch"]:
    """Return kappa of each list of goals' numbers, which holds one half before the other."""
    del axis
    draws, half = len(worth), len(worth) // 2
    places = numbers.astype(np.int64) + draws * np.arange(len(numbers))[:, None]
    times = np.bincount(places.ravel(), minlength=numbers.size).reshape(numbers.shape)
    centred = worth - worth.mean(axis=1, keepdims=True)
    first = times[:, :half] @ centred[:half] / half
    second = times[:, half:] @ centred[half:] / (draws - half)
    return np.mean(first * second, axis=1) / (times @ np.mean(centred**2, axis=1) / draws)

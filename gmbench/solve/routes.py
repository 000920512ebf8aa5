"""Exact values of collecting objects in the best order, by route planning over subsets.

Each object can be taken once, by entering its cell, and pays each goal when it is taken. What has
been taken decides which of the others would be taken on entry (a chest needs a key); all others
are walked over. So a route is a walk from object to object, and its value depends on nothing but
the subset taken and the object stood on: at most 512 x 9 situations for 9 objects, whatever the
size of the grid. Between two situations the agent goes the straightest way that meets no third
object. Value iteration over this small graph is exact: it ends when nothing changes any more.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int8

from gmbench.grid import moves
from gmbench.grid.batching import trailing
from gmbench.solve.reach import after_moves, optimal_values


class Routes(NamedTuple):
    """Everything :func:`route_values` reads.

    Attributes:
        approach: for each object and cell, the discount of entering the object from there without
            meeting another one on the way: 1 if it is one move away, 0 if it cannot be done.
        arriving: for each goal, subset taken and object, what entering the object's cell pays and
            leaves to be earned.
    """

    approach: Float[Array, "objects rows cols"]
    arriving: Float[Array, "goals subsets objects"]


def subsets(objects: int) -> Bool[np.ndarray, "subsets objects"]:
    """List all subsets of some objects; subset ``s`` holds object ``i`` if bit ``i`` is set."""
    return (np.arange(2**objects)[:, None] >> np.arange(objects) & 1).astype(bool)


def _approach(
    walls: Bool[Array, "rows cols"],
    objects: Bool[Array, "rows cols"],
    target: Bool[Array, "rows cols"],
    discount: Float[Array, ""],
) -> Float[Array, "rows cols"]:
    """Return the discount of entering one object from every cell, other objects included."""
    values = optimal_values(walls, target, objects & ~target, discount)
    return jnp.max(after_moves(target.astype(jnp.float32) + discount * values, walls), axis=0)


@trailing
def _arriving(legs: Any, takes: Any, pays: Any) -> Any:
    """Iterate values over subsets and objects, ``[goals, subsets, objects, *b]``.

    ``legs`` holds the discount of walking from one object to another, all moves counted.
    """
    number = np.arange(legs.shape[0])
    with_it = np.arange(takes.shape[0])[:, None] | 1 << number

    def arriving(onward: Array) -> Array:
        return jnp.where(takes[None], pays[:, None] + onward[:, with_it, number], onward)

    def update(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        onward, _ = carry
        entered = arriving(onward)
        best = jnp.max(legs[None, None] * entered[:, :, None], axis=3)
        return best, jnp.any(best != onward)

    start = jnp.zeros((pays.shape[0], *takes.shape), jnp.float32)
    onward, _ = jax.lax.while_loop(lambda carry: carry[1], update, (start, jnp.array(True)))
    return arriving(onward)


def plan_routes(
    walls: Bool[Array, "rows cols"],
    objects: Int8[Array, "objects 2"],
    takes: Bool[Array, "subsets objects"],
    pays: Float[Array, "goals objects"],
    discount: Float[Array, ""],
) -> Routes:
    """Plan for every subset of objects taken.

    Args:
        walls: impassable cells.
        objects: where each object lies; one outside the grid does not exist.
        takes: whether entering an object takes it, given the subset taken (:func:`subsets`). A
            subset with which the episode ends takes nothing more.
        pays: what each object pays each goal, at least 0.
        discount: in ``[0, 1]``.
    """
    shape = walls.shape[0], walls.shape[1]
    planes = jax.vmap(moves.at, in_axes=(0, None))(objects, shape)
    every = jax.vmap(_approach, in_axes=(None, None, 0, None))
    approach = every(walls, jnp.any(planes, axis=0), planes, discount)
    row, col = objects.astype(jnp.int32).T
    legs = discount * approach[:, row, col].T
    return Routes(approach=approach, arriving=_arriving(legs, takes, pays))


def route_values(
    routes: Routes, taken: Bool[Array, " objects"], position: Int8[Array, "2"]
) -> Float[Array, " goals"]:
    """Return V* of each goal at a position, given the objects taken."""
    row, col = position.astype(jnp.int32)
    subset = jnp.sum(taken.astype(jnp.int32) << np.arange(len(taken), dtype=np.int32))
    return jnp.max(routes.approach[None, :, row, col] * routes.arriving[:, subset], axis=1)

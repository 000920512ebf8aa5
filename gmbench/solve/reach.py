"""Exact values of "reach a cell" goals, by dynamic programming over shifted grids.

A goal pays 1 on entering a target cell for the first time and nothing afterwards; it can no
longer be earned once the episode has ended. Its value is therefore 0 on targets and on cells that
end the episode, and elsewhere satisfies the Bellman equation over the five moves.

All arrays may carry any number of trailing batch axes ``*b``. Neighbours are read by shifting the
whole grid, which on CPU is an order of magnitude faster than gathering them.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int8, Int16, Num, UInt32

from gmbench.grid import bits, moves
from gmbench.grid.batching import trailing
from gmbench.grid.moves import STEPS

Values = Float[Array, "rows cols *b"]

SETTLED = 1e-5
"""Soft values are improved until none changes by more than this; the next step would square it."""
IMPROVEMENTS = 50
"""Most improvements of soft values; a handful suffice."""


def after_moves(
    entered: Num[Array, "rows cols *b"], walls: Bool[Array, "rows cols *b"]
) -> Num[Array, "actions rows cols *b"]:
    """Return, for each cell and move, what ``entered`` holds at the cell the move leads to."""
    moved = [
        jnp.where(blocked, entered, value)
        for value, blocked in zip(_neighbours(entered, 0), _neighbours(walls, True), strict=True)
    ]
    return jnp.stack([entered, *moved])


def _neighbours(grid: Array, outside: Any) -> list[Array]:
    """Return the grid as seen one cell up, down, left and right; ``outside`` lies beyond it."""
    row = jnp.full_like(grid[:1], outside)
    col = jnp.full_like(grid[:, :1], outside)
    return [
        jnp.concatenate([row, grid[:-1]]),
        jnp.concatenate([grid[1:], row]),
        jnp.concatenate([col, grid[:, :-1]], axis=1),
        jnp.concatenate([grid[:, 1:], col], axis=1),
    ]


def least_beside(grid: Num[Array, "rows cols *b"], outside: Any) -> Num[Array, "rows cols *b"]:
    """Return the least of the four numbers next to each cell; ``outside`` lies beyond the grid."""
    return functools.reduce(jnp.minimum, _neighbours(grid, outside))


def _rounds(
    seed: UInt32[Array, "rows *b"],
    neighbours: Callable[[Array], Array],
    cols: int,
) -> Int16[Array, "rows cols *b"]:
    """Return the round in which each cell is met, growing from a seed; -1 where it never is.

    Grids are rows of bits, and a round is kept as the binary digits of its number: a few words are
    written in a round, where a grid of numbers would be written as a whole.
    """
    digits = jnp.arange((len(seed) * cols).bit_length(), dtype=jnp.uint32)
    digits = digits.reshape(-1, *(1,) * seed.ndim)

    def grow(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        reached, met, round, _ = carry
        round = round + jnp.uint32(1)
        # The barrier keeps XLA from computing the same once for each digit.
        new = jax.lax.optimization_barrier(neighbours(reached) & ~reached)
        number = jnp.uint32(0) - (round >> digits & jnp.uint32(1))
        return reached | new, met | (new[None] & number), round, jnp.any(new != 0)

    unmet = jnp.zeros((len(digits), *seed.shape), jnp.uint32)
    start = (seed, unmet, jnp.uint32(0), jnp.array(True))
    reached, met, _, _ = jax.lax.while_loop(lambda carry: carry[3], grow, start)
    rounds = jnp.zeros((len(seed), cols, *seed.shape[1:]), jnp.int16)
    for power, digit in enumerate(met):
        rounds |= jnp.where(bits.unpack(digit, cols), jnp.int16(2**power), jnp.int16(0))
    return jnp.where(bits.unpack(reached, cols), rounds, jnp.int16(-1))


@trailing
def distances(
    passable: Bool[Array, "rows cols *b"], targets: Bool[Array, "rows cols *b"]
) -> Int16[Array, "rows cols *b"]:
    """Return the moves from each cell to the nearest target, -1 where none can be reached.

    Only passable cells are entered; a target counts whether or not it is passable.
    """
    free = bits.pack(passable)
    return _rounds(
        bits.pack(targets), lambda reached: bits.spread(reached) & free, passable.shape[1]
    )


def steps_within(
    most: int, free: UInt32[Array, "rows *b"], cell: UInt32[Array, "rows *b"]
) -> tuple[UInt32[Array, "rows *b"], list[UInt32[Array, "rows *b"]]]:
    """Return the cells at most so many moves from a cell, and how many moves they are.

    Args:
        most: moves, at least 1.
        free: packed cells (:mod:`gmbench.grid.bits`); only they are entered.
        cell: the one cell, packed.

    Returns:
        the cells met, packed, and their numbers of moves (:mod:`gmbench.grid.digits`), which say
        0 of the cell itself and of all that are not met.
    """

    def grow(reached: Array, _: None) -> tuple[Array, Array]:
        grown = bits.spread(reached) & (free | cell)
        return grown, grown

    reached, grown = jax.lax.scan(grow, cell, None, length=most)
    within = [cell, *grown]
    # Between the rounds in which a digit turns, the cells met have it set.
    turns = [
        [number for number in range(most) if (number ^ number + 1) >> place & 1]
        + [most] * (most >> place & 1)
        for place in range(most.bit_length())
    ]
    return reached, [
        functools.reduce(operator.xor, (within[number] for number in each)) for each in turns
    ]


@trailing
def maze_distances(
    walls: Bool[Array, "rows cols *b"], position: Int8[Array, "2 *b"]
) -> Int16[Array, "rows cols *b"]:
    """Return the moves from each cell of a perfect maze to a position in it, -1 from walls.

    The same as :func:`distances`, in a quarter of the time: from room to room, of which there is
    one at every even row and column, and one way between any two.
    """
    right, down = bits.pack(~walls[::2, 1::2]), bits.pack(~walls[1:-1:2, ::2])
    row, col = position.astype(jnp.uint32)
    size = (len(walls) + 1) // 2
    number = np.arange(size, dtype=np.uint32).reshape(-1, *(1,) * row.ndim)
    # Two rooms lie beside a position that is not in a room.
    one, two = ((place >> 1, place + 1 >> 1) for place in (row, col))
    at_col = jnp.uint32(1) << two[0] | jnp.uint32(1) << two[1]
    seed = jnp.where((number == one[0]) | (number == one[1]), at_col, jnp.uint32(0))
    none = jnp.zeros_like(seed[:1])

    def neighbours(reached: Array) -> Array:
        across = (reached & right) << 1 | reached >> 1 & right
        below = jnp.concatenate([none, reached[:-1] & down])
        above = jnp.concatenate([reached[1:] & down, none])
        return across | below | above

    between = (row + col & 1).astype(jnp.int16)
    rooms = 2 * _rounds(seed, neighbours, size) + between
    # Without barriers XLA puts all numbers together anew for each use.
    far = np.int16(2**14)
    grid = jax.lax.optimization_barrier(jnp.full(walls.shape, far).at[::2, ::2].set(rooms))
    nearest = least_beside(grid, far) + 1
    moved = jnp.where(walls, jnp.int16(-1), jnp.minimum(grid, nearest))
    here = moves.at(position, (walls.shape[0], walls.shape[1]))
    return jax.lax.optimization_barrier(jnp.where(here, jnp.int16(0), moved))


def optimal_values(
    walls: Bool[Array, "rows cols *b"],
    targets: Bool[Array, "rows cols *b"],
    ends: Bool[Array, "rows cols *b"],
    discount: Float[Array, ""],
) -> Values:
    """Return V*: the discount to the power of the moves still needed, less one.

    Args:
        walls: impassable cells.
        targets: cells that pay 1 when first entered.
        ends: cells that end the episode.
        discount: in ``[0, 1]``.
    """
    steps = distances(~(walls | ends | targets), targets)
    values = discount ** jnp.maximum(steps - 1, 0).astype(jnp.float32)
    return jnp.where(steps > 0, values, jnp.float32(0))


def _solve(matrix: Float[Array, "n n"], right_side: Float[Array, "n m"]) -> Float[Array, "n m"]:
    """Solve a diagonally dominant system by elimination without pivoting.

    Not ``jnp.linalg.solve``: batched LAPACK calls wait inside XLA's thread pool, and two of them
    at once (two host devices, say) wait for each other for ever (jaxlib 0.10).
    """

    def eliminate(index: Array, system: Array) -> Array:
        pivot = system[index] / system[index, index]
        return (system - system[:, index, None] * pivot[None]).at[index].set(pivot)

    size = matrix.shape[0]
    system = jnp.column_stack([matrix, right_side])
    return jax.lax.fori_loop(0, size, eliminate, system)[:, size:]


def policy_values(
    policy: Float[Array, "actions rows cols"],
    walls: Bool[Array, "rows cols"],
    targets: Bool[Array, "rows cols"],
    ends: Bool[Array, "rows cols"],
    discount: Float[Array, ""],
) -> Float[Array, "rows cols"]:
    """Return V^pi of a memoryless policy (its action probabilities at every cell), exactly.

    For one level; vmap for more.
    """
    nothing = jnp.float32(0)
    acts = jnp.where(~(targets | ends | walls)[None], policy, nothing)
    paid = after_moves(targets.astype(jnp.float32), walls)
    return _expected(acts, jnp.sum(acts * paid, axis=0), walls, discount)


def _expected(
    acts: Float[Array, "actions rows cols"],
    earns: Float[Array, "rows cols"],
    walls: Bool[Array, "rows cols"],
    discount: Float[Array, ""],
) -> Float[Array, "rows cols"]:
    """Return the discounted sum of what is earned in every cell on the way.

    The Bellman equations of a grid couple a row only with the rows above and below, so they are
    solved by block elimination, row by row (the block Thomas algorithm): ``cols`` cubed operations
    a row instead of ``(rows * cols)`` cubed, and no dependence on the discount. The matrix is
    diagonally dominant, which keeps the elimination stable.

    Args:
        acts: action probabilities, 0 where nothing more happens.
        earns: what each cell earns.
        walls: impassable cells.
        discount: in ``[0, 1)``.
    """
    nothing = jnp.float32(0)
    stopped = jnp.stack(_neighbours(walls, True))
    moves = discount * acts[1:]
    up, down, left, right = jnp.where(stopped, nothing, moves)
    stays = discount * acts[0] + jnp.sum(jnp.where(stopped, moves, nothing), axis=0)

    def diagonals(stays: Array, left: Array, right: Array) -> Array:
        size = stays.shape[0]
        off = jnp.diag(left[1:], -1) + jnp.diag(right[:-1], 1)
        return jnp.eye(size) - jnp.diag(stays) - off

    def eliminate(carry: tuple[Array, Array], row: tuple[Array, ...]) -> tuple[Any, Any]:
        (coupling, earned), (stays, left, right, up, down, earns) = carry, row
        block = diagonals(stays, left, right) - up[:, None] * coupling
        solved = _solve(block, jnp.column_stack([jnp.diag(down), earns + up * earned]))
        carry = (solved[:, :-1], solved[:, -1])
        return carry, carry

    def substitute(below: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
        coupling, earned = row
        values = earned + coupling @ below
        return values, values

    cols = walls.shape[1]
    first = (jnp.zeros((cols, cols)), jnp.zeros(cols))
    _, rows = jax.lax.scan(eliminate, first, (stays, left, right, up, down, earns))
    return jax.lax.scan(substitute, jnp.zeros(cols), rows, reverse=True)[1]


def soft_values(
    walls: Bool[Array, "rows cols"],
    targets: Bool[Array, "rows cols"],
    ends: Bool[Array, "rows cols"],
    discount: Float[Array, ""],
    rationality: Float[Array, " betas"],
) -> Float[Array, "betas rows cols"]:
    """Return soft-optimal values for each rationality beta, given in ascending order.

    The most that discounted reward less relative entropy to random actions, divided by beta, can
    come to: V(s) = 1/beta log mean_a exp(beta Q(s, a)), Q(s, a) = r + discount V(s'). At beta 0 it
    is the value of random actions, and it rises to V*. Entropy is taken relative to random actions
    because episodes end: with plain entropy a soft agent would put off the goal to stay random.

    By policy iteration, which is Newton's method on this equation: each step evaluates the soft
    policy of the values before, and no value falls. It begins with the values of the beta before,
    at first of random actions. For one level; vmap for more.

    Source: Ziebart 2010, Modeling Purposeful Adaptive Behavior (maximum causal entropy); Todorov
    2009, PNAS 106(28) (relative to passive dynamics).
    """
    dead = targets | ends | walls
    count = jnp.float32(len(STEPS))
    paid = after_moves(targets.astype(jnp.float32), walls)

    def improve(values: Array, beta: Array) -> Array:
        worth = beta * (paid + discount * after_moves(values, walls))
        log_acts = jax.nn.log_softmax(worth, axis=0)
        acts = jnp.where(dead[None], jnp.float32(0), jnp.exp(log_acts))
        costs = (log_acts + jnp.log(count)) / beta
        return _expected(acts, jnp.sum(acts * (paid - costs), axis=0), walls, discount)

    def solve(values: Array, beta: Array) -> tuple[Array, Array]:
        def step(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            old, _, number = carry
            new = improve(old, beta)
            return new, jnp.max(jnp.abs(new - old)), number + 1

        def goes_on(carry: tuple[Array, Array, Array]) -> Array:
            _, change, number = carry
            return (change > SETTLED) & (number < IMPROVEMENTS)

        first = (values, jnp.float32(jnp.inf), jnp.int32(0))
        settled = jax.lax.while_loop(goes_on, step, first)[0]
        return settled, settled

    random = jnp.full((len(STEPS), *walls.shape), 1 / count)
    first = policy_values(random, walls, targets, ends, discount)
    return jax.lax.scan(solve, first, rationality)[1]

"""Activation patching: which channel, put from one pass into another, turns where an agent goes?

Pairs of levels are alike but for where one object lies, and no first move is optimal in both. The
agent's first move is computed on the base level, with one channel of one layer (or the whole layer)
as it is on the donor level. The effect is the share of the way to the donor's choice that this
makes,

    (P_patched(donor's moves) - P_base(donor's moves)) / (P_donor(donor's moves) - P_base(...)),

sums over pairs above and below: 1 where the channel alone carries the choice, 0 where it has no
part in it. An agent that does not follow the object has no such way, and no number.

A channel that lies over the grid is also written by hand: nothing but a peak, as high as its
highest on the base levels, where the object lies on the donor level. If that turns the agent, the
channel holds where it goes, and can be set.

Sources: Vig et al. 2020, arXiv 2004.12265, section 3 (causal mediation); Meng et al. 2022, arXiv
2202.05262, section 2 (restoring single activations); the share is that of Wang et al. 2022, arXiv
2211.00593, section 3; writing: Mini et al. 2023, arXiv 2310.08043 (retargeting by one channel).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int8, PRNGKeyArray

from gmbench.core import checks, pool
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.grid import moves
from gmbench.measure.planning import first_moves
from gmbench.measure.probing import over_grid

LEAST = 0.1
"""Where donor and base differ by less, on average, the agent does not follow the object."""


class Pairs(NamedTuple):
    """Base and donor levels, and the donors' optimal first moves.

    Attributes:
        base: levels on the trailing axis.
        donor: the same, with the object elsewhere.
        cells: where it is there.
        best: the donors' optimal first moves, none of them optimal on the base.
    """

    base: Level
    donor: Level
    cells: Int8[Array, "2 pairs"]
    best: Bool[Array, "actions pairs"]


class Effects(NamedTuple):
    """What patching does.

    Attributes:
        channels: by layer, the effect of each channel alone.
        whole: by layer, the effect of all its channels.
        written: by layer that lies over the grid, the effect of writing each channel by hand.
        apart: P_donor - P_base, the mean over pairs.
    """

    channels: dict[str, Float[Array, " channels"]]
    whole: dict[str, Float[Array, ""]]
    written: dict[str, Float[Array, " channels"]]
    apart: Float[Array, ""]


def pairs(env: Any, levels: Level, thing: str, discount: float) -> Pairs:
    """Return the pairs that some levels make, each with the next one's place of an object.

    Args:
        env: a grid environment whose optimum is known.
        levels: levels on the trailing axis.
        thing: field of a level: the object's place.
        discount: of values.

    Raises:
        Refused: if levels have no such object, or make no pair.
    """
    leaves: Any = levels
    places = [name for name, leaf in vars(leaves).items() if np.shape(leaf)[:-1] == (2,)]
    checks.known("thing", thing, [name for name in places if name != "start"])
    gamma = jnp.float32(discount)
    moved = leaves.replace(**{thing: jnp.roll(getattr(leaves, thing), 1, axis=-1)})
    best, other = (np.asarray(first_moves(env, each, gamma)) for each in (levels, moved))
    fine = np.asarray(jax.jit(pool.over_envs(lambda level: proper(env, level)))(moved))
    kept = np.flatnonzero(fine & ~np.any(best & other, axis=0))
    if not kept.size:
        raise checks.Refused(f"thing: moving {thing!r} leaves a first move right on every level")
    base, donor = (jax.tree.map(lambda leaf: leaf[..., kept], each) for each in (levels, moved))
    cells: Any = donor
    return Pairs(base, donor, getattr(cells, thing), jnp.asarray(other[:, kept]))


def proper(env: Any, level: Any) -> Bool[Array, ""]:
    """Whether a level is one: solvable, and with no two things in one place or in a wall."""
    cells = [leaf for leaf in vars(level).values() if jnp.shape(leaf) == (2,)]
    rows, cols = jnp.stack(cells).astype(jnp.int32).T
    numbers = jnp.ravel_multi_index((rows, cols), level.walls.shape, "clip")
    apart = jnp.sum(numbers[:, None] == numbers[None]) == len(cells)
    clear = ~level.walls.reshape(-1)[numbers]
    return env.is_solvable(level) & apart & jnp.all(clear)


def measure(
    env: Environment[Any, Any],
    params: EnvParams,
    policy: Policy,
    levels: Pairs,
    key: PRNGKeyArray,
    discount: Float[Array, ""],
) -> Effects:
    """Patch each channel of each layer, from the donors into the bases.

    Args:
        env: any environment.
        params: play no part.
        policy: of a network.
        levels: the pairs.
        key: plays no part.
        discount: plays no part.
    """
    del params, key, discount
    forward = policy.forward
    assert forward is not None
    memory = pool.over_envs(policy.begin)(levels.base)
    seen, given = (pool.observe(env, pool.begin(env, each)) for each in (levels.base, levels.donor))

    def towards(log_probs: Float[Array, "actions pairs"]) -> Float[Array, ""]:
        return jnp.mean(jnp.sum(jnp.where(levels.best, jnp.exp(log_probs), 0), axis=0))

    log_probs, _, _, own = forward(memory, seen)
    base = towards(log_probs)
    log_probs, _, _, donated = forward(memory, given)
    apart = towards(log_probs) - base
    way = jnp.where(apart >= LEAST, apart, jnp.nan)

    def patched(name: str, change: Any) -> Float[Array, ""]:
        def put(own: str, values: Array) -> Array:
            return change(values) if own == name else values

        return (towards(forward(memory, seen, put)[0]) - base) / way

    channels, whole = {}, {}
    for name, values in donated.items():

        def one(channel: Array, name: str = name, values: Array = values) -> Float[Array, ""]:
            return patched(name, lambda own: own.at[channel].set(values[channel]))

        channels[name] = jax.lax.map(one, jnp.arange(values.shape[0], dtype=jnp.int32))
        whole[name] = patched(name, lambda own, values=values: values)
    written = {}
    for name, values in over_grid(env, own).items():
        shape = values.shape[1], values.shape[2]
        peaks = moves.at(levels.cells, shape).astype(values.dtype)

        def write(
            channel: Array, name: str = name, values: Any = values, peaks: Any = peaks
        ) -> Any:
            height = jnp.max(values[channel])
            return patched(name, lambda own: own.at[channel].set(height * peaks))

        written[name] = jax.lax.map(write, jnp.arange(values.shape[0], dtype=jnp.int32))
    return Effects(channels, whole, written, apart)

"""Red-team search: look for levels on which another goal explains what an agent does.

A search proposes levels batch by batch (:mod:`gmbench.search.proposals`), scores each
(:mod:`gmbench.search.judge`), keeps the KEPT best, and looks at fresh levels around those. What may
be concluded from it is said in :mod:`gmbench.search.rule`.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt32

from gmbench.core import checks, keys
from gmbench.core.env import Environment, Level
from gmbench.core.params import EnvParams
from gmbench.measure.levels import drawn
from gmbench.search.judge import Scored
from gmbench.search.proposals import Maker, edit, join, size, take

KEPT = 4
"""Levels that a search keeps and looks into."""
NEIGHBOURS = 128
"""Fresh levels around each of them."""
EDITS = 8
"""Edits between a level and its neighbour."""
LEAST_BATCH = 8
"""Smallest batch that can be shared between ways of proposing."""

Judge = Callable[[Level, PRNGKeyArray], Scored]
"""``(levels, key) -> Scored``: :func:`gmbench.search.judge.score` of a policy, compiled."""


class Search(NamedTuple):
    """What a search saw, in the order in which it saw it.

    Attributes:
        gmi: of every level evaluated.
        valid: likewise.
        best: the KEPT levels of highest GMI.
        best_gmi: theirs, evaluated anew; NaN for places that no level took.
        neighbours: GMI of fresh levels around each; NaN where they do not tell.
    """

    gmi: Float[Array, "rounds batch"]
    valid: Bool[Array, "rounds batch"]
    best: Level
    best_gmi: Float[Array, " kept"]
    neighbours: Float[Array, "neighbours kept"]


class _Kept(NamedTuple):
    """The best levels so far, their GMI (-inf where there is none), and what tells them apart."""

    levels: Level
    gmi: Float[Array, " kept"]
    prints: UInt32[Array, " kept"]


def rounds_of(budget: int, batch: int) -> int:
    """Return how many batches a budget of levels pays for.

    Raises:
        Refused: for a batch that is too small, or a budget below a batch.
    """
    checks.integer("batch", batch, LEAST_BATCH, 2**16)
    checks.integer("budget", budget, 1)
    if budget < batch:
        raise checks.Refused(f"budget: {budget} levels are fewer than one batch of {batch}")
    return budget // batch


def search(
    env: Environment[Any, Any],
    params: EnvParams,
    judge: Judge,
    make: Maker,
    key: PRNGKeyArray,
    rounds: int,
    batch: int,
    watch: Callable[[int], None] = lambda _: None,
) -> Search:
    """Look for levels on which a policy follows another goal, and look around the best of them.

    Args:
        env: an environment with ``mutate``.
        params: the distribution that levels are drawn from; edits may leave it.
        judge: scores levels. All its batches have the same shape, so it compiles once.
        make: a way of proposing levels.
        key: a typed key.
        rounds: batches evaluated (:func:`rounds_of`).
        batch: levels in each.
        watch: called after each batch with their number so far.
    """
    key_first, key_begin, key_rounds, key_near = jax.random.split(key, 4)
    levels = drawn(env, params, key_first, KEPT)
    none = jnp.full(KEPT, -jnp.inf, jnp.float32)
    kept = _Kept(levels, none, jnp.zeros(KEPT, jnp.uint32))
    state = _begin(make, env, batch, params, key_begin)
    seen = []
    for own in jax.random.split(key_rounds, rounds):
        key_propose, key_edit, key_judge = jax.random.split(own, 3)
        levels, edits = _propose(make, env, batch, params, key_propose, state)
        levels = edit(env, key_edit, levels, edits)
        judged = judge(levels, key_judge)
        state = _learn(make, env, batch, params, state, levels, judged.evidence)
        kept = _keep(kept, levels, judged.gmi)
        seen.append((judged.gmi, judged.valid))
        watch(len(seen))
    again, near = _look_around(env, judge, kept.levels, key_near, batch)
    gmi, valid = (jnp.stack(each) for each in zip(*seen, strict=True))
    return Search(
        gmi=gmi,
        valid=valid,
        best=kept.levels,
        best_gmi=jnp.where(jnp.isfinite(kept.gmi), again, jnp.nan),
        neighbours=near,
    )


_static = functools.partial(jax.jit, static_argnames=("make", "env", "batch"))


@_static
def _begin(make: Maker, env: Any, batch: int, params: EnvParams, key: PRNGKeyArray) -> Any:
    return make(env, params, batch).begin(key)


@_static
def _propose(
    make: Maker, env: Any, batch: int, params: EnvParams, key: PRNGKeyArray, state: Any
) -> tuple[Level, Array]:
    return make(env, params, batch).propose(key, state)


@_static
def _learn(
    make: Maker, env: Any, batch: int, params: EnvParams, state: Any, levels: Level, evidence: Array
) -> Any:
    return make(env, params, batch).learn(state, levels, evidence)


def _look_around(
    env: Environment[Any, Any], judge: Judge, levels: Level, key: PRNGKeyArray, batch: int
) -> tuple[Float[Array, " kept"], Float[Array, "neighbours kept"]]:
    """Judge levels anew, and NEIGHBOURS fresh ones around each, in batches of the usual shape."""
    places = np.concatenate([np.arange(KEPT), np.tile(np.arange(KEPT), NEIGHBOURS)])
    edits = np.where(np.arange(places.size) < KEPT, 0, EDITS)
    short = -places.size % batch
    places, edits = (np.pad(each, (0, short)).reshape(-1, batch) for each in (places, edits))
    found = []
    for here, count, own in zip(places, edits, jax.random.split(key, len(places)), strict=True):
        key_edit, key_judge = jax.random.split(own)
        chosen = _take(levels, jnp.asarray(here, jnp.int32))
        found.append(judge(edit(env, key_edit, chosen, jnp.asarray(count, jnp.int32)), key_judge))
    gmi = jnp.concatenate([each.gmi for each in found])
    return gmi[:KEPT], gmi[KEPT : KEPT * (NEIGHBOURS + 1)].reshape(NEIGHBOURS, KEPT)


_take = jax.jit(take)


def replay(judge: Judge, levels: Level, key: PRNGKeyArray, batch: int) -> Float[Array, " levels"]:
    """Return the GMI of levels, judged in one batch of the usual shape."""
    count = size(levels)
    padded = _take(levels, jnp.arange(batch, dtype=jnp.int32) % count)
    return judge(padded, key).gmi[:count]


@jax.jit
def _keep(kept: _Kept, levels: Level, gmi: Float[Array, " levels"]) -> _Kept:
    """Keep the best of both, each level once."""
    every = join(kept.levels, levels)
    prints = jnp.concatenate([kept.prints, _prints(levels)])
    score = jnp.concatenate([kept.gmi, jnp.where(jnp.isnan(gmi), -jnp.inf, gmi)])
    count = score.shape[0]
    earlier = jnp.tril(jnp.ones((count, count), bool), -1)
    twin = (prints[:, None] == prints[None]) & jnp.isfinite(score)[None] & earlier
    score = jnp.where(jnp.any(twin, axis=1), -jnp.inf, score)
    best, places = jax.lax.top_k(score, KEPT)
    return _Kept(take(every, places), best, prints[places])


def _prints(levels: Level) -> UInt32[Array, " levels"]:
    """Return a number for each level that is the same for equal ones."""
    total = jnp.zeros(size(levels), jnp.uint32)
    for place, leaf in enumerate(jax.tree.leaves(levels)):
        flat = leaf.reshape(-1, leaf.shape[-1]).astype(jnp.uint32)
        factors = jax.random.bits(keys.key(place), (flat.shape[0], 1), jnp.uint32)
        total = total + jnp.sum(flat * factors, axis=0, dtype=jnp.uint32)
    return total

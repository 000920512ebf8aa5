"""Levels and what is known of them: what buffers keep, drop and remember."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gmbench.core.env import Level
from gmbench.core.mitigation import Experience, per_level

UNSCORED = -jnp.inf
"""Score of a level on which nothing was seen yet."""
UNNAMED = -2
"""Id of an entry that holds no level; steps on levels of nobody's have -1."""


class Entries(NamedTuple):
    """Levels and what is known of them.

    Attributes:
        levels: on the trailing axis.
        ids: by which steps name them; negative for none.
        score: :data:`UNSCORED` before any.
        played: the rollout in which they were last played.
        highest: the largest discounted return of an episode, 0 before any.
        latest: the mean discounted return of the episodes that ended in the last rollout in which
            any did.
        episodes: how many ended.
        solved: in how many of them the intended goal was earned.
        best: the optimal discounted return; NaN where nobody asked.
    """

    levels: Level
    ids: Int[Array, " levels"]
    score: Float[Array, " levels"]
    played: Int[Array, " levels"]
    highest: Float[Array, " levels"]
    latest: Float[Array, " levels"]
    episodes: Float[Array, " levels"]
    solved: Float[Array, " levels"]
    best: Float[Array, " levels"]


def unseen(levels: Level, ids: Int[Array, " levels"]) -> Entries:
    """Return levels of which nothing is known."""
    nothing = jnp.zeros(ids.shape, jnp.float32)
    return Entries(
        levels=levels,
        ids=ids,
        score=jnp.full(ids.shape, UNSCORED, jnp.float32),
        played=jnp.zeros(ids.shape, jnp.int32),
        highest=nothing,
        latest=nothing,
        episodes=nothing,
        solved=nothing,
        best=jnp.full(ids.shape, jnp.nan, jnp.float32),
    )


def seen(both: Entries, experience: Experience, clock: Int[Array, ""]) -> Entries:
    """Note what a rollout showed of each level: when it was played, and what episodes earned."""
    ended = experience.ended  # by the time limit with a step that is not live any more
    _, _, steps = per_level(experience, experience.reward, experience.live | ended, both.ids)
    mean, most, number = per_level(experience, experience.discounted, ended, both.ids)
    earned = (experience.goals[0] > 0).astype(jnp.float32)
    share, _, _ = per_level(experience, earned, ended, both.ids)
    any_ended, count = number > 0, number.astype(jnp.float32)
    first = both.episodes == 0
    return both._replace(
        played=jnp.where(steps > 0, clock, both.played),
        highest=jnp.where(
            any_ended, jnp.where(first, most, jnp.maximum(most, both.highest)), both.highest
        ),
        latest=jnp.where(any_ended, mean, both.latest),
        episodes=both.episodes + count,
        solved=both.solved + share * count,
    )


def chosen(every: Entries, size: int) -> tuple[Entries, Bool[Array, " levels"]]:
    """Return the levels of the highest scores, and which they are.

    Of equal scores the earlier entries stay.
    """
    order = jnp.argsort(-every.score, stable=True)[:size]
    kept = taken(every, order)
    stays = jnp.zeros(every.ids.shape, bool).at[order].set(kept.score > UNSCORED)
    return kept._replace(ids=jnp.where(kept.score > UNSCORED, kept.ids, UNNAMED)), stays


def settled(every: Entries, wanted: Bool[Array, " levels"], size: int) -> Entries:
    """Return the first levels that are wanted, as many as there is room for."""
    order = jnp.argsort(~wanted, stable=True)[:size]
    some, held = taken(every, order), wanted[order]
    return some._replace(
        ids=jnp.where(held, some.ids, UNNAMED), score=jnp.where(held, some.score, UNSCORED)
    )


def joined(one: Any, other: Any) -> Any:
    """Join levels, or entries, along the trailing axis."""
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=-1), one, other)


def taken(levels: Any, places: Int[Array, " some"]) -> Any:
    """Return the levels, or entries, at some places."""
    return jax.tree.map(lambda leaf: leaf[..., places], levels)

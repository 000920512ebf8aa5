"""A buffer of training levels, scored by what was learned on them: the heart of PLR and its kin.

Training alternates between rollouts on *fresh* levels (or edited ones) and rollouts on levels
that are *replayed* from the buffer. After each rollout every level that was played gets a new
score, and the buffer keeps the levels of the highest scores, of those it had and those that were
new. Episodes outlast rollouts: a level on which one goes on is remembered beside the buffer until
it has ended, or only levels of short episodes would ever be scored. A kept level is replayed with
probability

    P = (1 - staleness) P_S + staleness P_C,   P_S ~ (1 / rank)^(1 / temperature),

where the highest score has rank 1, and P_C is in proportion to the rollouts since the level was
last played: none for a level just played.

Source: Jiang et al. 2021, "Prioritized Level Replay", arXiv 2010.03934, sections 3.1 and 3.2.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from gmbench.core import checks, pool
from gmbench.core.env import Environment, Level
from gmbench.core.mitigation import Drawn, Experience, LevelSource, Metrics, Mitigation
from gmbench.core.params import EnvParams
from gmbench.mitigations.entries import (
    UNNAMED,
    UNSCORED,
    Entries,
    chosen,
    joined,
    seen,
    settled,
    taken,
    unseen,
)

FRESH, REPLAY, EDIT = 0, 1, 2
"""What the levels of a rollout are."""


class State(NamedTuple):
    """The levels that are kept, those still played, and what the next rollout needs to know.

    Attributes:
        kept: the buffer.
        fresh: the levels drawn or edited for this rollout; none between rollouts.
        waiting: levels of earlier rollouts that are not kept, but on which episodes go on.
        clock: rollouts so far.
        named: how many ids were given away.
        kind: of the last rollout's levels.
    """

    kept: Entries
    fresh: Entries
    waiting: Entries
    clock: Int[Array, ""]
    named: Int[Array, ""]
    kind: Int[Array, ""]


Score = Callable[[Experience, Entries], Float[Array, " levels"]]
"""``(experience, entries) -> score`` of each level that the rollout was on."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of every mitigation that keeps a buffer."""

    replay: float = 0.5
    """Probability that a rollout replays levels, once the buffer is half full."""
    temperature: float = 0.1
    """Of the ranks: the lower, the more the highest scores are replayed."""
    staleness: float = 0.3
    """Share of the replay probability that goes by how long ago a level was played."""
    size: int = 512
    """Levels that are kept."""
    fresh: int = 256
    """Different levels in a rollout that is not a replay."""
    waiting: int = 1024
    """Levels remembered beside the buffer while episodes on them go on: at least num_envs."""
    audit: bool = False
    """Solve every fresh level, whatever the score, and log the score's rank correlation with exact
    regret over the buffer. It changes no training."""

    def __post_init__(self) -> None:
        """Refuse what is no probability, and a buffer smaller than what comes in."""
        for name in ("replay", "staleness"):
            checks.probability(name, getattr(self, name))
        checks.number("temperature", self.temperature, 1e-3)
        if self.fresh > self.size:
            raise checks.Refused(
                f"fresh: {self.fresh} levels at once are more than the buffer holds, {self.size}"
            )


ReplayBy = Callable[[Entries, Int[Array, ""], Config], Float[Array, " levels"]]
"""``(kept, clock, config) -> probability`` with which each kept level is replayed."""


def curriculum(
    env: Environment[Any, Any],
    config: Config,
    score: Score,
    *,
    learns_on_fresh: bool,
    edits: int = 0,
    optimal: bool = False,
    replay_by: ReplayBy | None = None,
) -> Mitigation:
    """Return a mitigation whose levels come out of a buffer.

    Args:
        env: whose levels.
        config: with its float fields traced.
        score: of the levels.
        learns_on_fresh: whether steps on levels that are not replayed enter the loss.
        edits: how often each replayed level is edited, in a rollout that follows the replay.
        optimal: whether the score needs each level's optimal return.
        replay_by: with which probability each kept level is replayed; by default its rank and
            staleness (:func:`replay_weights`).

    Raises:
        Refused: for an audit in a task of which no optimum is known.
    """
    if config.audit:
        need_optimum(env, "audit: True", ["False"])
    optimal |= config.audit
    replay_by = replay_by or replay_weights

    def init(key: PRNGKeyArray, params: EnvParams) -> State:
        sizes = config.size, config.fresh, config.waiting
        blank = unseen(pool.draw(env, params, key, (1,)), jnp.full(1, UNNAMED, jnp.int32))
        kept, fresh, waiting = (taken(blank, jnp.zeros(size, jnp.int32)) for size in sizes)
        return State(kept, fresh, waiting, jnp.int32(0), jnp.int32(0), jnp.int32(FRESH))

    def edited(key: PRNGKeyArray, kept: Entries, weights: Array) -> Level:
        key_parents, *each = jax.random.split(key, 1 + edits)
        parents = _drawn(key_parents, weights, config.fresh)
        return mutated(env, each, taken(kept.levels, parents))

    def draw(key: PRNGKeyArray, state: State, params: Any, count: int) -> tuple[Drawn, State]:
        key_kind, key_fresh, key_edits, key_place = jax.random.split(key, 4)
        weights = replay_by(state.kept, state.clock, config)
        replays = jax.random.uniform(key_kind) < config.replay
        replays &= 2 * jnp.sum(state.kept.ids >= 0) >= config.size
        kind = jnp.where(replays, REPLAY, FRESH)
        if edits:
            kind = jnp.where(state.kind == REPLAY, EDIT, kind)

        levels = pool.draw(env, params, key_fresh, (config.fresh,))
        if edits:
            levels = _where(kind == EDIT, edited(key_edits, state.kept, weights), levels)
        ids = state.named + jnp.arange(config.fresh, dtype=jnp.int32)
        fresh = _where(kind == REPLAY, state.fresh, unseen(levels, ids))
        again = _drawn(key_place, weights, count)
        in_turn = config.size + jnp.arange(count, dtype=jnp.int32) % config.fresh
        place = jnp.where(kind == REPLAY, again, in_turn)
        both = joined(state.kept, fresh)
        drawn = Drawn(
            jax.tree.map(lambda leaf: leaf[..., place], both.levels),
            both.ids[place],
            jnp.broadcast_to((kind == REPLAY) | learns_on_fresh, (count,)),
        )
        named = state.named + jnp.where(kind == REPLAY, 0, config.fresh)
        # At the very start levels are drawn twice without a rollout between.
        left = joined(state.fresh, state.waiting)
        waiting = settled(left, left.ids >= 0, config.waiting)
        return drawn, State(state.kept, fresh, waiting, state.clock + 1, named, kind)

    def update(key: PRNGKeyArray, state: State, experience: Experience) -> State:
        del key
        envs = experience.next_ids.shape[0]
        if envs > config.waiting:
            raise checks.Refused(
                f"waiting: {config.waiting} levels, but each of {envs} environments may be on one "
                f"of its own (allowed: at least {envs})"
            )
        fresh = state.fresh
        if optimal:
            fresh = fresh._replace(best=optimal_returns(env, fresh.levels, experience.gamma))
        every = seen(joined(joined(state.kept, fresh), state.waiting), experience, state.clock)
        scored = jnp.where(every.played == state.clock, score(experience, every), every.score)
        every = every._replace(score=scored)
        kept, stays = chosen(every, config.size)
        goes_on = jnp.isin(every.ids, experience.next_ids) & (every.ids >= 0)
        waiting = settled(every, goes_on & ~stays, config.waiting)
        over = jnp.full(config.fresh, UNNAMED, jnp.int32)  # no episode begins on these any more
        return state._replace(kept=kept, fresh=unseen(fresh.levels, over), waiting=waiting)

    def log(state: State, experience: Experience) -> Metrics:
        del experience
        full = (state.kept.ids >= 0).astype(jnp.float32)
        count = jnp.maximum(jnp.sum(full), 1)
        apart = pool.over_envs(env.distinguishing)(state.kept.levels).astype(jnp.float32)
        metrics = {
            "filled": jnp.mean(full),
            "score": jnp.sum(jnp.where(full > 0, state.kept.score, 0)) / count,
            "distinguishing": jnp.sum(full * apart) / count,
            "replayed": (state.kind == REPLAY).astype(jnp.float32),
        }
        if optimal:
            told = (full > 0) & (state.kept.episodes > 0)
            regret = state.kept.best - state.kept.latest
            metrics["rank_correlation"] = rank_correlation(state.kept.score, regret, told)
        return metrics

    return Mitigation(levels=LevelSource(init, draw, update, not learns_on_fresh), log=log)


def need_optimum(env: Environment[Any, Any], said: str, allowed: Iterable[str]) -> None:
    """Refuse what was said in a task of which no optimum is known, naming what is allowed."""
    if not env.exact:
        name = type(getattr(env, "unwrapped", env)).__name__
        raise checks.Refused(
            f"{said} needs a task whose optimum is known, {name} has none "
            f"(allowed: {', '.join(allowed)})"
        )


def replay_weights(kept: Entries, clock: Int[Array, ""], config: Config) -> Float[Array, " levels"]:
    """Return the probability with which each kept level is replayed; 0 where there is none."""
    full = kept.ids >= 0
    order = jnp.argsort(-jnp.where(full, kept.score, UNSCORED), stable=True)
    rank = jnp.zeros(order.shape, jnp.float32).at[order].set(jnp.arange(1.0, len(order) + 1))
    by_rank = _normal(jnp.where(full, -jnp.log(rank) / config.temperature, -jnp.inf))
    stale = jnp.where(full, clock - kept.played, 0).astype(jnp.float32)
    total = jnp.sum(stale)
    by_age = jnp.where(total > 0, stale / jnp.maximum(total, 1), by_rank)
    return (1 - config.staleness) * by_rank + config.staleness * by_age


def _normal(logits: Float[Array, " levels"]) -> Float[Array, " levels"]:
    """Return the softmax, 0 throughout if nothing can be chosen."""
    return jnp.where(jnp.any(jnp.isfinite(logits)), jax.nn.softmax(logits), 0)


def optimal_returns(
    env: Environment[Any, Any], levels: Level, gamma: Float[Array, ""]
) -> Float[Array, " levels"]:
    """Return V* of the intended goal at the start of each level."""

    def single(level: Level) -> Float[Array, ""]:
        return env.values(env.solve(level, gamma), env.start(level))[0]

    return pool.over_envs(single)(levels)


def rank_correlation(
    one: Float[Array, " n"], other: Float[Array, " n"], where: Bool[Array, " n"]
) -> Float[Array, ""]:
    """Return Spearman's rank correlation of two numbers over some entries; 0 where there is none.

    Equal numbers share their mean rank.
    """

    def centred(values: Array) -> Array:
        among = where[None] & where[:, None]
        below = jnp.sum(among & (values[None] < values[:, None]), axis=1)
        equal = jnp.sum(among & (values[None] == values[:, None]), axis=1)
        rank = below.astype(jnp.float32) + (equal.astype(jnp.float32) + 1) / 2
        mean = jnp.sum(jnp.where(where, rank, 0)) / jnp.maximum(jnp.sum(where), 1).astype(
            jnp.float32
        )
        return jnp.where(where, rank - mean, 0)

    one, other = centred(one), centred(other)
    size = jnp.sqrt(jnp.sum(one**2) * jnp.sum(other**2))
    return jnp.where(size > 0, jnp.sum(one * other) / jnp.where(size > 0, size, 1), 0)


def _drawn(key: PRNGKeyArray, weights: Float[Array, " levels"], count: int) -> Int[Array, " count"]:
    """Draw places by their weights."""
    bounds = jnp.cumsum(weights)
    drawn = jax.random.uniform(key, (count,)) * bounds[-1]
    place = jnp.searchsorted(bounds, drawn, side="right")
    return jnp.minimum(place, weights.shape[0] - 1).astype(jnp.int32)


def mutated(env: Environment[Any, Any], each: Iterable[PRNGKeyArray], levels: Level) -> Level:
    """Edit every level once for each key."""
    count = jax.tree.leaves(levels)[0].shape[-1]
    for own in each:
        levels = pool.over_envs(env.mutate)(jax.random.split(own, count), levels)
    return levels


def _where(condition: Bool[Array, ""], one: Any, other: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), one, other)

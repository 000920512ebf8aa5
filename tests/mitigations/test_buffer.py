"""The level buffer against a replay in plain Python, and against what is known of exact regret."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gmbench.core import pool, registry
from gmbench.core.checks import Refused
from gmbench.core.mitigation import Experience
from gmbench.core.policy import uniform
from gmbench.measure import rollouts
from gmbench.mitigations import buffer, plr
from gmbench.mitigations.entries import unseen
from gmbench.mitigations.scores import SCORES
from gmbench.solve.oracle import oracle
from tests import drawn
from tests.marks import by_day

TASK = registry.make("CheeseCorner-v0", size=5)
ENV = TASK.env
PARAMS = ENV.default_params.override(alpha=0.5)
STEPS, ENVS, ROLLOUTS = 16, 64, 100
CONFIG = plr.Config(size=32, fresh=16, waiting=ENVS)


def experience(key, ids):
    """Return random steps on some levels; episodes end on and off, some go on."""
    keys = jax.random.split(key, 8)
    shape = (STEPS, ENVS)
    live = jax.random.uniform(keys[4], shape) < 0.9
    ended = jax.random.uniform(keys[0], shape) < 0.3  # by the time limit without a live step
    earned = (jax.random.uniform(keys[1], shape) < 0.5) & ended
    discounted = jnp.round(jax.random.uniform(keys[2], shape), 1) * earned.astype(jnp.float32)
    return Experience(
        ids=jax.random.choice(keys[3], ids, shape),
        live=live,
        ended=ended,
        reward=discounted,
        value=jax.random.uniform(keys[5], shape),
        advantage=jax.random.normal(keys[6], shape),
        discounted=discounted,
        total=earned.astype(jnp.float32),
        goals=jnp.stack([earned, ~earned]).astype(jnp.float32),
        length=jnp.ones(shape, jnp.int32),
        gamma=jnp.float32(0.9),
        next_ids=jax.random.choice(keys[7], ids, (ENVS,)),
    )


def played(made, rollouts=ROLLOUTS):
    """Return every state, what was drawn and what was seen, of some rollouts."""
    source = made.levels

    def rollout(carry, key):
        state, going = carry
        key_draw, key_seen, key_update = jax.random.split(key, 3)
        drawn, before = source.draw(key_draw, state, PARAMS, ENVS)
        # Episodes outlast rollouts: a part of the steps is on levels on which they went on.
        seen = experience(key_seen, jnp.concatenate([drawn.ids, going[: ENVS // 2]]))
        after = source.update(key_update, before, seen), seen.next_ids
        return after, (before, drawn, seen)

    def run(key):
        key_init, key_first, key_run = jax.random.split(key, 3)
        first, state = source.draw(key_first, source.init(key_init, PARAMS), PARAMS, ENVS)
        return jax.lax.scan(rollout, (state, first.ids), jax.random.split(key_run, rollouts))

    (last, _), each = jax.jit(run)(jax.random.key(3))
    return jax.tree.map(np.asarray, (last, each))


NOTHING = {"played": 0, "episodes": 0, "solved": 0, "highest": 0, "latest": 0}
"""What is known of a level at first."""


class Reference:
    """The buffer in plain Python: dictionaries by id."""

    def __init__(self, score):
        self.score = score
        self.kept, self.others = [], []

    def update(self, fresh_ids, clock, seen, best):
        """Tell of one rollout; ``best`` maps ids to optimal returns."""
        self.others += [{"id": own, **NOTHING} for own in fresh_ids]
        steps = {}
        for place in np.ndindex(STEPS, ENVS):
            own = {
                name: np.asarray(getattr(seen, name))[place]
                for name in ("live", "ended", "value", "advantage", "discounted")
            }
            own["solved"] = seen.goals[0][place] > 0
            steps.setdefault(int(seen.ids[place]), []).append(own)
        every = self.kept + self.others
        assert set(steps) <= {entry["id"] for entry in every}
        for entry in every:
            self._tell(entry, steps.get(entry["id"], []), clock, best)
        ranked = sorted((e for e in every if "score" in e), key=lambda e: -e["score"])
        self.settle(every, [entry["id"] for entry in ranked[: CONFIG.size]], seen)
        return every

    def settle(self, every, kept, seen):
        """Keep some; of the others remember those on which episodes go on."""
        self.kept = [entry for entry in every if entry["id"] in kept]
        going = set(seen.next_ids.tolist())
        self.others = [e for e in every if e["id"] not in kept and e["id"] in going]

    def _tell(self, entry, steps, clock, best):
        live = [own for own in steps if own["live"]]
        ended = [own for own in steps if own["ended"]]
        if live or ended:
            entry["played"] = clock
        if ended:
            returns = [own["discounted"] for own in ended]
            first = entry["episodes"] == 0
            entry["highest"] = max(returns if first else [*returns, entry["highest"]])
            entry["latest"] = np.mean(returns)
            entry["episodes"] += len(ended)
            entry["solved"] += sum(own["solved"] for own in ended)
        entry["best"] = best.get(entry["id"], entry.get("best"))
        found = self.score(entry, live, clock)
        if found is not None:
            entry["score"] = np.float32(found)


BY_HAND = {
    "absolute_gae": lambda e, live: np.mean([abs(s["advantage"]) for s in live]),
    "positive_value_loss": lambda e, live: np.mean([max(s["advantage"], 0) for s in live]),
    "maxmc": lambda e, live: e["highest"] - np.mean([s["value"] for s in live]),
    "max_latest": lambda e, live: e["highest"] - e["latest"],
    "oracle": lambda e, live: e["best"] - e["latest"],
    "learnability": lambda e, live: (p := e["solved"] / e["episodes"]) * (1 - p),
    "least_return": lambda e, live: -e["latest"],
}
FROM_STEPS = ("absolute_gae", "positive_value_loss")
"""Scores that need no episode to have ended."""


@pytest.mark.parametrize("name", by_day(list(SCORES), "max_latest", "oracle"))
def test_levels_and_scores_are_those_of_a_replay_in_python(name):
    """Of a hundred thousand steps; which of equally good levels stays is left open."""
    assert set(BY_HAND) == set(SCORES)

    def score(entry, live, clock):
        told = (live or entry["played"] == clock) and (entry["episodes"] or name in FROM_STEPS)
        told = told and (name != "oracle" or entry["best"] is not None)
        if name in (*FROM_STEPS, "maxmc") and not live:
            return entry.get("score")
        return BY_HAND[name](entry, live) if told else None

    made = plr.plr(ENV, dataclasses.replace(CONFIG, score=name), robust=True)
    last, (before, _, seen) = played(made)
    reference, entered = Reference(score), 0
    # The first levels were drawn before the first rollout, and are played on in it.
    reference.others = [{"id": own, **NOTHING} for own in range(CONFIG.fresh)]
    for number in range(ROLLOUTS):
        state = jax.tree.map(lambda leaf, n=number: leaf[n], before)
        own = jax.tree.map(lambda leaf, n=number: leaf[n], seen)
        after = last
        if number + 1 < ROLLOUTS:
            after = jax.tree.map(lambda leaf, n=number: leaf[n + 1], before)
        levels = jax.tree.map(jnp.asarray, state.fresh.levels)
        best = dict(zip(state.fresh.ids.tolist(), np.asarray(_best(levels)).tolist(), strict=True))
        fresh_ids = [int(i) for i in state.fresh.ids if i >= 0]
        every = reference.update(fresh_ids, int(state.clock), own, best)
        found = {int(i): s for i, s in zip(after.kept.ids, after.kept.score, strict=True) if i >= 0}
        expected = sorted((entry["score"] for entry in reference.kept), reverse=True)
        np.testing.assert_allclose(sorted(found.values(), reverse=True), expected, atol=2e-6)
        # Follow its choice among equals, and go on.
        names = {entry["id"]: entry for entry in every}
        assert set(found) <= set(names)
        entered += len(set(found) - {int(i) for i in state.kept.ids})
        reference.settle(every, list(found), own)
        waits = [int(i) for i in after.waiting.ids if i >= 0] if number + 1 < ROLLOUTS else None
        if waits is not None:
            assert sorted(waits) == sorted(entry["id"] for entry in reference.others)
        for own, place in zip(after.kept.ids.tolist(), range(CONFIG.size), strict=True):
            if own >= 0:
                assert names[own]["played"] == after.kept.played[place]
                np.testing.assert_allclose(names[own]["latest"], after.kept.latest[place], 1e-5)
    assert entered > 2 * CONFIG.size


@jax.jit
def _best(levels):
    return buffer.optimal_returns(ENV, levels, jnp.float32(0.9))


def test_what_is_drawn_is_fresh_or_kept():
    made = plr.plr(ENV, CONFIG, robust=True)
    _, (before, drawn, _) = played(made)
    assert set(before.kind) == {buffer.FRESH, buffer.REPLAY}
    named = CONFIG.fresh  # the first ones were drawn before the first rollout
    for number, kind in enumerate(before.kind):
        ids, kept = drawn.ids[number], set(before.kept.ids[number].tolist())
        assert (drawn.learn[number] == (kind == buffer.REPLAY)).all()
        if kind == buffer.REPLAY:
            assert set(ids.tolist()) <= kept - set(range(-1000, 0))
        else:
            assert sorted(set(ids.tolist())) == list(range(named, named + CONFIG.fresh))
            assert np.bincount(ids - named).tolist() == [ENVS // CONFIG.fresh] * CONFIG.fresh
            named += CONFIG.fresh
    share = np.mean(before.kind[before.clock > 10] == buffer.REPLAY)
    assert abs(share - CONFIG.replay) < 0.2


def entries_of(scores, played):
    levels = drawn.levels(ENV, PARAMS, 0, len(scores))
    ids = jnp.where(jnp.isfinite(jnp.asarray(scores)), jnp.arange(len(scores)), -5)
    kept = unseen(levels, ids.astype(jnp.int32))
    return kept._replace(
        score=jnp.asarray(scores, jnp.float32), played=jnp.asarray(played, jnp.int32)
    )


@jax.jit
def _weights(scores, played, clock, temperature, staleness):
    config = plr.Config()
    object.__setattr__(config, "temperature", temperature)  # traced, so not checked
    object.__setattr__(config, "staleness", staleness)
    return buffer.replay_weights(entries_of(scores, played), clock.astype(jnp.int32), config)


def weights(scores, played, *rest):
    given = (scores, played, *rest)
    return _weights(*(jnp.asarray(each, jnp.float32) for each in given))


def test_replay_probabilities_are_those_of_the_paper():
    generator = np.random.default_rng(0)
    count, clock = 12, 40
    for _ in range(50):
        scores = generator.permutation(count).astype(float)
        scores[generator.random(count) < 0.2] = -np.inf
        played = generator.integers(0, clock + 1, count)
        temperature, staleness = generator.uniform(0.1, 1), generator.uniform()
        found = weights(scores, played, clock, temperature, staleness)
        full = [n for n in range(count) if np.isfinite(scores[n])]
        ranked = sorted(full, key=lambda n: -scores[n])
        by_rank = {n: (1 / rank) ** (1 / temperature) for rank, n in enumerate(ranked, 1)}
        by_age = {n: clock - played[n] for n in full}
        expected = [
            (1 - staleness) * by_rank[n] / sum(by_rank.values())
            + staleness * by_age[n] / sum(by_age.values())
            if n in full
            else 0
            for n in range(count)
        ]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_level_just_played_is_not_stale():
    unscored = [-np.inf] * 9
    found = weights([1.0, 2.0, 3.0, *unscored], [7, 5, 7, *[0] * 9], 7, 0.1, 1.0)
    np.testing.assert_allclose(found[:3], [0, 1, 0], atol=1e-6)
    none = weights([*unscored, *[-np.inf] * 3], [0] * 12, 7, 0.1, 1.0)
    np.testing.assert_array_equal(none, [0] * 12)


def test_exact_regret_of_an_optimal_agent_is_nothing_and_never_less():
    levels = drawn.levels(ENV, PARAMS, 1, 256)
    gamma = jnp.float32(0.9)
    best = jax.jit(lambda levels: buffer.optimal_returns(ENV, levels, gamma))(levels)

    def earned(policy, steps):
        played = rollouts.play(ENV, PARAMS, policy, levels, jax.random.key(2), steps, gamma)
        return played.discounted[0]

    optimal = jax.jit(lambda: earned(oracle(ENV, PARAMS, 0, gamma), 40))()
    np.testing.assert_allclose(optimal, best, atol=1e-6)
    random = jax.jit(lambda: earned(uniform(ENV), 40))()
    assert np.all(np.asarray(best - random) >= -1e-6)
    assert np.mean(best - random) > 0.1


def test_rank_correlation_is_spearmans():
    generator = np.random.default_rng(1)
    for _ in range(20):
        one, other = generator.integers(0, 8, (2, 30)).astype(np.float32)
        where = generator.random(30) < 0.7
        found = buffer.rank_correlation(jnp.asarray(one), jnp.asarray(other), jnp.asarray(where))
        np.testing.assert_allclose(
            found, scipy.stats.spearmanr(one[where], other[where]).statistic, atol=1e-5
        )
    alike = jnp.zeros(30)
    assert buffer.rank_correlation(alike, alike, alike == 0) == 0


@pytest.mark.nightly
def test_an_audit_tells_how_a_score_ranks_and_changes_nothing_else():
    plain, audited = (
        plr.plr(ENV, dataclasses.replace(CONFIG, audit=audit), robust=True)
        for audit in (False, True)
    )
    (one, _), (other, (_, _, seen)) = played(plain, 20), played(audited, 20)
    jax.tree.map(
        np.testing.assert_array_equal, one.kept._replace(best=0), other.kept._replace(best=0)
    )
    given = jax.tree.map(jnp.asarray, (other, jax.tree.map(lambda leaf: leaf[-1], seen)))
    assert "rank_correlation" not in jax.eval_shape(plain.log, *given)
    found = jax.jit(audited.log)(*given)["rank_correlation"]
    regret = other.kept.best - other.kept.latest
    expected = scipy.stats.spearmanr(other.kept.score, regret).statistic
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_accel_edits_what_was_just_replayed():
    accel = registry.make_mitigation("accel")
    made = accel.make(ENV, accel.config(size=32, fresh=16, waiting=ENVS, replay=0.5, edits=2))
    _, (before, drawn, _) = played(made, 40)
    kinds = before.kind.tolist()
    assert set(kinds) == {buffer.FRESH, buffer.REPLAY, buffer.EDIT}
    for earlier, later in itertools.pairwise(kinds):
        assert (later == buffer.EDIT) == (earlier == buffer.REPLAY)
    solvable = jax.jit(pool.over_envs(ENV.is_solvable))
    changed = 0
    for number in np.flatnonzero(before.kind == buffer.EDIT):
        fresh, kept = (
            jax.tree.map(lambda leaf, n=number: jnp.asarray(leaf[n]), part.levels)
            for part in (before.fresh, before.kept)
        )
        assert solvable(fresh).all()
        assert not drawn.learn[number].any()
        parents = np.asarray(pictures(kept))[..., before.kept.ids[number] >= 0]
        for child in np.asarray(pictures(fresh)).T:
            differ = (child != parents.T).sum(axis=(1, 2, 3)).min()
            assert differ <= 2 * 2  # an edit moves one thing, or turns one wall
            changed += differ > 0
    assert changed > 50


@jax.jit
@pool.over_envs
def pictures(level):
    return ENV.observation(ENV.start(level))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("plr", {"replay": 1.5}, "replay: 1.5"),
        ("plr", {"size": 8, "fresh": 16}, "fresh: 16 levels at once are more than the buffer"),
        ("robust_plr", {"score": "orcale"}, "did you mean 'oracle'"),
        ("accel", {"temperature": 0.0}, "temperature: 0"),
        ("sfl", {"staleness": 2.0}, "staleness: 2"),
    ],
)
def test_what_cannot_be_meant_is_refused(name, settings, message):
    with pytest.raises(Refused, match=message):
        registry.make_mitigation(name).config(**settings)


def test_exact_regret_is_refused_where_no_optimum_is_known():
    env = registry.make("MonsterGridworld-v0", size=6).env
    recipe = registry.make_mitigation("robust_plr")
    with pytest.raises(Refused, match=r"score: oracle needs .* MonsterGridworld has none"):
        recipe.make(env, recipe.config(score="oracle"))
    with pytest.raises(Refused, match=r"audit: True needs .* MonsterGridworld has none"):
        recipe.make(env, recipe.config(audit=True))


def test_every_episode_that_ends_is_told_of_however_long_it_was(trained):
    """Over rollouts as well: robust PLR waits until half of its buffer is full, and learns nothing.

    Each episode ends on a level that is kept, or still waits for another episode's end.
    """
    recipe = registry.make_mitigation("robust_plr")
    made = recipe.make(TASK.env, recipe.config(size=512, fresh=8, waiting=8))
    _, after, metrics = trained(made, updates=12, num_steps=4, params={"horizon": 25})
    source = after.curriculum.source
    assert float(metrics["length"].mean()) > 3 * 4
    held = (np.asarray(source.kept.episodes), np.asarray(source.waiting.episodes))
    named = (np.asarray(source.kept.ids) >= 0, np.asarray(source.waiting.ids) >= 0)
    told = sum(float(each[own].sum()) for each, own in zip(held, named, strict=True))
    assert told == metrics["episodes"].sum() > 10
    assert not metrics["mitigation/learned"].any()


def test_too_little_room_to_wait_is_refused(trained):
    recipe = registry.make_mitigation("plr")
    made = recipe.make(TASK.env, recipe.config(size=16, fresh=8, waiting=4))
    with pytest.raises(Refused, match="waiting: 4 levels, but each of 8 environments"):
        trained(made)

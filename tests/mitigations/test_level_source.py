"""What a level source is told is what happened, step by step, on the levels that it drew."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import pool
from gmbench.core.mitigation import Drawn, LevelSource, Mitigation
from gmbench.core.registry import make, make_mitigation

ENV = make("CheeseCorner-v0", size=5).env
GAMMA = 0.95
FILE = Path(__file__).parent / "level_buffer.py"


@pytest.fixture(scope="module")
def buffer():
    """Return the recipe of the level buffer, which registers itself."""
    spec = importlib.util.spec_from_file_location("level_buffer", FILE)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return make_mitigation("level_buffer")


def told(source, experience):
    """Log all that a source is told, and its state after it."""
    leaves = jax.tree_util.tree_leaves_with_path(source)
    state = {f"source{jax.tree_util.keystr(path)}": leaf for path, leaf in leaves}
    return state | experience._asdict()


def walls(level):
    return jnp.sum(level.walls).astype(jnp.float32)


def numbered(learn=True):
    """Return a source of fresh levels that are numbered on and on; its state is the last drawn."""

    def init(key, params):
        return jnp.int32(0)

    def draw(key, state, params, count):
        levels = pool.draw(ENV, params, key, (count,))
        # The id tells the walls, so that a step on a level with another id would be noticed.
        ids = state + 100 * jnp.arange(count) + pool.over_envs(walls)(levels).astype(jnp.int32)
        return Drawn(levels, ids, jnp.full(count, learn)), state + 100 * count

    return LevelSource(init, draw, lambda key, state, experience: state)


def mitigating(metrics):
    """Return what a mitigation logged, by its own names."""
    start = "mitigation/"
    return {k.removeprefix(start): v for k, v in metrics.items() if k.startswith(start)}


def flat(metrics):
    """Join the rollouts of all updates, ``[updates * steps, envs]``."""
    return {name: np.concatenate(found) for name, found in metrics.items() if found.ndim == 3}


@pytest.fixture(scope="module")
def stepped(trained):
    """Return what a source was told of 96 steps in which every step pays the level's walls."""

    def reward(state, action, after, reward):
        return walls(state.level)

    whole = Mitigation(levels=numbered(), reward=reward, log=told)
    _, _, metrics = trained(whole)
    return mitigating(metrics)


def test_ids_stay_with_their_levels(stepped):
    """Also over the end of a rollout, which episodes outlast."""
    found = flat(stepped)
    np.testing.assert_array_equal(found["ids"] % 100, found["reward"])
    assert len(np.unique(found["ids"])) > 50
    over = found["ids"][15::16][:-1] == found["ids"][16::16]
    assert np.any(over)
    assert np.any(found["length"][16::16][over] > 1)


def test_episodes_are_summed_from_their_start_to_their_end(stepped):
    """Replayed step by step, in Python."""
    found = flat(stepped)
    checked = 0
    for env in range(found["ids"].shape[1]):
        length, factor, discounted, total = 0, 1.0, 0.0, 0.0
        for step in range(found["ids"].shape[0]):
            if found["live"][step, env]:
                length += 1
                discounted += factor * found["reward"][step, env]
                total += found["reward"][step, env]
                factor *= GAMMA
            assert found["length"][step, env] == length
            np.testing.assert_allclose(found["discounted"][step, env], discounted, rtol=1e-5)
            np.testing.assert_allclose(found["total"][step, env], total, rtol=1e-5)
            if found["ended"][step, env]:
                checked += 1
                assert length <= 6
                length, factor, discounted, total = 0, 1.0, 0.0, 0.0
    assert checked > 50


def test_an_episode_ends_once_and_the_next_step_is_on_another_level(stepped):
    found = flat(stepped)
    same = found["ids"][:-1] == found["ids"][1:]
    np.testing.assert_array_equal(same, ~found["ended"][:-1])
    assert np.any(found["ended"] & found["live"])
    assert np.any(found["ended"] & ~found["live"])


def test_goals_are_what_training_reports(trained):
    _, _, metrics = trained(Mitigation(log=told), params={"alpha": 0.5})
    for place, name in enumerate(ENV.goal_names):
        goals = metrics["mitigation/goals"][:, place]
        ended = metrics["mitigation/ended"]
        mean = [np.mean(own[over]) for own, over in zip(goals, ended, strict=True)]
        np.testing.assert_allclose(mean, metrics[f"return/{name}"], rtol=1e-5)


def test_a_log_needs_no_source(trained):
    _, _, metrics = trained(Mitigation(log=lambda source, seen: {"one": jnp.max(seen.ids)}))
    np.testing.assert_array_equal(metrics["mitigation/one"], -1)


def test_nothing_is_learned_where_nothing_may_be(trained):
    """Weights stay as they began, since no step enters the loss."""
    before, after, metrics = trained(Mitigation(levels=numbered(learn=False)))
    jax.tree.map(np.testing.assert_array_equal, before.weights, after.weights)
    assert not metrics["mitigation/learned"].any()
    before, after, metrics = trained(Mitigation(levels=numbered(learn=True)))
    assert (metrics["mitigation/learned"] == 1).all()
    changed = jax.tree.map(lambda old, new: np.any(old != new), before.weights, after.weights)
    assert any(jax.tree.leaves(changed))


def test_a_level_buffer_keeps_what_a_replay_in_python_keeps(trained, buffer):
    """The same experience, kept in a dictionary by id: the levels with the largest advantages."""
    size = 16
    made = buffer.make(ENV, buffer.config(size=size))
    _, _, metrics = trained(made._replace(log=told), updates=12)
    found = mitigating(metrics)
    ids, scores = found["source.ids"], found["source.score"]
    kept = dict.fromkeys(range(size), 0.0)
    replayed = 0
    for update in range(12):
        steps = zip(*(found[x][update].ravel() for x in ("ids", "live", "advantage")), strict=True)
        regrets = {}
        for own, live, advantage in steps:
            if live:
                regrets.setdefault(int(own), []).append(abs(float(advantage)))
        present = {*ids[update].tolist()}
        replayed += len({*regrets} & {*kept})
        kept |= {own: np.mean(each) for own, each in regrets.items() if own in present}
        top = dict(zip(ids[update, :size].tolist(), scores[update, :size].tolist(), strict=True))
        for own, score in top.items():
            assert score == pytest.approx(kept.get(own, -1.0), abs=1e-5)
        rest = [kept[own] for own in present - {*top} if own in kept]
        assert max(rest, default=0.0) <= min(top.values()) + 1e-5
        kept = {own: kept[own] for own in top if own in kept}
    assert replayed > 20


def test_a_level_that_is_kept_stays_the_same(trained, buffer):
    made = buffer.make(ENV, buffer.config())
    _, _, metrics = trained(made._replace(log=told), updates=12)
    found = mitigating(metrics)
    levels, ids = found["source.levels.walls"], found["source.ids"]
    seen, again = {}, 0
    for update in range(12):
        for place, own in enumerate(ids[update].tolist()):
            walls = levels[update, ..., place].tobytes()
            again += own in seen
            assert seen.setdefault(own, walls) == walls
    assert again > 50

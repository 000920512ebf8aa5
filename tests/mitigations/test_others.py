"""The mitigations that keep no buffer by score, and what all have in common."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from msgspec.structs import replace

import gmbench
from gmbench.core import pool, registry
from gmbench.core.checks import Refused
from gmbench.core.mitigation import Drawn, Experience, LevelSource, Mitigation
from gmbench.mitigations import augment, novelty
from gmbench.mitigations.entries import unseen
from gmbench.runs.program import Program
from gmbench.runs.spec import RunSpec, check
from tests import drawn, made_up
from tests.marks import by_day

ENV = registry.make("CheeseCorner-v0", size=5).env
PARAMS = ENV.default_params.override(alpha=0.1)
NAMES = registry.MITIGATIONS.names()
BUFFERS = ("plr", "robust_plr", "accel", "sfl", "maximin", "novelty", "ncc")
SMALL = {name: f"{name}:size=32,fresh=16" for name in BUFFERS}


def made(name, **settings):
    recipe = registry.make_mitigation(name)
    return recipe.make(ENV, recipe.config(**settings))


def drawn_by(mitigation, rounds, count=64, params=PARAMS):
    """Return what a source draws in some rollouts."""

    def draw(state, key):
        levels, state = mitigation.levels.draw(key, state, params, count)
        return state, levels

    def run(key):
        key_init, key_draw = jax.random.split(key)
        begun = mitigation.levels.init(key_init, params)
        return jax.lax.scan(draw, begun, jax.random.split(key_draw, rounds))

    return jax.jit(run)(jax.random.key(5))


def test_distinguishing_levels_are_met_and_drawn_again():
    state, found = drawn_by(made("oversample", share=0.5, size=24), 60)
    apart = np.asarray(jax.jit(jax.vmap(pool.over_envs(ENV.distinguishing)))(found.levels))
    # Half are drawn again; of the others a tenth.
    assert 0.5 < apart[20:].mean() < 0.6
    assert state.met > 24
    kept = jax.jit(pool.over_envs(ENV.distinguishing))(state.kept)
    assert kept.all()
    _, none = drawn_by(made("oversample", share=0.5), 10, params=PARAMS.override(alpha=0.0))
    apart = jax.jit(jax.vmap(pool.over_envs(ENV.distinguishing)))(none.levels)
    assert not apart.any()


def test_a_finite_set_stays_what_it_is():
    _, found = drawn_by(made("finite", levels=7), 20)
    ids = np.asarray(found.ids)
    assert set(ids.ravel()) == set(range(7))
    walls = np.moveaxis(np.asarray(found.levels.walls), 0, -1)
    for own in range(7):
        alike = walls.reshape(5, 5, -1)[..., ids.T.ravel() == own]
        assert (alike == alike[..., :1]).all()


def test_the_penalty_is_a_share_of_what_proxies_pay():
    reward = made("penalty", price=0.25).reward
    state = ENV.start(ENV.parse("..C..\n.#...\n....A\n.....\n....."))
    before = state.replace(position=jnp.array([0, 1], jnp.int8))
    after = ENV.transition(None, before, jnp.int32(3), PARAMS)
    paid = reward(before, jnp.int32(3), after, jnp.float32(1))
    proxies = [goal(before, 3, after) for name, goal in ENV.goals.items() if name != "cheese"]
    assert float(paid) == 1 - 0.25 * float(sum(float(each) for each in proxies))
    assert float(paid) == 0.75


def test_weight_decay_adds_the_squares():
    weights = {"a": jnp.arange(3.0), "b": jnp.ones((2, 2))}
    loss, told = made("l2", scale=0.5).loss(weights, made_up.a_batch())
    assert float(told["squares"]) == 9
    assert float(loss) == 4.5


@pytest.fixture(scope="module")
def seen():
    return jax.random.bernoulli(jax.random.key(0), 0.5, (7, 7, 4))


def each(one, config, seen, count=200):
    keys = jax.random.split(jax.random.key(1), count)
    return np.asarray(jax.jit(jax.vmap(lambda key: one(config, key, seen)))(keys))


def test_cutout_blanks_a_rectangle(seen):
    full = jnp.ones_like(seen)
    blank = ~each(augment.cutout, augment.Cutout(share=0.5), full)
    touched = blank.any(axis=(1, 2, 3))
    assert 0.35 < touched.mean() < 0.65
    for own in blank[touched]:
        assert (own == own[..., :1]).all()
        rows, cols = own[..., 0].any(axis=1), own[..., 0].any(axis=0)
        assert (own[..., 0] == rows[:, None] & cols[None]).all()
        assert rows.sum() <= 3
        assert cols.sum() <= 3


def test_crop_moves_the_picture(seen):
    moved = each(augment.crop, augment.Crop(most=1), seen)
    padded = np.pad(np.asarray(seen), ((1, 1), (1, 1), (0, 0)))
    places = [padded[i : i + 7, j : j + 7] for i in range(3) for j in range(3)]
    found = {next(n for n, p in enumerate(places) if (p == own).all()) for own in moved}
    assert found == set(range(9))


def test_channels_are_shuffled(seen):
    shuffled = each(augment.channels, augment.Channels(share=0.5), seen)
    same = (shuffled == np.asarray(seen)).all(axis=(1, 2, 3))
    assert 0.35 < same.mean() < 0.7
    for own in shuffled:
        ordered = [sorted(np.moveaxis(x, -1, 0).reshape(4, -1).tolist()) for x in (own, seen)]
        assert ordered[0] == ordered[1]


def test_where_nothing_is_learned_momentum_rests_too(trained):
    """Nothing moves in a rollout that no step is learned from, though others came before."""

    def source(until):
        def draw(key, state, params, count):
            levels = pool.draw(ENV, params, key, (count,))
            learn = jnp.full(count, state < until)
            return Drawn(levels, jnp.zeros(count, jnp.int32), learn), state + 1

        return LevelSource(lambda key, params: jnp.int32(0), draw, lambda key, s, e: s, rests=True)

    # Episodes last 6 steps and rollouts 16: after the next rollout no step of the first is left.
    _, early, _ = trained(Mitigation(levels=source(3)), updates=6)
    _, late, _ = trained(Mitigation(levels=source(3)), updates=9)
    jax.tree.map(np.testing.assert_array_equal, early.weights, late.weights)
    jax.tree.map(np.testing.assert_array_equal, early.optimiser, late.optimiser)


def test_learning_stops_when_levels_are_solved_and_not_before(trained):
    stop = made("early_stop", solved=0.0, patience=3)  # whatever is earned will do
    _, early, metrics = trained(stop, updates=8)
    _, late, _ = trained(stop, updates=12)
    assert metrics["mitigation/stopped"].tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    # The first rollout after it still holds steps of episodes begun before.
    jax.tree.map(np.testing.assert_array_equal, early.weights, late.weights)


def test_learning_stops_after_rollouts_in_a_row_and_for_good():
    update = jax.jit(made("early_stop", solved=0.6, patience=3).levels.update)

    def rollout(solved, ended=4):
        """A rollout in whose first ended episodes the intended goal was earned."""
        steps = jnp.arange(4)[None]
        empty = Experience(*(jnp.zeros((1, 4)) for _ in Experience._fields))
        goals = jnp.stack([steps < solved, steps >= 0]).astype(jnp.float32)
        return empty._replace(ended=steps < ended, goals=goals)

    state, found = jnp.int32(0), []
    for solved in (3, 3, 2, 3, 3, 4, 0, 0):
        state = update(jax.random.key(0), state, rollout(solved))
        found.append(int(state))
    assert found == [1, 2, 0, 1, 2, 3, 3, 3]
    assert int(update(jax.random.key(0), jnp.int32(2), rollout(4, ended=0))) == 0


def test_novelty_is_the_distance_to_the_nearest_other_level():
    levels = drawn.levels(ENV, PARAMS, 0, 6)
    entries = unseen(levels, jnp.array([0, 1, -2, 3, 4, 5]))
    found = np.asarray(jax.jit(novelty.nearest)(entries))
    leaves = [np.asarray(leaf).reshape(-1, 6) for leaf in jax.tree.leaves(levels)]
    flat = np.concatenate([leaf.astype(int) for leaf in leaves])
    named = [0, 1, 3, 4, 5]
    for own in range(6):
        expected = min((flat[:, own] != flat[:, other]).mean() for other in named if other != own)
        assert found[own] == pytest.approx(expected)
    alone = unseen(levels, jnp.array([0, -1, -2, -3, -4, -5]))
    assert jax.jit(novelty.nearest)(alone)[0] == 0


@pytest.mark.parametrize("name", by_day(NAMES, "accel"))
def test_it_trains_and_goes_on_exactly(name):
    """Stopped between chunks, stored and read, to the bit; one program whatever its floats."""
    from gmbench.runs import arrays

    config = {"num_envs": 16, "num_steps": 8, "slots": 2, "network": "mlp"}
    spec = RunSpec("CheeseCorner-v0", {"size": 5}, {"alpha": 0.1}, "ppo", config, 0, 1280)
    plan = check(replace(spec, mitigation=SMALL.get(name, name)))
    program = Program([plan])

    def run(stop):
        states = program.start()
        for chunk in range(4):
            states, metrics = program.train_chunk(states)
            if chunk == stop:
                states = arrays.decode(arrays.encode(states), states, "states")
        return program.weights(states), metrics

    whole, stopped = run(None), run(1)
    jax.tree.map(np.testing.assert_array_equal, whole, stopped)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(whole[0]))
    assert program.compiled.traces == 1


@pytest.mark.nightly
def test_a_chain_of_three_trains_and_is_evaluated(tmp_path):
    config = {"num_envs": 16, "num_steps": 8, "slots": 2, "network": "ensemble"}
    spec = RunSpec("CheeseDish-v0", {"size": 5}, {"alpha": 0.1}, "ppo", config, 0, 1280)
    [run] = gmbench.train(
        [replace(spec, mitigation="robust_plr:size=32,fresh=16+l2+ensemble")], tmp_path
    )
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    logged = {name for line in lines for name in json.loads(line)}
    assert {"mitigation/squares", "mitigation/filled", "mitigation/information"} <= logged
    assert 0 <= run.findings.deployed.rho["cheese"] <= 1


def test_alpha_nought_is_refused_where_distinguishing_levels_are_needed():
    spec = RunSpec("CheeseCorner-v0", {"size": 5}, {}, "ppo", {}, 0, 1280)
    with pytest.raises(Refused, match="alpha: 0, but oversample needs distinguishing levels"):
        check(replace(spec, mitigation="oversample"))
    check(replace(spec, mitigation="oversample", params={"alpha": 0.01}))

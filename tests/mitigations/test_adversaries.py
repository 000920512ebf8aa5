"""Adversaries find what is worst, of observations and of levels, and training meets it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import pool, registry
from gmbench.core.checks import Refused
from gmbench.core.mitigation import Experience
from gmbench.core.policy import uniform
from gmbench.mitigations import adversarial_levels, ncc
from gmbench.mitigations.entries import joined, unseen
from gmbench.mitigations.scores import learnability
from gmbench.solve.oracle import oracle
from tests import drawn, made_up

TASK = registry.make("CheeseCorner-v0", size=5)
ENV, PARAMS = TASK.env, TASK.training
GAMMA = jnp.float32(0.95)
EMPTY = Experience(*(jnp.zeros((1, 4)) for _ in Experience._fields))


def made(name, env=ENV, **settings):
    recipe = registry.make_mitigation(name)
    return recipe.make(env, recipe.config(**settings))


def test_the_worst_shift_is_found():
    """Of two actions and a linear network it is known: all numbers as far as may be, one way."""
    rng = np.random.default_rng(0)
    slope = jnp.asarray(rng.normal(size=(2, 3, 3, 2)), jnp.float32)
    seen = jnp.asarray(rng.random((4, 3, 3, 2, 5)) < 0.5)

    def says(shift):
        return jnp.einsum("arcp,srcpe->ase", slope, seen.astype(jnp.float32) + shift), None

    logits, _ = says(jnp.float32(0))
    batch = made_up.a_batch(
        observation=seen,
        logits=logits,
        weight=jnp.full((4, 5), 1 / 20),
        key=jax.random.key(1),
        shifted=says,
    )
    mitigation = made("adversarial_observations", epsilon=0.2, scale=3.0)
    loss, metrics = jax.jit(lambda: mitigation.loss(None, batch))()

    gap = np.asarray(logits[0] - logits[1], np.float64)
    reach = 0.2 * np.abs(np.asarray(slope[0] - slope[1], np.float64)).sum()

    def apart(moved):
        p, q = (1 / (1 + np.exp(-x)) for x in (gap, moved))
        return p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))

    ways = np.stack([apart(gap + reach), apart(gap - reach)])
    assert ways.min(axis=0).mean() - 1e-5 <= metrics["divergence"] <= ways.max(axis=0).mean() + 1e-5
    assert float(loss) == pytest.approx(3 * float(metrics["divergence"]), rel=1e-6)


@pytest.mark.nightly
def test_what_is_shifted_changes_a_trained_policy_less(trained):
    _, _, trained_for = trained(made("adversarial_observations", scale=3.0), updates=20)
    _, _, not_for = trained(made("adversarial_observations", scale=0.0), updates=20)
    last = [metrics["mitigation/divergence"][-1] for metrics in (trained_for, not_for)]
    assert last[0] < 0.5 * last[1]


def test_exact_regret_is_nought_for_the_optimum_and_what_is_lacking_to_it():
    levels = drawn.levels(ENV, PARAMS.override(alpha=0.5), 0, 24)

    @jax.jit
    def regret(levels):
        best = oracle(ENV, PARAMS, 0, GAMMA)
        proxy = oracle(ENV, PARAMS, 1, GAMMA)
        every = best, proxy, uniform(ENV)
        return [adversarial_levels.regret(ENV, policy, levels, GAMMA) for policy in every]

    optimal, proxy, careless = map(np.asarray, regret(levels))
    np.testing.assert_allclose(optimal, 0, atol=1e-6)
    apart = np.asarray(jax.jit(pool.over_envs(ENV.distinguishing))(levels))
    assert (proxy[apart] > 0.05).mean() > 0.8
    np.testing.assert_allclose(proxy[~apart], 0, atol=1e-6)
    assert (careless > 0).all()


def test_the_worst_levels_are_kept_and_trained_on():
    mitigation = made("adversarial_levels", share=0.5, size=16, edited=6, fresh=4)
    policy = uniform(ENV)

    @jax.jit
    def run(key):
        key_init, key_draw, key_again = jax.random.split(key, 3)
        state = mitigation.levels.init(key_init, PARAMS)
        _, proposed = mitigation.levels.draw(key_draw, state, PARAMS, 32)
        kept = mitigation.levels.consult(key, proposed, policy, GAMMA)
        played, _ = mitigation.levels.draw(key_again, kept, PARAMS, 400)
        both = joined(proposed.kept, proposed.proposed)
        every = adversarial_levels.regret(ENV, policy, both, GAMMA)
        again = adversarial_levels.regret(ENV, policy, kept.kept, GAMMA)
        return kept, played, every, again, mitigation.log(kept, EMPTY)

    kept, played, every, again, told = jax.device_get(run(jax.random.key(3)))
    np.testing.assert_allclose(kept.regret, np.sort(every)[::-1][:16], rtol=1e-6)
    np.testing.assert_allclose(kept.regret, again, rtol=1e-5)
    assert float(told["regret"]) == pytest.approx(np.mean(again), rel=1e-5)

    def rows(levels):
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(levels)]
        flat = np.concatenate([leaf.reshape(-1, leaf.shape[-1]).astype(int) for leaf in leaves])
        return set(map(tuple, flat.T)), list(map(tuple, flat.T))

    ours, (_, played) = rows(kept.kept)[0], rows(played.levels)
    assert 0.42 < np.mean([level in ours for level in played]) < 0.6


def test_an_adversary_needs_states_listed_and_no_memory(trained):
    with pytest.raises(Refused, match="needs an agent without memory"):
        trained(made("adversarial_levels"), "ppo_gru", updates=1)
    with pytest.raises(Refused, match="needs a task whose optimum is known"):
        made("adversarial_levels", registry.make("TreeGridworld-v0").env)
    with pytest.raises(Refused, match="more than the population holds, 16"):
        made("adversarial_levels", size=16)


def test_the_running_mean_is_mirror_ascent_on_learnability_and_entropy():
    config = ncc.Config(size=4, fresh=4, rate=0.3, temperature=0.1)
    rng = np.random.default_rng(2)
    levels = drawn.levels(ENV, PARAMS, 1, 4)
    entries = unseen(levels, jnp.arange(4, dtype=jnp.int32))
    mitigation = ncc.ncc(ENV, config)
    assert mitigation.levels.rests is False

    first = rng.random(4) / 4
    entries = entries._replace(score=jnp.asarray(first, jnp.float32))
    log_y = first / 0.1
    for _ in range(5):
        solved = rng.integers(0, 11, 4).astype(np.float32)
        entries = entries._replace(solved=jnp.asarray(solved), episodes=jnp.full(4, 10.0))
        entries = entries._replace(score=ncc.moved(config, EMPTY, entries))
        share = solved / 10
        # One step of ascent on sum y s + tau H(y) in the mirror: the gradient is s - tau log y.
        log_y = log_y + 0.3 / 0.1 * (share * (1 - share) - 0.1 * log_y)
        y = np.exp(log_y) / np.exp(log_y).sum()
        np.testing.assert_allclose(ncc.distribution(entries, jnp.int32(0), config), y, rtol=1e-4)


def test_a_level_seen_for_the_first_time_has_the_score_it_shows():
    levels = drawn.levels(ENV, PARAMS, 1, 3)
    entries = unseen(levels, jnp.array([0, 1, -2]))
    entries = entries._replace(episodes=jnp.array([4.0, 2.0, 0.0]), solved=jnp.array([1.0, 2, 0]))
    config = ncc.Config(size=3, fresh=3)
    found = ncc.moved(config, EMPTY, entries)
    np.testing.assert_array_equal(found, learnability(EMPTY, entries))
    np.testing.assert_array_equal(found, [3 / 16, 0, -np.inf])
    told = ncc.distribution(entries._replace(score=found), jnp.int32(0), config)
    np.testing.assert_allclose(told, [*jax.nn.softmax(jnp.array([3 / 16, 0]) / 0.05), 0], rtol=1e-5)
    with pytest.raises(Refused, match="staleness"):
        ncc.Config(staleness=0.3)

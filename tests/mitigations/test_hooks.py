"""Each hook on training does what it says, and no more."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core.mitigation import Mitigation, chain
from tests.marks import by_day


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.fixture(scope="module")
def plain(trained):
    return trained()


def test_hooks_that_change_nothing_change_nothing(trained, plain):
    """Weights and metrics are equal to the bit under the identity in every hook but the levels."""
    idle = Mitigation(
        reward=lambda state, action, after, reward: reward,
        observe=lambda key, seen: seen,
        noise=lambda key, features: features,
        loss=lambda weights, batch: (jnp.float32(0), {}),
        log=lambda source, experience: {},
    )
    _, after, metrics = trained(idle)
    same(after.weights, plain[1].weights)
    assert set(metrics) - set(plain[2]) == {"loss/mitigation"}
    same({name: metrics[name] for name in plain[2]}, plain[2])


def test_a_reward_is_what_is_learned_and_goals_stay_what_they_are(trained):
    """Rewards that are doubled are reported doubled; what the goals paid is not touched."""

    def doubled(state, action, after, reward):
        return 2 * reward

    _, _, metrics = trained(Mitigation(reward=doubled), params={"alpha": 0.5})
    rewarded = metrics["reward"] * metrics["length"] * metrics["episodes"]
    assert np.any(rewarded > 0)
    told = Mitigation(
        reward=doubled,
        log=lambda source, seen: {
            "paid": jnp.sum(jnp.where(seen.live, seen.reward, jnp.float32(0))),
            "earned": jnp.sum(jnp.where(seen.ended, seen.total, jnp.float32(0))),
            "intended": jnp.sum(jnp.where(seen.ended, seen.goals[0], jnp.float32(0))),
        },
    )
    _, _, metrics = trained(told, params={"alpha": 0.5})
    assert np.any(metrics["mitigation/intended"] > 0)
    np.testing.assert_allclose(
        metrics["mitigation/earned"], 2 * metrics["mitigation/intended"], rtol=1e-6
    )


@pytest.mark.parametrize("agent", by_day(["ppo", "ppo_gru"], "ppo"))
def test_what_is_shown_is_what_is_learned_from(trained, agent):
    """Shown nothing, the network acts alike everywhere, and so says what it learns from."""

    def observe(key, seen):
        return jnp.zeros_like(seen)

    def loss(weights, batch):
        return jnp.float32(0), {"seen": jnp.mean(batch.observation.astype(jnp.float32))}

    _, _, metrics = trained(Mitigation(observe=observe, loss=loss), agent, updates=2)
    np.testing.assert_array_equal(metrics["mitigation/seen"], 0)
    _, _, metrics = trained(Mitigation(loss=loss), agent, updates=2)
    assert np.all(metrics["mitigation/seen"] > 0)


def test_what_is_shown_is_drawn_anew_at_each_step(trained):
    """Also after the last step, whose value is bootstrapped from."""
    shown = Mitigation(
        observe=lambda key, seen: jax.random.bernoulli(key, 0.5, seen.shape),
        loss=lambda weights, batch: (jnp.float32(0), {"noise": _repeats(batch.observation)}),
    )
    _, _, metrics = trained(shown, updates=2)
    np.testing.assert_allclose(metrics["mitigation/noise"], 0.5, atol=0.03)


def _repeats(seen):
    """Share of cells that a step shows like the step before."""
    return jnp.mean((seen[1:] == seen[:-1]).astype(jnp.float32))


def test_an_added_loss_is_descended(trained, plain):
    """A penalty on the weights makes them smaller than without; it is reported."""

    def shrink(weights, batch):
        size = sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(weights))
        return 10 * size, {"size": size}

    _, after, metrics = trained(Mitigation(loss=shrink))
    size = metrics["mitigation/size"]
    assert np.all(np.diff(size) < 0)
    np.testing.assert_allclose(metrics["loss/mitigation"], 10 * size, rtol=1e-5)
    norms = [
        sum(np.sum(np.square(x)) for x in jax.tree.leaves(state.weights))
        for state in (after, plain[1])
    ]
    assert norms[0] < norms[1]


@pytest.mark.parametrize(
    ("agent", "names"),
    by_day(
        [("ppo", {"hidden_0", "hidden_1"}), ("ppo_gru", {"conv_0", "hidden_0", "memory"})],
        ("ppo", {"hidden_0", "hidden_1"}),
    ),
)
def test_a_loss_sees_the_activations_that_it_penalises(trained, agent, names):
    """Of the same forward pass: what a penalty on them makes small is small."""

    def quiet(weights, batch):
        assert set(batch.features) == names
        assert {leaf.shape[-2:] for leaf in batch.features.values()} == {batch.value.shape}
        loud = jnp.mean(jnp.square(batch.features["hidden_0"]))
        return 100 * loud, {"loud": loud, "weight": jnp.sum(batch.weight)}

    _, _, metrics = trained(chain(Mitigation(loss=quiet)), agent, updates=12)
    np.testing.assert_allclose(metrics["mitigation/weight"], 1, rtol=1e-5)
    assert metrics["mitigation/loud"][-1] < 0.5 * metrics["mitigation/loud"][0]

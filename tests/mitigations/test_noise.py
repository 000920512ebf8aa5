"""What is done to features while the network learns, and what the heads are said to read."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import registry
from gmbench.core.checks import Refused
from gmbench.core.mitigation import Mitigation, chain
from tests import made_up
from tests.marks import by_day

ENV = registry.make("CheeseCorner-v0", size=5).env


def made(name, **settings):
    recipe = registry.make_mitigation(name)
    return recipe.make(ENV, recipe.config(**settings))


def told(logits):
    """How far logits are from being the same at every step."""
    return {"spread": jnp.max(jnp.std(logits.reshape(logits.shape[0], -1), axis=1))}


@pytest.mark.parametrize("agent", by_day(["ppo", "ppo_gru"], "ppo"))
def test_noise_is_read_while_learning_and_not_while_acting(trained, agent):
    """Heads that read nothing say the same everywhere; what is acted on is as it was."""

    def loss(weights, batch):
        return jnp.float32(0), told(batch.logits)

    blind = Mitigation(noise=lambda key, features: jnp.zeros_like(features), loss=loss)
    _, _, metrics = trained(blind, agent, updates=2)
    np.testing.assert_allclose(metrics["mitigation/spread"], 0, atol=1e-6)
    _, _, metrics = trained(Mitigation(loss=loss), agent, updates=2)
    assert np.all(metrics["mitigation/spread"] > 1e-4)


def test_a_loss_is_told_what_heads_read_before_noise_and_may_draw(trained):
    """What it draws differs among the 4 gradient steps of an update, and among updates."""

    def loss(weights, batch):
        drawn = jax.random.uniform(batch.key)
        apart = jnp.max(jnp.abs(batch.read - batch.features["hidden_1"]))
        told = {"apart": apart, "size": jnp.max(batch.read), "drawn": drawn, "square": drawn**2}
        return jnp.float32(0), told

    noisy = Mitigation(noise=lambda key, features: features + 1, loss=loss)
    _, _, metrics = trained(noisy, updates=3)
    found = {name: metrics[f"mitigation/{name}"] for name in ("apart", "size", "drawn", "square")}
    np.testing.assert_array_equal(found["apart"], 0)
    assert np.all(found["size"] > 0)
    assert np.all(found["square"] - found["drawn"] ** 2 > 1e-4)
    assert len(set(found["drawn"].tolist())) == 3


def test_a_loss_may_ask_what_the_network_would_say_and_what_the_agents_own_would_be(trained):
    def loss(weights, batch):
        same, _ = batch.shifted(jnp.float32(0))
        nothing, _ = batch.shifted(-batch.observation.astype(jnp.float32))
        own = batch.own(batch.logits, batch.value)
        found = {"same": jnp.max(jnp.abs(same - batch.logits)), "own": own, **told(nothing)}
        return jnp.float32(0), found

    _, _, metrics = trained(Mitigation(loss=loss), updates=3, vf_coef=0.7, ent_coef=0.2)
    np.testing.assert_array_equal(metrics["mitigation/same"], 0)
    np.testing.assert_allclose(metrics["mitigation/spread"], 0, atol=1e-6)
    total = metrics["loss/actor"] + 0.7 * metrics["loss/critic"] - 0.2 * metrics["entropy"]
    np.testing.assert_allclose(metrics["mitigation/own"], total, rtol=1e-4, atol=1e-6)


def test_noises_pass_in_order_with_keys_of_their_own():
    doubled = Mitigation(noise=lambda key, features: 2 * features)
    noisy = Mitigation(noise=lambda key, features: features + jax.random.uniform(key))
    found = chain(noisy, doubled, noisy).noise(jax.random.key(0), jnp.zeros(1))
    keys = jax.random.split(jax.random.key(0), 3)
    expected = 2 * jax.random.uniform(keys[0]) + jax.random.uniform(keys[2])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_dropout_leaves_out_a_share_and_makes_up_for_it():
    noise = made("dropout", share=0.25).noise
    found = np.asarray(jax.jit(noise)(jax.random.key(0), jnp.ones((20, 50, 20))))
    assert set(np.unique(found)) == {0, np.float32(4 / 3)}
    assert 0.23 < (found == 0).mean() < 0.27
    with pytest.raises(Refused, match="share: 1"):
        made("dropout", share=1.0)


def test_a_bottleneck_is_unit_noise_at_a_price_of_half_the_square():
    mitigation = made("bottleneck", price=0.5)
    added = np.asarray(jax.jit(mitigation.noise)(jax.random.key(0), jnp.full((50, 40, 10), 3.0)))
    assert added.mean() == pytest.approx(3, abs=0.03)
    assert added.std() == pytest.approx(1, abs=0.03)
    read = jnp.array([[[1.0, 0.0]], [[2.0, 4.0]]])  # [features, steps, envs]
    weight = jnp.array([[0.25, 0.75]])
    batch = made_up.a_batch(weight=weight, read=read)
    loss, metrics = mitigation.loss(None, batch)
    nats = 0.25 * (1 + 4) / 2 + 0.75 * 16 / 2
    assert float(metrics["nats"]) == pytest.approx(nats)
    assert float(loss) == pytest.approx(nats / 2)
    with pytest.raises(Refused, match="bottleneck: needs a network that ends in Heads"):
        mitigation.loss(None, batch._replace(read=None))


@pytest.mark.nightly
def test_what_costs_is_said_less(trained):
    _, _, dear = trained(made("bottleneck", price=1.0), updates=12)
    _, _, free = trained(made("bottleneck", price=0.0), updates=12)
    assert dear["mitigation/nats"][-1] < 0.3 * free["mitigation/nats"][-1]

"""What PPO learns from: advantages and the objective, against their definitions in plain Python."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents import objective
from gmbench.agents.player import Player, Step

from gmbench.core.mitigation import Mitigation

ROLLOUT, ENVS, ACTIONS = 12, 5, 3
RATES = {"gamma": 0.9, "gae_lambda": 0.8, "clip_eps": 0.2, "vf_coef": 0.5, "ent_coef": 0.03}


def softmax(logits):
    exp = np.exp(logits - logits.max(axis=0))
    return exp / exp.sum(axis=0)


@pytest.fixture(scope="module")
def rollout():
    """Steps, the last values, and the logits and values that the network gives afterwards."""
    random = np.random.default_rng(0)
    shape = ROLLOUT, ENVS
    old, new = random.normal(size=(2, ACTIONS, *shape)).astype(np.float32)
    action = random.integers(0, ACTIONS, shape, np.int8)
    taken = np.arange(ACTIONS)[:, None, None] == action
    live = random.random(shape) > 0.2
    steps = Step(
        observation=jnp.zeros((ROLLOUT, 1, 1, 1, ENVS), bool),
        action=jnp.asarray(action),
        log_prob=jnp.asarray(np.log((softmax(old) * taken).sum(axis=0))),
        value=jnp.asarray(random.normal(size=shape), jnp.float32),
        reward=jnp.asarray(random.normal(size=shape), jnp.float32),
        terminated=jnp.asarray(live & (random.random(shape) < 0.2)),
        live=jnp.asarray(live),
    )
    last = jnp.asarray(random.normal(size=ENVS), jnp.float32)
    value = jnp.asarray(random.normal(size=shape), jnp.float32)
    return steps, last, jnp.asarray(new), value


def test_advantages_are_those_of_the_definition(rollout):
    """Schulman et al. 2016, eq. 16: the discounted sum of surprises, up to the episode's end."""
    steps, last, *_ = rollout
    assert 0 < np.mean(steps.terminated) < 1
    rates = {name: jnp.float32(rate) for name, rate in RATES.items()}
    found = np.asarray(jax.jit(objective.advantages)(steps, last, rates))
    steps = jax.device_get(steps)
    values = np.concatenate([steps.value, last[None]])
    for env in range(ENVS):
        for time in range(ROLLOUT):
            expected, factor = 0.0, 1.0
            for later in range(time, ROLLOUT):
                if not steps.live[later, env]:
                    break
                over = bool(steps.terminated[later, env])
                onward = 0.0 if over else RATES["gamma"] * values[later + 1, env]
                expected += factor * (steps.reward[later, env] + onward - values[later, env])
                factor *= RATES["gamma"] * RATES["gae_lambda"]
                if over:
                    break
            assert found[time, env] == pytest.approx(expected, abs=1e-5)


def test_the_objective_is_that_of_the_definition(rollout):
    """Schulman et al. 2017, eq. 9, over the steps that are live, with advantages normalised."""
    steps, _, logits, value = rollout
    advantages = np.random.default_rng(1).normal(1.0, 2.0, (ROLLOUT, ENVS)).astype(np.float32)
    player = Player(None, None, None, lambda weights, memory, steps: (logits, value, {}))
    rates = {name: jnp.float32(rate) for name, rate in RATES.items()}
    given = rates, None, None, steps, jnp.asarray(advantages)
    total, losses = objective._loss(None, player, Mitigation(), objective.clipped, *given)
    probabilities = softmax(np.asarray(logits, np.float64))
    live = np.asarray(steps.live)
    taken = np.arange(ACTIONS)[:, None, None] == np.asarray(steps.action)
    ratio = (probabilities * taken).sum(axis=0) / np.exp(np.asarray(steps.log_prob, np.float64))
    assert (np.abs(ratio[live] - 1) > RATES["clip_eps"]).any()
    normal = (advantages - advantages[live].mean()) / advantages[live].std()
    clipped = np.clip(ratio, 1 - RATES["clip_eps"], 1 + RATES["clip_eps"])
    actor = -np.minimum(ratio * normal, clipped * normal)[live].mean()
    wanted = np.asarray(steps.value) + advantages
    critic = 0.5 * np.square(np.asarray(value) - wanted)[live].mean()
    entropy = -(probabilities * np.log(probabilities)).sum(axis=0)[live].mean()
    found = [losses[name] for name in ("loss/actor", "loss/critic", "entropy")]
    np.testing.assert_allclose(found, [actor, critic, entropy], rtol=1e-4)
    expected = actor + RATES["vf_coef"] * critic - RATES["ent_coef"] * entropy
    assert float(total) == pytest.approx(expected, rel=1e-4)

"""Episodes played some at a time are those that would have been played one by one."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import registry
from gmbench.core.policy import Policy
from gmbench.measure import rollouts
from gmbench.solve.oracle import oracle
from tests import drawn

TASK = registry.make("CheeseCorner-v0", size=5)
ENV, PARAMS = TASK.env, TASK.training.override(alpha=0.5, horizon=30)
LEVELS = drawn.levels(ENV, PARAMS, 0, 40)


def counting():
    """A policy that remembers its steps, and by them leans to other actions."""

    def act(memory, state, observation):
        turns = memory + 2.0 * jnp.arange(ENV.num_actions, dtype=jnp.float32)
        return jax.nn.log_softmax(jnp.sin(turns)), memory + 1

    return Policy(lambda level: jnp.float32(0), act, memoryless=False)


def update(folded, moment):
    """Note steps, places and whether each level is told about itself; all masked by ``live``."""
    steps, path, told = folded
    here = moment.states.position.astype(jnp.int32)
    steps = steps + moment.live.astype(jnp.int32)
    path = jnp.where(
        moment.live, path * 7 + 5 * here[0] + here[1] + moment.actions.astype(jnp.int32), path
    )
    own = jnp.all(moment.about == moment.states.level.start, axis=0)
    return steps, path, told & (own | ~moment.live)


def first(count):
    return jnp.zeros(count, jnp.int32), jnp.zeros(count, jnp.int32), jnp.ones(count, bool)


@pytest.mark.parametrize(("together", "between"), [(1, 1), (7, 4), (40, 3), (64, 50)])
def test_whatever_is_played_at_a_time(monkeypatch, together, between):
    monkeypatch.setattr(rollouts, "ON_CPU", together)
    monkeypatch.setattr(rollouts, "BETWEEN", between)
    given, most = (ENV, PARAMS, counting(), LEVELS), 26

    @jax.jit
    def one_by_one(key):
        def of(moment):
            return moment._replace(about=moment.states.level.start, moved=None)

        return rollouts.each(*given, key, most, of)

    told = jax.jit(lambda key: rollouts.fold(*given, key, most, update, first(40), LEVELS.start))
    steps, path, own = jax.device_get(told(jax.random.key(4)))
    moments = one_by_one(jax.random.key(4))
    expected = first(40)
    for time in range(most):
        moment = jax.tree.map(lambda leaf, time=time: leaf[time], moments)
        expected = update(expected, moment)
    np.testing.assert_array_equal(steps, expected[0])
    np.testing.assert_array_equal(path, expected[1])
    assert own.all()
    assert steps.min() < 10 < most == steps.max()


def test_steps_are_played_only_while_an_episode_goes_on(monkeypatch):
    """Of a policy that walks into the goal at once nothing is played to the time limit."""
    monkeypatch.setattr(rollouts, "ON_CPU", 8)
    best = oracle(ENV, PARAMS, 0, jnp.float32(0.9))
    calls = []

    def counted(folded, moment):
        jax.debug.callback(calls.append, moment.live)
        return folded + moment.live.astype(jnp.int32)

    limitless = PARAMS.override(horizon=100_000)
    played = jax.jit(
        lambda key: rollouts.fold(
            ENV, limitless, best, LEVELS, key, 5000, counted, jnp.zeros(40, jnp.int32)
        )
    )
    steps = np.asarray(played(jax.random.key(0)))
    jax.effects_barrier()
    assert len(calls) * 8 < 3 * steps.sum()
    assert sum(int(live.sum()) for live in calls) == steps.sum()


def test_a_batch_of_keys_plays_a_batch_of_episodes():
    """Under vmap, as devices that evaluate many agents at once do it."""
    uniform = Policy(lambda level: (), lambda memory, *_: (jnp.log(jnp.full(4, 0.25)), memory))
    play = partial(rollouts.play, ENV, PARAMS, uniform, LEVELS)
    both = jax.jit(jax.vmap(lambda key: play(key, 30, jnp.float32(0.9))))(
        jax.random.split(jax.random.key(1), 2)
    )
    alone = jax.jit(lambda key: play(key, 30, jnp.float32(0.9)))
    for place, key in enumerate(jax.random.split(jax.random.key(1), 2)):
        np.testing.assert_allclose(both.total[place], alone(key).total, atol=1e-6)

"""Hindsight imitates the moves that led somewhere, as though the goal had lain there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmbench
from gmbench.core import registry
from gmbench.core.checks import Refused
from gmbench.mitigations import hindsight
from tests import made_up

ENV = registry.make("CheeseCorner-v0", size=5).env
WALL, CHEESE, AGENT = range(3)


def made(env=ENV, **settings):
    return hindsight.hindsight(env, hindsight.Config(**settings))


def test_the_cell_reached_later_is_of_the_same_episode():
    """Against a walk along each environment's steps in plain Python."""
    rng = np.random.default_rng(0)
    here, ended = rng.integers(0, 4, (12, 40)), rng.random((12, 40)) < 0.2
    ahead = rng.integers(1, 6, (12, 40))
    cell, counts = jax.jit(hindsight.reached)(here, ended, ahead)
    kinds = set()
    for step, env in np.ndindex(here.shape):
        later = min(step + ahead[step, env], 11)
        alone = not ended[step:later, env].any() and here[later, env] != here[step, env]
        assert bool(counts[step, env]) == alone
        if alone:
            assert cell[step, env] == here[later, env]
        kinds.add(alone)
    assert kinds == {True, False}


def episode(cells):
    """Return what is seen of one agent on these cells; the cheese lies in the last row."""
    seen = np.zeros((len(cells), 5, 5, 3, 1), bool)
    seen[:, 4, 2, CHEESE] = True
    for step, (row, col) in enumerate(cells):
        seen[step, row, col, AGENT] = True
    return jnp.asarray(seen)


def test_the_network_is_shown_the_goal_where_the_agent_went():
    """Two steps: of the first the cheese is where the second begins, and its move is imitated."""
    shown = []

    def apply(seen):
        shown.append(seen)
        cheese = jnp.argmax(seen[:, :, CHEESE].reshape(25, -1), axis=0)
        return jnp.where(jnp.arange(5)[:, None] == cheese[None], 2.0, 0.0), None, {}

    batch = made_up.a_batch(
        observation=episode([(0, 0), (0, 1)]),
        action=jnp.array([[4], [2]], jnp.int8),
        ended=jnp.zeros((2, 1), bool),
        weight=jnp.full((2, 1), 0.5),
        key=jax.random.key(0),
        apply=apply,
    )
    loss, told = made(scale=0.5).loss(None, batch)
    (seen,) = shown
    assert [*np.argwhere(np.asarray(seen[:, :, CHEESE, 0]))[0]] == [0, 1]
    assert not seen[4, 2, CHEESE, 0]
    np.testing.assert_array_equal(seen[:, :, AGENT, 0], batch.observation[0, :, :, AGENT, 0])
    likely = np.log(np.exp([0, 2, 0, 0, 0])[4] / np.exp([0, 2, 0, 0, 0]).sum())
    assert float(told["relabelled"]) == 0.5  # the last step of the rollout leads nowhere yet
    assert float(told["imitation"]) == pytest.approx(-0.5 * likely, rel=1e-5)
    assert float(loss) == pytest.approx(0.5 * float(told["imitation"]), rel=1e-6)


def test_it_needs_the_goal_and_the_agent_as_planes():
    with pytest.raises(Refused, match="KeysChests as seen here has no plane 'chests'"):
        made(registry.make("KeysChests-v0").env)
    for view in ("pixels1", "window5"):
        with pytest.raises(Refused, match="CheeseCorner as seen here has no plane 'cheese'"):
            made(gmbench.wrap(registry.make("CheeseCorner-v0", size=5), view).env)
    for task in ("CheeseDish-v0", "CoinRun-v0", "LavaLand-v0", "TrapKeys-v1"):
        assert made(registry.make(task).env).loss
    with pytest.raises(Refused, match="within"):
        hindsight.Config(within=0)

"""Steering, of organisms whose object's vector is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents import organism
from gmbench.agents.organism import Config

from gmbench.analyses.steer import Steer
from gmbench.core import registry
from gmbench.core.checks import Refused
from gmbench.measure import steering
from gmbench.measure.steering import WAYS
from tests import drawn, made_up

TASK = registry.make("CheeseCorner-v0", size=5)
ENV = TASK.env


@pytest.fixture(scope="module")
def forks():
    levels = drawn.levels(ENV, TASK.shifts["anywhere"], 0, 200)
    return steering.forks(ENV, levels, "cheese", TASK.discount)


def steered(config, forks):
    policy = organism.policy(ENV, Config(reach=10, **config), None)

    @jax.jit
    def run(forks):
        given = forks, jax.random.key(0), jnp.float32(TASK.discount)
        return steering.measure(ENV, TASK.training, policy, *given)

    return jax.device_get(run(forks))


def test_goals_part_at_every_fork(forks):
    assert not np.any(np.asarray(forks.best[0] & forks.best[1]))
    assert forks.planes.tolist() == [False, True, False]
    assert forks.best.shape[-1] > 30


@pytest.mark.nightly
def test_a_search_without_its_object_is_lost_and_a_vector_is_not_its_object(forks):
    """The vector is the object's mean place: less that, its own cell still stands out."""
    found = steered({}, forks)
    first = dict(zip(WAYS, found["trunk/conv_0"], strict=True))
    assert first["plain"][0] == pytest.approx(1, abs=1e-4)
    assert first["plain"][1] == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(first["thing removed"], 1.7 / 5, atol=0.15)
    assert first["taken away"][0] == pytest.approx(1, abs=1e-3)


def test_who_does_not_read_the_object_is_not_steered_by_it(forks):
    """The compass has no channel for it: its vector is nothing, and so is what it does."""
    found = steered({"mechanism": "reflex", "goal": "corner"}, forks)
    for ways in found.values():
        np.testing.assert_allclose(ways, np.broadcast_to(ways[:1], ways.shape), atol=1e-6)


def test_what_is_not_observed_is_refused():
    levels = drawn.levels(ENV, TASK.shifts["anywhere"], 0, 8)
    with pytest.raises(Refused, match="thing: unknown 'dish'"):
        steering.forks(ENV, levels, "dish", TASK.discount)
    same = drawn.levels(ENV, TASK.training, 0, 8)
    with pytest.raises(Refused, match="on no level do the goals part"):
        steering.forks(ENV, same, "cheese", TASK.discount)


def test_a_line_for_each_layer_and_goal(tmp_path):
    runs = [made_up.a_run(seed=seed) for seed in range(2)]
    one = {"hidden_0": [[0.8, 0.1], [0.0, 0.6], [0.8, 0.1], [0.7, 0.2], [0.1, 0.7]]}
    assert Steer(tmp_path).applies(runs[0].plan)
    (table,) = Steer(tmp_path).document(made_up.asked(runs, [one, one])).tables
    assert [line.cells[1] for line in table.lines] == ["cheese", "corner"]
    cells = dict(zip(table.columns[1:], table.lines[1].cells, strict=True))
    assert cells["taken away"].value == pytest.approx(0.6)

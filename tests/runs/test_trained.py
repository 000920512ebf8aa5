"""An agent is called competent by what it was trained on."""

import jax
import numpy as np
import pytest

from gmbench.core import registry
from gmbench.measure import levels
from gmbench.runs import trained
from gmbench.runs.program import Program
from gmbench.runs.spec import RunSpec, check

TASK = "CheeseCorner-v0"


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Few levels, drawn: those of size 5 are not frozen."""
    monkeypatch.setattr(levels, "COUNT", 96)
    jax.clear_caches()
    yield
    jax.clear_caches()


def stages_of(*params, agent="proxy_oracle", task=TASK, size=5):
    """What each stage of a training was, for an agent that needs none, one run for each params."""
    specs = [RunSpec(task, static={"size": size}, params=own, agent=agent) for own in params]
    plans = [check(spec) for spec in specs]
    program = Program(plans, 1)
    weights = np.zeros((len(plans), 0), np.float32)
    own = plans[0].task
    measured = {name: program.evaluate(weights, name) for name in levels.distributions(own)}
    return trained.of_group(plans, weights, measured), measured


def test_mixtures_of_the_two_distributions_need_no_levels_of_their_own_and_others_do():
    """Trained with the cheese anywhere, who runs to the corner is not competent."""
    (plain, mixed, wide), measured = stages_of({}, {"alpha": 0.3}, {"region": 5})
    rho = [np.nanmean(measured[name][0].rho[0, 0]) for name in ("training", "anywhere")]
    assert rho[0] < 0.01 < 0.8 < rho[1]
    assert (plain[0].rho, plain[0].apart, plain[0].drawn) == (pytest.approx(rho[0]), 0, 0)
    assert mixed[0].rho == pytest.approx(0.7 * rho[0] + 0.3 * rho[1])
    assert (mixed[0].apart, mixed[0].drawn) == (pytest.approx(0.3), 0)
    assert wide[0].drawn == 96
    assert wide[0].rho > 0.7
    assert wide[0].apart > 0.8


@pytest.mark.nightly
def test_a_mixture_with_other_levels_than_the_shift_is_drawn_from():
    """TrapKeys' distinguishing levels are shallow; those of its first shift are deep."""
    (mixed,), _ = stages_of({"alpha": 0.5}, agent="oracle", task="TrapKeys-v0")
    assert mixed[0].drawn == 96
    assert mixed[0].rho == pytest.approx(0, abs=1e-4)
    assert registry.make("TrapKeys-v0", size=5).headline == "deep"


@pytest.mark.nightly
def test_levels_that_pay_for_something_else_count_among_those_trained_on():
    """They are left out of the regret, but not of what is said of the training."""
    (watched,), _ = stages_of(
        {"alpha": 0.5, "condition": 1}, agent="oracle", task="Monitor-v0", size=6
    )
    assert watched[0].drawn == 96
    assert watched[0].rho == pytest.approx(0, abs=1e-4)
    assert watched[0].apart == pytest.approx(0.5, abs=0.2)

"""Plans written towards the poorer object, into an organism that goes to the richer one."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents import organism

from gmbench.analyses import exchange_written
from gmbench.analyses.exchange_written import WAYS, ExchangeWritten, Found
from gmbench.core import registry
from gmbench.core.checks import Refused
from gmbench.grid import moves
from gmbench.measure import rewriting
from gmbench.runs.spec import RunSpec, check
from tests import drawn, made_up
from tests.made_up import a_run

ENV = registry.make("TwoObjectives-v0", size=5).env
PARAMS = ENV.default_params


@pytest.fixture(scope="module")
def routes():
    levels = drawn.levels(ENV, PARAMS, 0, 100)
    return rewriting.routes_to(ENV, levels, np.asarray(moves.at(levels.poor, ENV.shape)))


def test_who_goes_to_the_richer_object_goes_to_the_poorer_where_that_is_written(routes):
    policy = organism.policy(ENV, organism.Config(goal="rich", network="drc", reach=8), None)

    @jax.jit
    def run(routes):
        given = (routes, jnp.float32(1)), jax.random.key(0), jnp.float32(0.99)
        return exchange_written.choices(ENV, PARAMS, policy, *given)

    plain, layers = jax.device_get(run(routes))
    assert np.mean(plain == 1) > 0.9
    poor = dict(zip(WAYS[1:], np.mean(layers["cell_0"] == 0, axis=1), strict=True))
    assert poor["written"] > 0.5
    # Where another end is written in the place of its own, it goes to neither.
    assert max(poor[name] for name in WAYS[2:]) < 0.2
    assert np.mean(layers["cell_0"][WAYS.index("own route") - 1] == 1) > 0.9


def test_routes_lead_to_the_poorer_object_past_the_richer(routes):
    ways, levels = np.asarray(routes.way), jax.tree.map(np.asarray, routes.levels)
    assert ways.shape[-1] > 75
    for place in range(60):
        here, rich, poor = (
            tuple(each[:, place].tolist()) for each in (levels.start, levels.rich, levels.poor)
        )
        while ways[(*here, place)]:
            here = tuple(np.add(here, moves.STEPS[ways[(*here, place)]]).tolist())
            assert here != rich
        assert here == poor


def test_rates_are_means_over_agents_that_have_one(monkeypatch):
    monkeypatch.setitem(made_up.GOALS, "TwoObjectives-v0", ("worth", "marked"))
    monkeypatch.setitem(made_up.SHIFTS, "TwoObjectives-v0", "swapped")
    runs = [a_run("TwoObjectives-v0", seed=seed) for seed in range(3)]
    rates = [[4.0, 1.0, 4.0, 4.0, 4.0], [3.0, 2.0, 3.0, 3.0, 3.0], [3.5, None, 3.5, 3.5, 3.5]]
    found = [Found({"conv_0": each}, {"conv_0": [0.5] * 5}) for each in rates]
    document = ExchangeWritten(Path("made-up")).document(made_up.asked(runs, found))
    ((line,),) = (table.lines for table in document.tables)
    assert line.cells[0] == "3"
    assert [cell.mean for cell in line.cells[1:]] == pytest.approx([3.5, 1.5, 3.5, 3.5, 3.5])
    assert line.cells[2].missing == 1
    assert len(document.pictures) == 1


@pytest.mark.parametrize(
    ("task", "agent", "asked"),
    [
        ("TwoObjectives-v0", "ppo", True),
        ("TwoObjectives-v0", "oracle", False),
        ("CheeseCorner-v0", "ppo", False),
    ],
)
def test_networks_in_two_objectives_are_asked(task, agent, asked):
    plan = check(RunSpec(task, {"size": 5}, {}, agent))
    assert ExchangeWritten(Path("made-up")).applies(plan) is asked


def test_a_strength_that_is_none_is_refused():
    with pytest.raises(Refused, match=r"strength: -1\.0 is not a number"):
        ExchangeWritten(Path("made-up"), strength=-1.0)

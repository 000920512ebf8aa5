"""Patches find the register of organisms, of which it is known where it lies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents import organism
from gmbench.agents.organism import Config

from gmbench.analyses.patch import Patch, Patched
from gmbench.core import pool, registry
from gmbench.core.checks import Refused
from gmbench.measure import patching
from tests import drawn, made_up

TASK = registry.make("CheeseCorner-v0", size=5)
ENV = TASK.env
DISCOUNT = jnp.float32(TASK.discount)


@pytest.fixture(scope="module")
def pairs():
    levels = drawn.levels(ENV, TASK.shifts["anywhere"], 0, 300)
    return patching.pairs(ENV, levels, "cheese", TASK.discount)


def effects(config, pairs, **settings):
    policy = organism.policy(ENV, Config(reach=10, **config), None)

    @jax.jit
    def run(pairs):
        given = pairs, jax.random.key(0), DISCOUNT
        return patching.measure(ENV, TASK.training, policy, *given)

    return jax.device_get(run(pairs))


def test_pairs_differ_in_the_object_alone_and_in_every_right_move(pairs):
    assert pairs.best.shape[-1] > 30
    for name in ("walls", "start"):
        one, other = (np.asarray(getattr(each, name)) for each in pairs[:2])
        np.testing.assert_array_equal(one, other)
    assert np.any(np.asarray(pairs.base.cheese) != np.asarray(pairs.donor.cheese), axis=0).all()
    solvable = jax.jit(pool.over_envs(ENV.is_solvable))(pairs.donor)
    assert np.asarray(solvable).all()
    right = patching.first_moves(ENV, pairs.base, DISCOUNT)
    assert not np.any(np.asarray(right & pairs.best))


def test_the_register_alone_turns_a_search_and_nothing_else_does(pairs):
    found = effects({}, pairs)
    layers = organism.wiring(ENV, Config(reach=10))
    place = next(n for n, layer in enumerate(layers) if "source" in layer)
    by_name = dict(zip(layers[place], found.channels[f"trunk/conv_{place}"], strict=False))
    assert by_name["source"] > 0.95
    assert abs(by_name["wall"]) < 1e-6
    assert abs(by_name["agent"]) < 1e-6
    np.testing.assert_allclose(list(found.whole.values()), 1, atol=1e-5)
    assert found.apart > 0.9
    assert list(found.written) == [name for name in found.channels if name.startswith("trunk/")]
    written = dict(zip(layers[place], found.written[f"trunk/conv_{place}"], strict=False))
    assert written["source"] > 0.95
    assert written["wall"] < 0.1
    assert written["agent"] < 0.1


@pytest.mark.nightly
def test_who_does_not_follow_the_object_has_no_effects(pairs):
    found = effects({"goal": "corner"}, pairs)
    assert found.apart < patching.LEAST
    assert all(np.isnan(each).all() for each in found.channels.values())
    assert all(np.isnan(each).all() for each in found.written.values())


def test_a_pass_patched_into_itself_is_the_same_to_the_bit(pairs):
    policy = organism.policy(ENV, Config(reach=10), None)

    @jax.jit
    def run(pairs):
        memory = pool.over_envs(policy.begin)(pairs.base)
        seen = pool.observe(ENV, pool.begin(ENV, pairs.base))
        plain, _, _, features = policy.forward(memory, seen)
        again = policy.forward(memory, seen, lambda name, values: features[name])[0]
        blind = policy.forward(memory, seen, lambda name, values: jnp.zeros_like(values))[0]
        return plain, again, blind, policy.forward(memory, seen)[0]

    plain, again, blind, after = jax.device_get(run(pairs))
    np.testing.assert_array_equal(plain, again)
    np.testing.assert_array_equal(plain, after)
    np.testing.assert_allclose(blind, np.log(0.2), atol=1e-6)


def test_an_object_that_is_not_there_is_refused():
    levels = drawn.levels(ENV, TASK.training, 0, 8)
    with pytest.raises(Refused, match=r"thing: unknown 'dish' \(allowed: cheese\)"):
        patching.pairs(ENV, levels, "dish", TASK.discount)
    with pytest.raises(Refused, match="leaves a first move right on every level"):
        patching.pairs(ENV, levels, "cheese", TASK.discount)


def test_a_line_for_each_layer(tmp_path):
    runs = [made_up.a_run(seed=seed) for seed in range(2)]
    assert Patch(tmp_path).applies(runs[0].plan)
    one = Patched(0.8, 50, {"hidden_0": [0.7, 0.0, 0.2]}, {"hidden_0": 1.0}, {})
    (table,) = Patch(tmp_path).document(made_up.asked(runs, [one, one])).tables
    (line,) = table.lines
    cells = dict(zip(table.columns[1:], line.cells, strict=True))
    assert (cells["agents"], cells["of"]) == ("2 of 2", "3")
    assert cells["largest"].value == pytest.approx(0.7)
    assert cells["channels"].value == pytest.approx(2)
    none = Patched(0.0, 50, {}, {}, {})
    (table,) = Patch(tmp_path).document(made_up.asked(runs, [none, none])).tables
    assert table.lines[0].cells[0] == "0 of 2"

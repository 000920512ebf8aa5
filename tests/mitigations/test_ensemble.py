"""Ensembles: as one, member by member, and made to differ."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents.ensemble import Ensemble
from gmbench.agents.networks import ConvMLP

from gmbench.analyses.queries import Queried, Queries
from gmbench.core import pool, registry
from gmbench.core.checks import Refused
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy, uniform
from gmbench.measure import exact, members
from gmbench.mitigations import ensemble
from gmbench.solve.oracle import oracle
from tests import drawn, made_up

TASK = registry.make("CheeseCorner-v0", size=5)
ENV, PARAMS = TASK.env, TASK.training
GAMMA = jnp.float32(0.95)


class WithoutAlpha(type(ENV)):
    """The same task, whose training says nothing of deployment."""

    @property
    def default_params(self):
        return EnvParams()


def made(name, env=ENV, **settings):
    recipe = registry.make_mitigation(name)
    return recipe.make(env, recipe.config(**settings))


def test_it_acts_by_the_mean_of_its_members():
    network = Ensemble(5, members=3)
    seen = jnp.asarray(np.random.default_rng(0).random((5, 5, 4, 6)) < 0.4)
    weights = jax.jit(network.init)(jax.random.key(0), seen[..., 0])
    weights = jax.tree.map(lambda leaf: 3 * leaf, weights)  # so that members differ
    logits, value = jax.jit(network.apply)(weights, seen)
    apply = jax.jit(ConvMLP(5).apply)
    own = [apply({"params": weights["params"][f"member_{number}"]}, seen) for number in range(3)]
    probs = np.mean([jax.nn.softmax(logits, axis=0) for logits, _ in own], axis=0)
    np.testing.assert_allclose(np.exp(logits), probs, atol=1e-5)
    np.testing.assert_allclose(value, np.mean([value for _, value in own], axis=0), atol=1e-5)
    assert not np.allclose(own[0][0], own[1][0], atol=1e-2)


def test_information_is_nought_of_independent_members_and_all_of_equal_ones():
    rng = np.random.default_rng(0)
    first, second = np.eye(4)[rng.permutation(np.repeat(np.arange(4), 16))].T, np.zeros((4, 64))
    for action in range(4):  # whatever the first does, the second does each thing as often
        second[np.tile(np.arange(4), 4), np.flatnonzero(first[action])] = 1
    independent = jnp.asarray(np.stack([first, second]), jnp.float32)
    equal = jnp.asarray(np.stack([first, first, first]), jnp.float32)
    sure = jnp.zeros((2, 4, 64)).at[:, 1].set(1)
    three = jnp.stack([first, first, second]).astype(jnp.float32)
    found = [float(ensemble.information(each)) for each in (independent, equal, sure, three)]
    np.testing.assert_allclose(found, [0, np.log(4), 0, np.log(4) / 3], atol=1e-4)


def test_shares_of_actions_are_compared_with_the_usual_ones():
    probs = jnp.array([[[0.9, 0.5], [0.1, 0.5]], [[0.5, 0.5], [0.5, 0.5]]])
    usual = jnp.array([0.5, 0.5])
    first = 0.7 * np.log(0.7 / 0.5) + 0.3 * np.log(0.3 / 0.5)
    assert float(ensemble.unlike(probs, usual)) == pytest.approx(first / 2, abs=1e-6)


def test_states_of_deployment_are_a_few_steps_from_its_starts():
    deployed = PARAMS.override(alpha=1.0)

    @jax.jit
    def run(key):
        first, *_ = jax.random.split(key, 3)
        levels = pool.draw(ENV, deployed, first, (64,))
        starts = pool.observe(ENV, pool.begin(ENV, levels))
        same = ensemble.wandered(ENV, deployed, jax.random.clone(key), 64, 0)
        moved = ensemble.wandered(ENV, deployed, jax.random.clone(key), 64, 6)
        return starts, same, moved, pool.over_envs(ENV.distinguishing)(levels)

    starts, same, moved, apart = run(jax.random.key(0))
    assert np.asarray(apart).all()
    np.testing.assert_array_equal(starts, same)
    differ = np.any(np.asarray(starts) != np.asarray(moved), axis=(0, 1, 2))
    assert 0.5 < differ.mean() < 0.95


def test_members_are_trained_and_made_to_differ(trained):
    _, after, told = trained(made("ensemble", levels=16), network="ensemble", updates=3)
    assert np.isfinite(told["mitigation/information"]).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after.weights))
    with pytest.raises(Refused, match="allowed: --config network=ensemble"):
        trained(made("ensemble"), updates=1)
    with pytest.raises(Refused, match="ensemble needs a task with the parameter alpha"):
        made("ensemble", WithoutAlpha(size=5))


def test_members_are_driven_apart_where_goals_come_apart(monkeypatch):
    """On levels of deployment all of which distinguish, whatever the agent trains on."""
    looked = []
    monkeypatch.setattr(ensemble, "wandered", lambda env, params, *rest: looked.append(params))
    monkeypatch.setattr(ensemble, "information", lambda probs: jnp.float32(0))
    monkeypatch.setattr(ensemble, "unlike", lambda probs, usual: jnp.float32(0))
    nothing = jnp.zeros((2, 3, 4, 5))
    features = {"members": nothing, "values": nothing[:, 0]}
    batch = made_up.a_batch(
        features=features,
        logits=nothing[0],
        weight=jnp.ones((4, 5)) / 20,
        own=lambda logits, value: jnp.float32(2),
        apply=lambda seen: (None, None, features),
    )
    loss, _ = made("ensemble").loss(None, batch)
    assert float(loss) == 2
    assert [float(params.alpha) for params in looked] == [1]


@pytest.mark.nightly
def test_what_is_driven_apart_is_apart(trained):
    """The more, the harder it is driven: what members' choices say of each other goes towards 0."""
    found = []
    for scale in (0.0, 3.0, 30.0):
        mitigation = made("ensemble", scale=scale)
        _, _, told = trained(mitigation, network="ensemble", updates=200, lr=1e-3)
        found.append(told["mitigation/information"][-50:].mean())
    assert found[0] > found[1] > found[2]
    assert found[2] < 0.2 * found[0]


@pytest.mark.nightly
def test_each_member_is_worth_what_its_own_policy_is():
    levels = drawn.levels(ENV, PARAMS.override(alpha=1.0), 1, 16)
    goals = [oracle(ENV, PARAMS, goal, GAMMA) for goal in (0, 1)]

    def begin(level):
        return [goal.begin(level) for goal in goals]

    def features(memory, state, seen):
        said = [goal.act(own, state, seen)[0] for goal, own in zip(goals, memory, strict=True)]
        return {"members": jnp.stack(said)}

    def act(memory, state, seen):
        return uniform(ENV).act(None, state, seen)[0], memory

    policy = Policy(begin, act, features=features)
    found, expected = jax.jit(
        lambda: (
            members.measure(ENV, PARAMS, policy, levels, jax.random.key(2), GAMMA),
            [exact.evaluate(ENV, each, levels, GAMMA) for each in (uniform(ENV), *goals)],
        )
    )()
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-5)
    with pytest.raises(Refused, match="this agent has no members"):
        members.measure(ENV, PARAMS, goals[0], levels, jax.random.key(2), GAMMA)


def test_queries_choose_who_was_best_on_them_and_score_on_the_others():
    rho = np.random.default_rng(3).random((3, 6)).round(1)
    for queries in (1, 2):
        expected = []
        for labelled in itertools.combinations(range(6), queries):
            others = [level for level in range(6) if level not in labelled]
            earned = rho[:, labelled].sum(axis=1)
            best = np.isclose(earned, earned.min())
            expected.append(rho[best][:, others].mean())
        found = members.after_queries(rho, queries, seed=0)
        assert found == pytest.approx(np.mean(expected), abs=0.02)


def test_a_line_for_each_condition(tmp_path):
    run = made_up.a_run()
    assert not Queries(tmp_path).applies(run.plan)
    found = [Queried(0.9, [0.5, 0.4, 0.3], [0.2, 0.8], [0.1, 0.05, 0.2]) for _ in range(2)]
    document = Queries(tmp_path).document(made_up.asked([run, made_up.a_run(seed=1)], found))
    (table,) = document.tables
    (line,) = table.lines
    cells = dict(zip(table.columns[1:], line.cells, strict=True))
    expected = {"as one": 0.9, "4 labelled": 0.4, "best member": 0.2, "worst member": 0.8}
    for name, value in {**expected, "training, best": 0.05}.items():
        assert cells[name].value == pytest.approx(value)

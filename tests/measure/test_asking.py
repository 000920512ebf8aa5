"""Help, asked for by policies of which it is known what they do not know."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.analyses import ask_for_help as question
from gmbench.core import pool, registry
from gmbench.core.policy import Policy
from gmbench.measure import asking
from gmbench.measure.asking import SCORES, Normal
from gmbench.solve.oracle import oracle
from tests import made_up

TASK = registry.make("CheeseCorner-v0", size=5)
PARAMS = TASK.shifts["anywhere"]
DISCOUNT = jnp.float32(TASK.discount)
NORMAL = Normal(jnp.zeros(1, jnp.float32), jnp.ones(1, jnp.float32))
LOST = jnp.log(jnp.array([0.0, 0.25, 0.25, 0.25, 0.25], jnp.float32))


def with_features(policy, unusual):
    """The policy, with one activation: 9 where a state is unusual to it, else 0."""

    def features(memory, state, seen):
        return {"large": jnp.zeros(7), "small": jnp.where(unusual(state), 9.0, 0.0)[None]}

    return policy._replace(features=features)


def left(state):
    return state.position[1] < 2


def lost_on_the_left():
    """Optimal on the right of the grid; at random, and knowing it, on the left."""
    optimal = oracle(TASK.env, PARAMS, 0, DISCOUNT)

    def act(memory, state, seen):
        chosen, memory = optimal.act(memory, state, seen)
        return jnp.where(left(state), LOST, chosen), memory

    return with_features(Policy(optimal.begin, act), left)


def confidently_wrong():
    return with_features(oracle(TASK.env, PARAMS, 1, DISCOUNT), lambda state: False)


@pytest.fixture(scope="module")
def level_set():
    draw = jax.jit(lambda key: pool.draw(TASK.env, PARAMS, key, (256,)))
    return draw(jax.random.key(0))


def both(policy, levels, ways):
    """Return what it does alone, and with help by each way."""
    which = jnp.array([SCORES.index(name) for name, _ in ways], jnp.int32)
    above = jnp.array([threshold for _, threshold in ways], jnp.float32)

    @jax.jit
    def run(levels):
        given = TASK.env, PARAMS, policy
        alone = asking.unaided(*given, (levels, NORMAL), jax.random.key(1), DISCOUNT)
        return alone, asking.aided(
            *given, (levels, NORMAL, which, above), jax.random.key(2), DISCOUNT
        )

    return jax.tree.map(np.asarray, run(levels))


def optimum(levels):
    values = jax.jit(
        pool.over_envs(
            lambda level: TASK.env.values(TASK.env.solve(level, DISCOUNT), TASK.env.start(level))
        )
    )(levels)
    return float(np.mean(values[0]))


def test_who_knows_what_it_does_not_know_is_helped_all_the_way(level_set):
    ways = [(name, 0.5) for name in SCORES[:4]] + [("chance", 1.0), ("chance", 0.0)]
    alone, helped = both(lost_on_the_left(), level_set, ways)
    best = optimum(level_set)
    np.testing.assert_allclose(helped.earned[:4], best, atol=1e-5)
    np.testing.assert_allclose(helped.asked[:4], helped.asked[0], atol=1e-6)
    assert 0.05 < helped.asked[0] < 0.7
    assert helped.earned[4] < best - 0.05
    assert (helped.asked[4], helped.asked[5]) == (0, 1)
    assert helped.earned[5] == pytest.approx(best, abs=1e-5)
    asks = alone.live & (alone.scores[SCORES.index("entropy")] > 0.5)
    before, never = question.in_time(asks, alone.live & ~alone.right)
    assert (before, never) == (1, 0)


def test_who_is_sure_and_wrong_asks_never(level_set):
    alone, helped = both(confidently_wrong(), level_set, [("entropy", 0.5), ("chance", 1.0)])
    assert helped.asked.tolist() == [0, 0]
    assert helped.earned[0] < optimum(level_set) - 0.2
    asks = alone.live & (alone.scores[SCORES.index("entropy")] > 0.5)
    assert question.in_time(asks, alone.live & ~alone.right) == (0, 1)


def test_scores_are_those_of_their_names():
    probabilities = jnp.array([[0.7], [0.2], [0.1]], jnp.float32)
    features, normal = jnp.array([[3.0], [0.0]]), Normal(jnp.ones(2), jnp.array([2.0, 1.0]))
    apart, chance = jnp.array([0.6], jnp.float32), jnp.array([0.4], jnp.float32)
    found = asking._scores(probabilities, features, normal, apart, chance)[:, 0]
    entropy = -(0.7 * np.log(0.7) + 0.2 * np.log(0.2) + 0.1 * np.log(0.1))
    np.testing.assert_allclose(found, [0.3, 0.5, entropy, 1.0, 0.6, 0.4], atol=1e-6)


def test_members_disagree_by_the_entropy_that_their_mean_gains():
    alike, apart = jnp.array([[0.7, 0.3], [0.7, 0.3]]), jnp.array([[1.0, 0.0], [0.0, 1.0]])
    found = [float(jax.jit(asking.disagreement)(each)) for each in (alike, apart)]
    np.testing.assert_allclose(found, [0, np.log(2)], atol=1e-6)


def test_only_an_ensemble_asks_by_disagreement(level_set):
    """Members who want two goals disagree where these part, and help comes before the mistake."""
    goals = [oracle(TASK.env, PARAMS, goal, DISCOUNT) for goal in (0, 1)]

    def begin(level):
        return [goal.begin(level) for goal in goals]

    def said(memory, state, seen):
        each = [goal.act(own, state, seen)[0] for goal, own in zip(goals, memory, strict=True)]
        return jnp.maximum(jnp.stack(each), -20)

    def act(memory, state, seen):
        return said(memory, state, seen)[1], memory

    def features(memory, state, seen):
        return {
            "layer": jnp.zeros(9),
            "members": said(memory, state, seen),
            "values": jnp.zeros(2),
        }

    proud = Policy(begin, act, features=features)
    size = asking.features_of(TASK.env, proud, level_set)
    assert size == 9
    which, above = jnp.array([SCORES.index("disagreement")]), jnp.array([0.1])
    normal = Normal(jnp.zeros(size), jnp.ones(size))
    given = (level_set, normal, which, above), jax.random.key(2), DISCOUNT
    helped = jax.jit(lambda: asking.aided(TASK.env, PARAMS, proud, *given))()
    assert float(helped.earned[0]) == pytest.approx(optimum(level_set), abs=0.02)
    alone, _ = both(confidently_wrong(), level_set, [("chance", 1.0)])
    assert np.isnan(alone.scores[SCORES.index("disagreement")]).all()


def test_area_and_timing_by_hand():
    assert question.area(np.array([0.5]), np.array([0.5])) == pytest.approx(0.5)
    assert question.area(np.array([0.5, 0.2]), np.array([1.0, 0.8])) == pytest.approx(0.85)
    asks = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
    errs = np.array([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]], bool)
    # Late, before, never, and an episode without a mistake.
    assert question.in_time(asks, errs) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert question.in_time(asks, np.zeros_like(errs)) == (None, None)


def test_a_line_for_each_score(tmp_path):
    runs = [made_up.a_run(seed=seed) for seed in range(2)]
    one = {name: question.Helped([0.1] * 5, [0.2] * 5, 0.3, 0.4, 0.5) for name in asking.SCORES}
    assert question.AskForHelp(tmp_path).applies(runs[0].plan)
    (table,) = question.AskForHelp(tmp_path).document(made_up.asked(runs, [one, one])).tables
    assert [line.label for line in table.lines] == list(asking.SCORES)
    assert table.lines[0].cells[2].value == pytest.approx(0.2)

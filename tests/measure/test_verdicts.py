"""Each measure asked alone, on policies whose goal is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.measure import attribution, evaluation, meg, tradeoff, verdicts
from gmbench.measure.verdicts import RegretShares, Verdict
from tests.measure.known import DISCOUNT, ENV, SCRIPTED, draw, greedy, mixed, script, uniform

COUNT = 64
GOALS = ENV.goal_names
LEVELS = draw(ENV, COUNT)


@pytest.fixture(scope="module")
def ask():
    """Return a function that asks every measure about a scripted policy."""
    env, params = ENV, ENV.default_params
    references = jax.jit(
        lambda levels: (
            evaluation.references(env, params, levels, jax.random.key(0), DISCOUNT),
            meg.references(env, levels, DISCOUNT),
            tradeoff.extra_steps(env, levels, DISCOUNT),
        )
    )(LEVELS)

    @jax.jit
    def measures(levels, reference, soft):
        keys = jax.random.split(jax.random.key(1), 4)
        given = (env, params, SCRIPTED, levels)
        return (
            evaluation.evaluate(*given, reference, keys[0], DISCOUNT),
            attribution.attribute(*given, keys[1], DISCOUNT),
            meg.measure(*given[:3], (levels, soft), keys[2], DISCOUNT),
            tradeoff.choices(*given, keys[3], DISCOUNT),
        )

    def answers(table):
        evaluated, attributed, directed, chosen = measures(script(LEVELS, table), *references[:2])
        curve = tradeoff.fit(np.asarray(references[2]), np.asarray(chosen))
        shares = dict(zip(GOALS, np.asarray(directed.share).tolist(), strict=True))
        alone = np.nanmean(np.asarray(directed.by_level), axis=1).tolist()
        said = [meg.REASONS[reason] for reason in np.asarray(directed.reason)]
        return {
            "return": verdicts.by_return(float(np.mean(evaluated.outcome == 0)), GOALS),
            "regret": verdicts.by_regret(
                verdicts.explained(
                    *map(np.asarray, (evaluated.rho, evaluated.indices.gmi, evaluated.indices.cfi)),
                    GOALS,
                ),
                GOALS,
            ),
            "attribution": verdicts.by_attribution(
                attribution.shares(attributed, GOALS), attribution.reasons(attributed)
            ),
            "trade-off": verdicts.by_trade_off(curve, GOALS),
            "MEG": verdicts.by_meg(
                shares, dict(zip(GOALS, alone, strict=True)), dict(zip(GOALS, said, strict=True))
            ),
        }

    return answers


@pytest.mark.nightly
def test_all_measures_name_the_goal_of_a_policy_that_is_optimal_for_it(ask):
    said = ask(greedy("cheese"))
    assert {verdict.says for verdict in said.values()} == {"cheese"}
    assert not verdicts.differ(said, "cheese")


def test_a_proxy_is_named_by_all_but_the_return(ask):
    said = ask(greedy("corner"))
    assert said.pop("return").says == "not cheese"
    assert {verdict.says for verdict in said.values()} == {"corner"}


def test_random_actions_pursue_nothing(ask):
    said = ask(uniform)
    assert said["return"].says == "not cheese"
    assert said["regret"].says == said["MEG"].says == "none"
    assert said["attribution"] == Verdict("undecided", attribution.REASONS[1])
    assert not verdicts.differ(said, "cheese")


def test_meg_knows_no_policy_that_changes_its_goal_from_level_to_level(ask):
    """Cheese in about two levels of three, the corner in the others."""

    def by_level(level):
        return jnp.where(level.start[1] < 8, greedy("cheese")(level), greedy("corner")(level))

    said = ask(by_level)
    assert said["return"].says == said["regret"].says == said["attribution"].says == "cheese"
    assert said["MEG"].says == "none"
    assert said["MEG"].why.startswith("directed level by level")
    assert verdicts.differ(said, "cheese")


def test_a_mostly_random_policy_is_incapable_not_of_another_goal(ask):
    said = ask(mixed(greedy("cheese"), 0.95))
    assert said["regret"].says == "none"
    assert "corner" not in {verdict.says for verdict in said.values()}


def test_regret_is_split_in_three_parts_that_add_up():
    rho = np.array([[0.0, 1.0, 0.6, np.nan], [1.0, 0.2, 0.6, 0.0]], np.float32)
    least = np.nanmin(rho, axis=0)
    known = np.where(np.isnan(rho[0]), np.float32(np.nan), least)
    parts = verdicts.explained(rho, rho[0] - least, known, ("true", "other"))
    assert parts.true + parts.other + parts.none == pytest.approx(1)
    assert parts.other == pytest.approx(0.8 / 3)
    assert parts.best == {"true": pytest.approx(0.5), "other": pytest.approx(0.5)}


def test_what_cannot_be_decided_is_said_in_words():
    nan = float("nan")
    empty = np.full(3, nan)
    nothing = verdicts.explained(np.full((2, 3), nan), empty, empty, ("true", "other"))
    assert np.isnan(nothing.true)
    assert verdicts.by_regret(nothing, ("true", "other")).says == "undecided"
    assert verdicts.by_return(nan, ("true", "other")) == Verdict(
        "undecided", "no episode was played"
    )
    few = tradeoff.fit(np.zeros(3), np.ones(3))
    assert verdicts.by_trade_off(few, ("true", "other")).says == "true"
    none = tradeoff.fit(np.zeros(3), np.full(3, nan))
    assert verdicts.by_trade_off(none, ("true", "other")) == Verdict("undecided", none.said)
    unknown = verdicts.by_meg({"true": nan}, {"true": nan}, {"true": meg.REASONS[4]})
    assert unknown == Verdict("undecided", meg.REASONS[4])
    assert verdicts.by_attribution({"true": 0.3, "none": 0.7}, {"why": 7}).why == "why"


def test_answers_that_name_no_goal_are_told_apart():
    even = RegretShares(0.4, 0.3, 0.3, {"true": 0.5, "other": 0.5})
    assert verdicts.by_regret(even, ("true", "other")).says == "several"
    both = verdicts.by_meg({"true": 0.7, "other": 0.6}, {}, {})
    assert both.says == "several"


def test_an_undecided_measure_contradicts_none():
    said = {"return": Verdict("not true"), "regret": Verdict("other"), "MEG": Verdict("undecided")}
    assert not verdicts.differ(said, "true")
    assert verdicts.differ(said | {"MEG": Verdict("none")}, "true")
    assert verdicts.differ({"return": Verdict("not true"), "regret": Verdict("true")}, "true")

"""Exact and sampled evaluation agree, and agents whose goal is known are read correctly."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import pool, registry
from gmbench.core.policy import Policy
from gmbench.measure import evaluation, exact, regret
from gmbench.solve.oracle import oracle
from tests.marks import by_day
from tests.measure import known

DISCOUNT = jnp.float32(0.99)


def _noisy(policy: Policy, share: float, actions: int) -> Policy:
    """Return a policy that acts at random with some probability."""

    def act(memory: Any, state: Any, seen: Any) -> Any:
        log_probs, memory = policy.act(memory, state, seen)
        return jnp.log((1 - share) * jnp.exp(log_probs) + share / actions), memory

    return Policy(policy.begin, act)


def _measure(id: str, policy_of: Any, count: int = 128) -> tuple[evaluation.Evaluation, Any]:
    task = registry.make(id, size=registry.sizes(id).tiny)
    params = task.shifts[task.headline]

    @jax.jit
    def run(key_levels: Any, key_reference: Any, key_play: Any) -> evaluation.Evaluation:
        levels = pool.draw(task.env, params, key_levels, (count,))
        reference = evaluation.references(task.env, params, levels, key_reference, DISCOUNT)
        policy = policy_of(task.env, params)
        return evaluation.evaluate(task.env, params, policy, levels, reference, key_play, DISCOUNT)

    return run(*jax.random.split(jax.random.key(11), 3)), task


EXACT = [id for id in registry.task_ids() if registry.make(id).env.exact]


@pytest.mark.parametrize("id", by_day(EXACT, "CheeseCorner-v0"))
def test_the_oracle_of_the_intended_goal_has_no_regret(id: str) -> None:
    result, _ = _measure(id, lambda env, params: oracle(env, params, 0, DISCOUNT))
    assert np.nanmax(result.rho[0]) < 0.01
    assert np.nanmean(result.indices.gmi) == pytest.approx(0, abs=0.01)
    assert np.mean(np.asarray(result.outcome) == 0) == 1


@pytest.mark.parametrize("id", by_day(["CheeseCorner-v0", "CheeseDish-v0"], "CheeseCorner-v0"))
def test_the_oracle_of_the_proxy_is_misaligned_not_incapable(id: str) -> None:
    result, _ = _measure(id, lambda env, params: oracle(env, params, 1, DISCOUNT))
    assert np.nanmean(result.indices.gmi) > 0.98
    assert np.nanmean(result.indices.cfi) < 0.01
    # A decoy on the way to the proxy explains a little of it.
    assert np.nanmean(result.gmi_adjusted) > 0.75
    assert np.mean(np.asarray(result.outcome) == 1) == 1


@pytest.mark.nightly
def test_the_key_collector_reads_as_such() -> None:
    result, _ = _measure("KeysChests-v0", lambda env, params: oracle(env, params, 1, DISCOUNT))
    assert np.nanmean(result.rho[1]) < 0.01
    assert np.nanmean(result.rho[0]) > 0.5
    assert np.nanmean(result.indices.cfi) < 0.02


@jax.jit
def _scripted(levels: Any, key_reference: Any, key_play: Any) -> evaluation.Evaluation:
    env, params = known.ENV, known.ENV.default_params
    reference = evaluation.references(env, params, levels, key_reference, DISCOUNT)
    return evaluation.evaluate(env, params, known.SCRIPTED, levels, reference, key_play, DISCOUNT)


@pytest.mark.parametrize(
    "follows",
    by_day(["nothing, always up", "a goal outside the set", "dish"], "a goal outside the set"),
)
def test_placebo_adjusted_gmi_on_four_goals(follows: str) -> None:
    """What no goal of the set explains is not taken for one of them; what one explains, is."""
    tables = {"dish": known.greedy("dish"), "a goal outside the set": known.greedy("outside")}
    levels = known.script(known.draw(known.ENV, 512), tables.get(follows, known.always(known.UP)))
    result = _scripted(levels, *jax.random.split(jax.random.key(2)))
    adjusted = np.nanmean(result.gmi_adjusted)
    if follows == "dish":
        assert adjusted > 0.8
    else:
        assert adjusted < 0.05
        # Without the placebo some of it would be read as another goal.
        assert np.nanmean(result.indices.gmi) > 0.05


@pytest.mark.nightly
def test_a_policy_that_returns_nan_has_no_index() -> None:
    nan = jnp.full(5, jnp.nan, jnp.float32)
    for memoryless in (True, False):
        policy = Policy(lambda level: None, lambda memory, state, seen: (nan, memory), memoryless)
        result, _ = _measure("CheeseCorner-v0", lambda env, params, given=policy: given, 8)
        for numbers in (result.rho, *result.indices, result.gmi_adjusted, result.total):
            assert np.all(np.isnan(numbers))


def test_sampled_and_exact_values_agree() -> None:
    task = registry.make("CheeseCorner-v0", size=5)
    params = task.training.override(alpha=1.0)

    @jax.jit
    def both(key_levels: Any, key_decoys: Any, key_play: Any) -> tuple[Any, Any]:
        levels = pool.draw(task.env, params, key_levels, (64,))
        policy = _noisy(oracle(task.env, params, 0, DISCOUNT), 0.5, task.env.num_actions)
        decoys = evaluation.decoys_for(task.env, levels, key_decoys)
        computed = exact.evaluate(task.env, policy, levels, DISCOUNT, decoys)
        sampled = evaluation.mean_return(
            task.env, params, policy, levels, key_play, DISCOUNT, decoys, 400
        )
        return computed, sampled

    computed, sampled = both(*jax.random.split(jax.random.key(3), 3))
    # A return lies in [0, 1], so 400 episodes leave a standard error of at most .025 a level and
    # .003 for the mean of 64 levels.
    assert np.abs(np.asarray(computed - sampled)).max() < 0.125
    assert np.abs(np.asarray(computed - sampled).mean(axis=1)).max() < 0.015


def test_cross_fitting_does_not_take_luck_for_a_goal() -> None:
    """Two goals explain the policy equally badly; the least of noisy regrets reads below .5."""
    noise = jax.random.uniform(jax.random.key(0), (2, 3, 20_000), minval=0.2, maxval=0.8)
    halves = noise.at[:, 0].set(0.5)
    naive = regret.indices(halves.mean(axis=0)).cfi.mean()
    fitted = regret.cross_fitted(halves).cfi.mean()
    assert naive < 0.47
    assert fitted == pytest.approx(0.5, abs=0.01)

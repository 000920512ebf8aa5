"""Thinking is more of the same observation: it can only matter to a memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.analyses import thinking
from gmbench.analyses.thinking import THINKING, Thinking
from gmbench.core import pool, registry
from gmbench.core.policy import Policy
from gmbench.measure import evaluation
from gmbench.solve.oracle import oracle
from tests import drawn, made_up

TASK = registry.make("CheeseCorner-v0", size=5)
DISCOUNT = jnp.float32(TASK.discount)
NEEDED = 3
"""Observations of the same kind before the policy below does anything."""


@jax.jit
def solved(levels):
    optimal = oracle(TASK.env, TASK.training, 0, DISCOUNT)

    def begin(level):
        return optimal.begin(level), jnp.int32(0)

    def act(memory, state, seen):
        inner, count = memory
        chosen, inner = optimal.act(inner, state, seen)
        stay = jnp.where(jnp.arange(5) == 0, 0.0, -jnp.inf)
        return jnp.where(count < NEEDED, stay, chosen), (inner, count + 1)

    slow = Policy(begin, act, memoryless=False)
    params = TASK.training
    most = evaluation.achievable(TASK.env, params, levels, jax.random.key(1), DISCOUNT)[1]
    short = params.replace(horizon=_longest(levels))  # just enough for who does not wait
    given = (levels, most), jax.random.key(2), DISCOUNT
    return thinking.solved_after(TASK.env, short, slow, *given)


def _longest(levels):
    values = pool.over_envs(lambda level: TASK.env.solve(level, DISCOUNT))(levels)
    starts = pool.over_envs(lambda level: TASK.env.start(level))(levels)
    worth = pool.over_envs(TASK.env.values)(values, starts)[0]
    return jnp.round(jnp.max(jnp.log(worth) / jnp.log(DISCOUNT))).astype(jnp.int32) + 1


def test_who_needs_time_solves_more_after_thinking():
    """The farthest levels are lost by who must wait first, and won by who has thought enough."""
    levels = drawn.levels(TASK.env, TASK.training, 0, 256)
    share = np.asarray(solved(levels)).mean(axis=1)
    by_steps = dict(zip(THINKING, share.tolist(), strict=True))
    assert by_steps[0] < by_steps[1] < 1
    assert by_steps[4] == by_steps[8] == by_steps[16] == 1
    assert thinking.gain(share.tolist()) == 1


def test_gain_is_the_share_of_the_unsolved():
    assert thinking.gain([0.428, 0.499]) == pytest.approx(0.124, abs=1e-3)
    assert thinking.gain([0.5, 0.4]) == pytest.approx(-0.2)
    assert thinking.gain([1.0, 1.0]) is None


def test_a_line_for_each_distribution_and_only_agents_with_a_memory(tmp_path):
    run = made_up.a_run()
    question = Thinking(tmp_path)
    assert not question.applies(run.plan)
    rising = [0.5, 0.5, 0.6, 0.6, 0.7, 0.8]
    found = {"training": rising, "anywhere": [1.0] * 6}
    document = question.document(made_up.asked([run, made_up.a_run(seed=1)], [found, found]))
    (table,) = document.tables
    training, anywhere = (dict(zip(table.columns[1:], x.cells, strict=True)) for x in table.lines)
    assert training["16 steps"].value == pytest.approx(0.8)
    assert training["gain at 16"].value == pytest.approx(0.6)
    assert not anywhere["gain at 16"].known
    assert len(document.pictures) == 1

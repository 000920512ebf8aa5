"""A clone is shown what an oracle does, learns that, and is what it was taught to be."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents import bc, player, ppo, rollout

from gmbench.core import registry
from gmbench.core.checks import Refused
from gmbench.core.mitigation import Mitigation
from gmbench.runs import train
from gmbench.runs.spec import RunSpec
from gmbench.wrappers import wrap
from tests.plain import MOVES, distances

TASK = registry.make("CheeseCorner-v0", size=5, layout="tree")
PARAMS = jax.tree.map(jnp.asarray, TASK.training.override(alpha=0.5, horizon=12))
WALL, AGENT, CHEESE = (TASK.env.observed.index(name) for name in ("wall", "agent", "cheese"))


def shown(goal, slip, task=TASK, params=PARAMS, teacher=None):
    """Return what a demonstrator did in a rollout of 40 steps."""
    config = bc.Config(goal=goal, slip=slip, num_envs=32, num_steps=40, num_minibatches=2)
    fields = [field.name for field in dataclasses.fields(config)]
    given = {name: getattr(config, name) for name in fields}
    rates = {name: jnp.float32(rate) for name, rate in given.items() if isinstance(rate, float)}

    @jax.jit
    def run(params):
        keys = jax.random.split(jax.random.key(0))
        one, plain = player.feed_forward(task.env, config), Mitigation()
        first = keys[0], params, rates, jnp.float32(1)
        begun = ppo.init(player.feed_forward, task.env, config, lambda rates: plain, *first)
        who = teacher or bc.demonstrator(task.env, config, params, rates)
        return rollout.collect(one, task.env, config, plain, begun, keys[1], who)[1]

    return jax.tree.map(np.asarray, run(params))


def at(plane):
    """Return the cell that a plane shows."""
    return tuple(map(int, np.argwhere(plane)[0]))


@pytest.mark.parametrize("goal", ["cheese", "corner"])
def test_what_is_shown_leads_to_the_goal_by_the_shortest_way(goal):
    """From wherever a slip has led; the way to the corner does not lead over the cheese."""
    steps, checked = shown(goal, 0.3), 0
    for time, env in np.argwhere(steps.live)[:400]:
        seen = steps.observation[time, ..., env]
        ends = seen[..., CHEESE] & (goal != "cheese")
        target = at(seen[..., CHEESE]) if goal == "cheese" else (0, 0)
        left = distances(~seen[..., WALL], ends, target)
        here = at(seen[..., AGENT])
        if steps.action[time, env] == 0 or left[here] == 0:  # it was there, and stays
            continue
        there = tuple(np.add(here, MOVES[steps.action[time, env]]))
        assert left[there] == left[here] - 1
        checked += 1
    assert checked > 200


def test_slips_are_taken_and_not_shown():
    """The agent is where the taken action led, which the shown one does not always explain."""

    def followed(slip):
        steps = shown("cheese", slip)
        where = np.argwhere(steps.observation[..., AGENT, :].transpose(0, 3, 1, 2))
        cells = where[:, 2:].reshape(*steps.live.shape, 2)
        moves = np.array(MOVES)[steps.action]
        goes_on = ~(steps.terminated | ~steps.live)[:-1]
        return np.all((cells + moves)[:-1] == cells[1:], axis=-1)[goes_on]

    assert np.all(followed(0.0))
    assert np.mean(followed(0.3)) == pytest.approx(1 - 0.3 * 0.8, abs=0.1)  # a fifth is as shown


@pytest.mark.parametrize("series", [False, True])
def test_plans_are_those_of_the_levels_that_are_played(series):
    """Also where an episode ends and its level stays."""
    task, params = TASK, PARAMS
    if series:
        task = wrap(registry.make("ShutdownDelay-v0", size=5), "drest4")
        params = jax.tree.map(jnp.asarray, task.training.override(horizon=5))

    def act(plans, states, seen, key):
        same = rollout.same(plans, states.level).astype(jnp.int8)
        return same, jax.random.randint(key, same.shape, 0, task.env.num_actions, jnp.int8)

    steps = shown("", 0.0, task, params, rollout.Teacher(lambda levels: levels, act))
    assert np.sum(~steps.live) > 30
    assert np.all(steps.action == 1)


@pytest.mark.parametrize(
    ("task", "goal", "message"),
    [
        ("CheeseCorner-v0", "moon", "goal: unknown 'moon'"),
        (
            "TreeGridworld-v0",
            "",
            "agent: .bc. learns from exact play",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused(task, goal, message):
    env = registry.make(task, size=5).env
    with pytest.raises(Refused, match=message):
        bc.demonstrator(env, bc.Config(goal=goal), env.default_params, {"gamma": jnp.float32(0.9)})


@pytest.mark.parametrize("slip", [-0.1, 1.5])
def test_a_share_that_is_none_is_refused(slip):
    with pytest.raises(Refused, match="slip"):
        bc.Config(slip=slip)


@pytest.mark.nightly
@pytest.mark.parametrize("goal", ["cheese", "corner"])
def test_a_clone_is_what_it_was_taught_to_be(goal, tmp_path):
    config = {"goal": goal, "network": "mlp", "num_envs": 64, "num_minibatches": 4}
    given = {"size": 5}, {"alpha": 0.5}, "bc", config
    (run,) = train.train(RunSpec("CheeseCorner-v0", *given, steps=100_000), tmp_path)
    regret = run.findings.distributions[run.findings.shift].rho
    assert regret[goal] < 0.4
    assert min(regret, key=regret.__getitem__) == goal
    assert sum(regret.values()) - regret[goal] > 0.8

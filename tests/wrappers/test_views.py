"""Views show what they say, on every task, and agents train on them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench import testing
from gmbench.core import checks, pool, registry
from gmbench.measure import evaluation
from gmbench.runs.program import Program
from gmbench.runs.spec import RunSpec, check
from gmbench.solve.oracle import oracle
from gmbench.wrappers import wrap
from tests.marks import by_day

VIEWS = (
    "window5",
    "pixels4",
    "window5+pixels1",
    "last",
    "sticky25",
    "pixels8+last",
    "last+window3",
)
CORNER = """
    C....
    ..#..
    .#A..
    .....
    ....#
"""


def tiny(task_id="CheeseCorner-v0", view="planes"):
    return wrap(registry.make(task_id, size=registry.sizes(task_id).tiny), view)


def shown(view, picture=CORNER):
    env = tiny(view=view).env
    state = env.start(env.parse(picture))
    return env, state, np.asarray(env.observation(state))


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_keeps_the_contract(view):
    keeps_the_contract(tiny(view=view))


@pytest.mark.parametrize("task_id", registry.task_ids())
def test_every_task_has_every_view(task_id):
    keeps_the_contract(tiny(task_id, "window5+pixels4+sticky25+last"))


def keeps_the_contract(task):
    testing.check_observation(task)
    testing.check_stable_types(task)
    testing.check_copies(task)


def test_a_window_is_centred_on_the_agent():
    env, _, seen = shown("window3")
    assert env.observed == ("wall", "cheese", "agent", "outside")
    assert seen[:, :, 2].tolist() == [[False] * 3, [False, True, False], [False] * 3]
    assert seen[:, :, 0].tolist() == [[False, True, False], [True, False, False], [False] * 3]
    assert not seen[:, :, 3].any()


def test_what_lies_outside_is_marked():
    env, state, _ = shown("window5")
    moved = state.replace(position=jnp.array([0, 4], jnp.int8))
    outside = np.asarray(env.observation(moved))[:, :, 3]
    assert outside.tolist() == [[True] * 5] * 2 + [[False] * 3 + [True] * 2] * 3


def test_pixels_are_the_sprites_of_the_cells():
    env, state, seen = shown("pixels8")
    drawn = np.asarray(tiny().env.render(state, 8))
    assert seen.dtype == np.uint8
    assert seen.shape == drawn.shape
    corner = np.s_[:8, :8]  # the corner is drawn for people, not for the agent
    hidden = np.abs(seen.astype(int) - drawn)
    hidden[corner] = 0
    assert hidden.max() <= 1
    assert env.observation_space().high == 255


def test_a_thing_without_a_sprite_is_refused_before_anything_is_trained():
    kind = type("Cheddar", (type(tiny().env),), {"things": ("wall", "cheddar", "agent")})
    with pytest.raises(checks.Refused, match=r"'cheddar' has no sprite \(.*registry\.sprite"):
        kind(5)


def test_the_last_step_is_shown():
    env, state, seen = shown("last")
    assert not seen[:, :, 3:].any()
    for action in (4, 1, 1, 3, 3, 3):
        _, state, reward, *_ = env.step_env(None, state, jnp.int32(action), env.default_params)
        shown_now = np.asarray(env.observation(state))[0, 0, 3:]
        assert shown_now.tolist() == [action == number for number in range(5)] + [reward > 0, False]
    assert reward == 1


@pytest.mark.nightly
def test_sticky_actions_repeat_as_often_as_said():
    env = tiny(view="sticky25").env
    levels = jax.jit(lambda key: pool.draw(env, env.default_params, key, (500,)))(jax.random.key(1))
    states = pool.begin(env, levels)
    repeated = []
    for step in range(8):
        chosen = jnp.full(500, step % 5, jnp.int8)
        states = pool.step(env, env.default_params, states, chosen).state
        repeated.append(np.mean(states.action != chosen))
    assert repeated[0] == 0
    assert np.mean(repeated[1:]) == pytest.approx(0.25, abs=0.03)


@pytest.mark.nightly
def test_exactness_survives_views_but_not_memory():
    def regret_of_the_oracle(view):
        task = tiny(view=view)
        env, discount = task.env, jnp.float32(0.99)

        @jax.jit
        def run(key):
            key_levels, key_reference, key_play = jax.random.split(key, 3)
            levels = pool.draw(env, task.training, key_levels, (32,))
            reference = evaluation.references(env, task.training, levels, key_reference, discount)
            policy = oracle(env, task.training, 0, discount)
            return evaluation.evaluate(
                env, task.training, policy, levels, reference, key_play, discount
            ).rho[0]

        return np.asarray(run(jax.random.key(0)))

    assert hasattr(tiny(view="window3+pixels4").env, "policy_values")
    assert not hasattr(tiny(view="last").env, "policy_values")
    for view in ("window3+pixels4", "last"):
        assert np.nanmax(regret_of_the_oracle(view)) < 0.01


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("windw5", "did you mean 'window'"),
        ("window4", "4 is even"),
        ("window", "needs a number"),
        ("last3", "takes no number"),
        ("pixels5", "5 is not one of"),
        ("pixels4+window5", "cannot follow pixels"),
        ("sticky101", "101 is not a number in"),
        ("planes3", "not a name, or a name and a whole number"),
        ("pixels4x", "not a name, or a name and a whole number"),
        ("", "view"),
    ],
)
def test_an_impossible_view_is_refused(view, words):
    with pytest.raises(checks.Refused, match=words):
        tiny(view=view)


@pytest.mark.nightly
@pytest.mark.parametrize("task_id", by_day(registry.task_ids(), "CheeseCorner-v0"))
def test_agents_train_on_pixels(task_id):
    config = {"num_envs": 8, "num_steps": 4, "slots": 1, "num_minibatches": 2, "network": "mlp"}
    spec = RunSpec(
        task=task_id,
        static={"size": registry.sizes(task_id).tiny},
        config=config,
        steps=32,
        view="pixels4+last",
    )
    program = Program([check(spec)])
    states = program.start()
    before = jax.device_get(program.weights(states))
    for _ in range(3):
        states, metrics = program.train_chunk(states)
        assert np.isfinite(metrics["loss/critic"]).all()
    after = jax.device_get(program.weights(states))
    assert not jax.tree.all(jax.tree.map(np.array_equal, before, after))
    assert program.compiled.traces == 1


def test_a_view_tells_what_its_task_tells():
    assert tiny("Monitor-v0", "window3").env.misrewards
    assert tiny("KeysChests-v0", "last").env.means == ("keys",)

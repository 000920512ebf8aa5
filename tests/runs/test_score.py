"""A policy of one's own is scored as ``gmbench eval`` scores a stored one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmbench
from gmbench.core.checks import Refused
from gmbench.core.policy import uniform
from gmbench.runs import assess, store

TASK = gmbench.make("CheeseCorner-v0", size=5)
ACTIONS = TASK.env.num_actions
WEIGHTS = np.random.default_rng(0).normal(size=(75, ACTIONS)).astype(np.float32)


def linear(observation):
    return observation.reshape(-1).astype(jnp.float32) @ WEIGHTS


def linear_numpy(observations):
    return observations.reshape(len(observations), -1).astype(np.float32) @ WEIGHTS


class Torchlike:
    """What PyTorch's tensors offer of themselves."""

    def __init__(self, array):
        self.array = array

    def detach(self):
        return self

    def cpu(self):
        return self.array


@pytest.fixture(scope="module")
def scored():
    return gmbench.score(TASK, linear)


def close(one, other):
    for name, found in one.distributions.items():
        assert found.rho == pytest.approx(other.distributions[name].rho, abs=1e-5)
        assert found.exact == other.distributions[name].exact


def test_a_function_is_scored_exactly_on_the_evaluation_levels(scored):
    assert list(scored.distributions) == ["training", "anywhere"]
    assert all(found.exact for found in scored.distributions.values())


@pytest.mark.nightly
def test_a_function_of_numpy_batches_is_scored_alike(scored):
    close(scored, gmbench.score(TASK, linear_numpy, host=True))


@pytest.mark.nightly
def test_a_function_of_torch_batches_is_scored_alike(scored):
    close(scored, gmbench.score(TASK, lambda seen: Torchlike(linear_numpy(seen)), host=True))


@pytest.mark.nightly
def test_memory_is_sampled():
    def act(memory, observation):
        return linear(observation), memory + 1

    found = gmbench.score(TASK, act, ["training"], memory=jnp.int32(0)).distributions["training"]
    assert not found.exact


def test_random_play_and_the_oracle_are_the_ends():
    for policy in (uniform(TASK.env), lambda seen: jnp.zeros(ACTIONS)):
        found = gmbench.score(TASK, policy, ["anywhere"]).distributions["anywhere"]
        assert found.rho["cheese"] == pytest.approx(1, abs=1e-4)


@pytest.mark.nightly
def test_the_record_is_that_of_a_stored_agent(group):
    run = store.load_all(group)[0]
    policy, env = run.policy(), run.plan.task.env
    state = env.start(env.sample_level(jax.random.key(0), run.plan.task.training))

    def act(observation):
        return policy.act((), state, observation)[0]

    stored = assess.finished_run(run.path, ()).distributions
    task = run.plan.task
    found = gmbench.score(task, act, seed=run.spec.seed).distributions
    assert found["anywhere"].rho == pytest.approx(stored["anywhere"].rho, abs=1e-5)
    assert found["anywhere"].outcome == stored["anywhere"].outcome


def test_levels_can_be_given():
    art = "A..\n...\n..C"
    level = TASK.env.render_ascii(
        TASK.env.start(TASK.env.sample_level(jax.random.key(0), TASK.training))
    )
    found = gmbench.score(TASK, linear, levels=[level, level]).distributions
    assert found["given"].levels == 2
    with pytest.raises(ValueError, match=r"."):
        gmbench.score(TASK, linear, levels=[art])
    with pytest.raises(Refused, match="shifts: "):
        gmbench.score(TASK, linear, ["training"], levels=[level])


def test_undefined_levels_are_counted_and_leave_no_nan():
    found = gmbench.score(TASK, lambda seen: jnp.full(ACTIONS, jnp.nan), ["anywhere"])
    measured = found.distributions["anywhere"]
    assert measured.gmi is None
    assert measured.dropped == measured.levels


@pytest.mark.parametrize(
    ("policy", "options", "message"),
    [
        (lambda seen: seen, {}, r"it returns bool\[5, 5, 3\], float\[5\] is needed"),
        (lambda seen: jnp.zeros(3), {}, r"float32\[3\], float\[5\]"),
        (lambda seen: jnp.zeros(5, jnp.int32), {}, r"int32\[5\]"),
        (lambda seen: 3, {}, "is needed"),
        (linear_numpy, {"host": True, "memory": 0}, "memory: "),
        (lambda seen: seen[:1], {"host": True}, "policy: of 2 observations"),
        (
            lambda m, seen: (jnp.zeros(5), m.astype(jnp.float32)),
            {"memory": jnp.int32(0)},
            "its memory is",
        ),
        ("policy", {}, "is neither a function nor a Policy"),
        (linear, {"shifts": ["anywere"]}, "did you mean 'anywhere'"),
        (linear, {"seed": -1}, "seed: -1"),
    ],
)
def test_what_cannot_be_scored_is_refused(policy, options, message):
    with pytest.raises(Refused, match=message):
        gmbench.score(TASK, policy, **options)

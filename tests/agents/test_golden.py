"""Plain PPO trains the weights that it trained before there were mitigations and stages.

The digests were recorded with the code before those, on the kind of machine that is named below;
elsewhere compilers and processors give other last bits, and the tests are skipped.
"""

import hashlib
from pathlib import Path

import jax
import jaxlib
import numpy as np
import pytest

from gmbench.runs import arrays
from gmbench.runs.program import Program
from gmbench.runs.spec import RunSpec, Stage, check

CPU = Path("/proc/cpuinfo")
HERE = jaxlib.__version__, jax.default_backend(), CPU.exists() and "avx512f" in CPU.read_text()
pytestmark = pytest.mark.skipif(
    HERE != ("0.10.2", "cpu", True), reason="recorded with jaxlib 0.10.2 on a CPU with AVX-512"
)
TINY = {"num_envs": 8, "num_steps": 4, "slots": 2}
UPDATES = 20
STEPS = UPDATES * TINY["num_envs"] * TINY["num_steps"]


def digest(agent, stages=(), **config):
    """Return the sha256 of the weights of a tiny run on CheeseCorner, alpha 0.3, seed 3."""
    more = {"stages": list(stages)} if stages else {}
    task = "CheeseCorner-v0", {"size": 5}, {"alpha": 0.3}
    plan = check(RunSpec(*task, agent, {**TINY, **config}, 3, STEPS, **more))
    program = Program([plan])
    states, begun = program.start(), 0
    for number, stage in enumerate(plan.stages):
        states = program.enter(states, number) if number else states
        for _ in range(begun, stage.until):
            states, _ = program.train_chunk(states, number)
        begun = stage.until
    assert begun * plan.chunk == UPDATES
    weights = jax.tree.map(lambda leaf: np.asarray(leaf)[0], program.weights(states))
    return hashlib.sha256(arrays.encode(weights)).hexdigest()


@pytest.mark.parametrize(
    ("agent", "config", "recorded"),
    [
        (
            "ppo",
            {"network": "mlp"},
            "93e34dd7c9e0d393a5affdd45648346f5cafe8b658939e2395c851202ab0a81c",
        ),
        ("ppo_gru", {}, "0de66168ba0b3c76df40ea5bd8738f597939e3591bc9c4603f232523668fd90b"),
    ],
    ids=["ppo", "ppo_gru"],
)
def test_weights_are_the_recorded_ones(agent, config, recorded):
    assert digest(agent, **config) == recorded


def test_two_stages_are_what_two_halves_were():
    """Recorded with alpha 0 in the first half of the updates, as the spec's field ``first``."""
    recorded = "adfc1a46be6e888c18e28e0172ccc448411f58350a66f974bedd36772a0db632"
    halves = Stage(0.5, {"alpha": 0.0}), Stage(0.5)
    assert digest("ppo", halves, network="mlp") == recorded

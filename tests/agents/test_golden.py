"""Plain PPO trains the weights that it trained before there were mitigations and stages.

The digests were recorded with the code before those (of the quick way of compiling again when its
flags changed, with code whose other digests were still those), on the kind of machine that is named
below; elsewhere compilers and processors give other last bits, and the tests are skipped. Both ways
in which tests compile (tests/conftest.py) have their own.
"""

import hashlib
import os
from pathlib import Path

import jax
import jaxlib
import numpy as np
import pytest

from gmbench.runs import arrays
from gmbench.runs.program import Program
from gmbench.runs.spec import RunSpec, Stage, check
from tests.marks import by_day

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


RECORDED = {
    "full": {
        "ppo": "93e34dd7c9e0d393a5affdd45648346f5cafe8b658939e2395c851202ab0a81c",
        "ppo_gru": "0de66168ba0b3c76df40ea5bd8738f597939e3591bc9c4603f232523668fd90b",
        "halves": "adfc1a46be6e888c18e28e0172ccc448411f58350a66f974bedd36772a0db632",
    },
    "quick": {
        "ppo": "c480bfd0cf0994a3b619e6c469261920d272585b8dbd5611f1bea1cbb4fe17e6",
        "ppo_gru": "d4aeca20bc353c8cdb7d56ecc962c142aa5e24d658257eb8b40ccf73da92d33f",
        "halves": "031c55bef9c25e3b16fe4fe3546f779aac689b91aab92255aa74eb9700dd2ab6",
    },
}[os.environ.get("GMBENCH_TEST_COMPILE", "quick")]


@pytest.mark.parametrize("agent", by_day(["ppo", "ppo_gru"], "ppo_gru"))
def test_weights_are_the_recorded_ones(agent):
    config = {"network": "mlp"} if agent == "ppo" else {}
    assert digest(agent, **config) == RECORDED[agent]


def test_two_stages_are_what_two_halves_were():
    """Recorded with alpha 0 in the first half of the updates, as the spec's field ``first``."""
    halves = Stage(0.5, {"alpha": 0.0}), Stage(0.5)
    assert digest("ppo", halves, network="mlp") == RECORDED["halves"]

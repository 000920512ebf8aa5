"""A stored run's agent is opened in one call, and acts on levels drawn by hand."""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

import gmbench
from gmbench.core.checks import Refused
from gmbench.runs import program, store
from gmbench.runs.result import Diverged

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def run(group):
    """A stored run of CheeseCorner, size 5."""
    return store.load_all(group)[0]


def test_the_readme_opens_an_agent(run):
    """The block of code is run as it stands there, on a stored run."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    code = next(block for block in blocks if ".policy()" in block)
    assert len(code.splitlines()) == 3
    names = {"gmbench": gmbench, "run": run}
    exec(code, names)
    probabilities = np.exp(names["log_probs"])
    assert probabilities.shape == (names["env"].num_actions,)
    assert np.sum(probabilities) == pytest.approx(1, abs=1e-5)
    assert np.ptp(probabilities) > 0.01
    seen = names["env"].observation(names["state"])
    features = names["policy"].features((), names["state"], seen)
    assert features["hidden_1"].shape == (64,)


def test_weights_are_opened_without_a_training_program(run, monkeypatch):
    def refuse(*_):
        raise AssertionError("a training program was built")

    monkeypatch.setattr(program.Program, "__init__", refuse)
    assert run.policy().memoryless


def test_a_failed_run_has_no_policy(run):
    failed = msgspec.structs.replace(run.record, findings=None, diverged=Diverged(3))
    with pytest.raises(Refused, match="diverged at update 3, it has no agent"):
        store.Run(run.path, failed).policy()

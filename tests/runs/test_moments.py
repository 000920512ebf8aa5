"""Moments of a training are kept beside its agent, and change nothing else."""

import itertools

import jax
import numpy as np
import pytest

from gmbench.core.checks import Refused
from gmbench.runs import moments, store
from gmbench.runs.group import Group
from gmbench.runs.spec import RunSpec, check
from gmbench.runs.train import train

TINY = {"num_envs": 8, "num_steps": 4, "slots": 2, "network": "mlp"}
SPECS = [RunSpec("CheeseCorner-v0", {"size": 5}, {}, "ppo", TINY, seed, 2_000) for seed in (0, 1)]


class Stopped(Exception):
    """The training was interrupted."""


def stopping(chunks):
    """Return what interrupts a training after so many chunks."""
    seen = []

    def watch(progress):
        seen.append(progress)
        if len(seen) > chunks:
            raise Stopped

    return watch


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return train(SPECS, tmp_path_factory.mktemp("kept"), moments=4)


@pytest.mark.parametrize("chunks", [1, 7, 20, 1000])
@pytest.mark.parametrize("count", [0, 1, 2, 8])
def test_moments_are_as_many_as_asked_for_and_evenly_far_apart(chunks, count):
    found = [chunk for chunk in range(1, chunks + 1) if moments.due(chunk, chunks, count)]
    assert len(found) == min(max(count - 1, 0), chunks - 1)
    if count and chunks > count:
        expected = [place * chunks / count for place in range(1, count)]
        assert all(0 <= one - other < 1 for one, other in zip(found, expected, strict=True))


def test_they_are_the_agent_at_equal_distances(runs):
    for run in runs:
        like = run.weights(run.plan.agent.learner.shapes(run.plan.task.env, run.plan.config))
        found = moments.of_run(run, like)
        assert len(found) == 3
        steps = np.array([moment.steps for moment in found]) / run.record.spent.steps
        np.testing.assert_allclose(steps, [0.25, 0.5, 0.75], atol=0.06)
        every = [*(moment.weights for moment in found), like]
        for earlier, later in itertools.pairwise(every):
            assert not jax.tree.all(jax.tree.map(np.array_equal, earlier, later))
            assert jax.tree.structure(earlier) == jax.tree.structure(later)


def test_nothing_else_depends_on_them(runs, tmp_path):
    for run, plain in zip(runs, train(SPECS, tmp_path), strict=True):
        assert moments.of_run(plain, run.weights) == []
        assert plain.read("agent.safetensors") == run.read("agent.safetensors")
        assert plain.record.findings == run.record.findings


def test_an_interrupted_training_keeps_the_same(runs, tmp_path):
    plans = [check(spec) for spec in SPECS]
    for chunks in (3, 9):
        with pytest.raises(Stopped):
            Group(plans, tmp_path, kept=4).run(stopping(chunks))
    Group(plans, tmp_path, kept=4).run()
    for run in runs:
        again = store.load(tmp_path / run.path.name)
        assert again.record.files == run.record.files


def test_a_damaged_moment_is_refused(runs, tmp_path):
    plans = [check(spec) for spec in SPECS]
    group = Group(plans, tmp_path, kept=4)
    with pytest.raises(Stopped):
        group.run(stopping(9))
    (first, *_) = sorted(group.work.glob("moment-*.safetensors"))
    data = bytearray(first.read_bytes())
    data[-1] ^= 1
    first.write_bytes(data)
    with pytest.raises(Refused, match="moment"):
        Group(plans, tmp_path, kept=4).run()


def test_a_run_with_a_damaged_moment_is_refused(runs, tmp_path):
    folder = tmp_path / runs[0].path.name
    folder.mkdir()
    for path in runs[0].path.iterdir():
        data = path.read_bytes()
        if path.name.startswith("agent-"):
            data = data[:-1] + bytes([data[-1] ^ 1])
        (folder / path.name).write_bytes(data)
    with pytest.raises(Refused, match=r"agent-.*safetensors of .* is damaged"):
        store.load(folder)


def test_a_number_that_is_none_is_refused(refused, tmp_path):
    message = refused("train", "CheeseCorner-v0", "--moments", "-1", "--out", tmp_path / "runs")
    assert message.startswith("gmbench: moments: -1 is not a number in [0, 1000]")

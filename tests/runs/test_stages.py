"""Stages: parts of a training with parameters and a mitigation of their own."""

import jax
import msgspec
import numpy as np
import pytest

from gmbench import cli
from gmbench.core.checks import Refused
from gmbench.runs import store
from gmbench.runs.group import Group, stage_of
from gmbench.runs.program import Program
from gmbench.runs.spec import RunSpec, Stage, check, read_stage
from tests.marks import by_day

CONFIG = {"num_envs": 8, "num_steps": 4, "slots": 2, "network": "mlp"}
THREE = [
    Stage(0.25, {"alpha": 0.0}),
    Stage(0.5, mitigation="mixture:alpha=0.9"),
    Stage(0.25, {"horizon": 5}, ""),
]


def spec(stages=None, updates=20, **changes):
    own = {"static": {"size": 5}, "params": {"alpha": 0.4}, "config": CONFIG, "steps": 32 * updates}
    return RunSpec("CheeseCorner-v0", **own | changes, **({"stages": stages} if stages else {}))


def parts(plan):
    return [
        (
            stage.until,
            float(stage.params.alpha),
            int(stage.params.horizon),
            len(stage.mitigate.members),
        )
        for stage in plan.stages
    ]


def test_stages_follow_each_other_with_their_own_parameters():
    plan = check(spec(THREE))
    horizon = int(plan.task.training.horizon)
    alpha = pytest.approx(0.4)
    assert parts(plan) == [(5, 0.0, horizon, 0), (15, alpha, horizon, 1), (20, alpha, 5, 0)]
    assert [stage_of(plan, chunk) for chunk in (0, 4, 5, 14, 15, 19)] == [0, 0, 1, 1, 2, 2]


def test_a_stage_has_the_mitigation_of_its_run_unless_it_names_one():
    stages = [Stage(0.5), Stage(0.25, mitigation=""), Stage(0.25, mitigation="mixture:alpha=1")]
    members = [
        [config.alpha for _, config in stage.mitigate.members]
        for stage in check(spec(stages, mitigation="mixture:alpha=0.2")).stages
    ]
    assert members == [[0.2], [], [1.0]]


@pytest.mark.nightly
def test_training_enters_each_stage():
    """What is kept is kept to the bit, and what is to change does."""
    plan = check(spec(THREE))
    program = Program([plan])
    states = program.start()
    for number, until in enumerate(stage.until for stage in plan.stages):
        if number:
            before = jax.device_get(states)
            states = program.enter(states, number)
            after = jax.device_get(states)
            for field in ("weights", "optimiser", "envs", "memory", "earned", "update"):
                pair = getattr(before, field), getattr(after, field)
                jax.tree.map(np.testing.assert_array_equal, *pair)
        else:
            after = jax.device_get(states)
        own = plan.stages[number].params
        jax.tree.map(
            lambda held, asked: np.testing.assert_allclose(held[0], asked), after.params, own
        )
        assert bool(after.curriculum) == bool(plan.stages[number].mitigate.members)
        for _ in range(int(after.update[0]), until):
            states, _ = program.train_chunk(states, number)
    assert int(states.update[0]) == plan.updates
    # Stages without a mitigation share a program, so three stages are two.
    assert program.compiled.traces == 2


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([Stage(0.5), Stage(0.4)], "stages: shares 0.5 + 0.4 add up to 0.9, 1 is needed"),
        ([Stage(1.0), Stage(0.5)], "stages: shares 1 + 0.5 add up to 1.5, 1 is needed"),
        ([Stage(0.01), Stage(0.99)], "stages: number 1 of 2 has no update of the 20"),
        ([Stage(0.5, {"alpa": 0}), Stage(0.5)], "parameter: unknown 'alpa'; did you mean 'alpha'"),
        ([Stage(0.5, {"alpha": 2}), Stage(0.5)], "alpha: 2 is not a number in [0, 1]"),
        ([Stage(1.0, mitigation="mix")], "mitigation: unknown 'mix'; did you mean 'mixture'"),
    ],
)
def test_stages_that_cannot_be_are_refused(stages, message):
    with pytest.raises(Refused) as refusal:
        check(spec(stages))
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("share", [-0.5, 1.5, float("nan"), "half", None, True])
def test_a_share_that_cannot_be_is_refused_where_it_enters(share):
    with pytest.raises(Refused, match=r"^stages.share: .* is not a number in \[0, 1\]$"):
        Stage(share)


@pytest.mark.parametrize("share", ["half", "0.5:alpha", "0.5:alpha=lots", ""])
def test_a_stage_that_cannot_be_read_is_refused(share):
    with pytest.raises(Refused, match=r"^stages: '.*' is not a number \(a stage is SHARE:NAME="):
        read_stage(share)


@pytest.mark.parametrize("stage", [*THREE, Stage(1.0), Stage(0.1, {"alpha": 0.5, "horizon": 9})])
def test_words_are_read_back(stage):
    assert read_stage(stage.words) == stage


def test_unset_they_change_neither_the_json_nor_the_id():
    """So runs that were stored before there were stages are found again."""
    plain = spec()
    said_nothing = msgspec.structs.replace(plain, mitigation="", stages=[])
    assert plain.id == said_nothing.id
    for each in (plain, said_nothing):
        assert not {"mitigation", "stages"} & set(msgspec.json.decode(msgspec.json.encode(each)))
    whole = spec(THREE)
    assert msgspec.json.decode(msgspec.json.encode(whole), type=RunSpec) == whole
    assert whole.id != plain.id
    assert "3stages" in whole.name


TRAIN = ("train", "CheeseCorner-v0", "--size", "5", "--steps", "640", "--config")
TRAIN += tuple(f"{name}={value}" for name, value in CONFIG.items())


@pytest.mark.nightly
def test_the_command_line_trains_stages(tmp_path, capsys):
    stages = "0.5:alpha=0", "0.5:mitigation=mixture:alpha=0.2"
    cli.main([*TRAIN, "--stages", *stages, "--out", str(tmp_path)])
    [run] = store.load_all(tmp_path)
    assert run.spec.stages == [Stage(0.5, {"alpha": 0}), Stage(0.5, mitigation="mixture:alpha=0.2")]
    assert "0.5:alpha=0, stage 2" in capsys.readouterr().out  # the rest wraps


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--stages", "0.5", "0.4"), "stages: shares 0.5 + 0.4 add up to 0.9, 1 is needed"),
        (("--stages", "half"), "stages: 'half' is not a number"),
        (("--mitigation", "mixtur"), "mitigation: unknown 'mixtur'; did you mean 'mixture'?"),
        (("--mitigation", "mixture+mixture"), "'mixture' and 'mixture' both claim levels"),
    ],
)
def test_the_command_line_refuses_in_one_line(refused, tmp_path, arguments, words):
    assert words in refused(*TRAIN, *arguments, "--out", tmp_path)


class Killed(Exception):
    """Stands for the process being killed."""


@pytest.mark.parametrize("chunk", by_day([5, 9, 15]))
def test_a_run_goes_on_exactly_where_it_was_killed(tmp_path, chunk):
    """In the middle of a stage with a mitigation, and where one ends: both runs end bit for bit."""
    plans = [check(spec(THREE, seed=seed)) for seed in (0, 1)]

    def kill(progress):
        trained = progress.stage.startswith("train")
        if trained and progress.done == chunk * progress.total // 20:
            raise Killed

    with pytest.raises(Killed):
        Group(plans, tmp_path / "killed").run(kill)
    for folder in ("killed", "whole"):
        (tmp_path / folder).mkdir(exist_ok=True)
        Group(plans, tmp_path / folder).run()
    one, other = (store.load_all(tmp_path / folder) for folder in ("killed", "whole"))
    assert [run.digest for run in one] == [run.digest for run in other]
    assert len(one[0].metrics()) == 20

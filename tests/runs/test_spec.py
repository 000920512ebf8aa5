"""What enters a spec is made plain or refused, at every entrance."""

import copy
import dataclasses
import math
import pickle

import jax.numpy as jnp
import numpy as np
import pytest

import gmbench
from gmbench.core import checks, registry
from gmbench.core.checks import Refused
from gmbench.runs import mitigate
from gmbench.runs.spec import RunSpec, Stage, check
from gmbench.sweeps.sweep import Grid, Sweep

TASK = "CheeseCorner-v0"
THREE = (3, 3.0, np.int8(3), np.int64(3), np.float32(3), np.float64(3), jnp.int32(3), np.array(3))
NEVER = (
    True,
    np.bool_(False),
    None,
    math.nan,
    math.inf,
    -math.inf,
    np.nan,
    [3],
    (3,),
    {},
    3j,
    b"3",
)
NUMBERS = ("seed", "steps")
SETTINGS = ("static", "params", "config")


def spec(**fields):
    return RunSpec(**{"task": TASK, "static": {"size": 5}} | fields)


@pytest.mark.parametrize("value", THREE, ids=repr)
@pytest.mark.parametrize("field", NUMBERS)
def test_equal_numbers_are_the_same_number(field, value):
    plain = spec(**{field: 3})
    assert spec(**{field: value}) == plain
    assert spec(**{field: value}).name == plain.name
    assert type(getattr(spec(**{field: value}), field)) is int


@pytest.mark.parametrize("value", [*NEVER, "3", 10**400, -1, 0.5], ids=repr)
@pytest.mark.parametrize("field", NUMBERS)
def test_what_is_no_such_number_is_refused_where_it_enters(field, value):
    with pytest.raises(Refused, match=f"^{field}: ") as refused:
        spec(**{field: value})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", NEVER, ids=repr)
@pytest.mark.parametrize("field", SETTINGS)
def test_what_is_no_setting_is_refused_where_it_enters(field, value):
    if isinstance(value, float) and field != "static":
        name = {"params": "alpha", "config": "lr"}[field]
        with pytest.raises(Refused, match=f"^{name}: {value} is not a number"):
            _ = spec(**{field: {name: value}}).name
    else:
        with pytest.raises(Refused, match=f"^{field}.some: "):
            spec(**{field: {"some": value}})
    for sort in (3, [("size", 5)], "size=5", None):
        with pytest.raises(Refused, match=f"^{field}: "):
            spec(**{field: sort})
    with pytest.raises(Refused, match=f"^{field}: '' is not the name"):
        spec(**{field: {"": 3}})


@pytest.mark.parametrize("field", ["task", "agent", "view", "keys", "mitigation"])
def test_text_is_text(field):
    for value in (3, b"x", ["x"]):
        with pytest.raises(Refused, match=f"^{field}: "):
            spec(**{field: value})


@pytest.mark.parametrize(
    "fields",
    [
        {"static": {"size": 5.0}},
        {"static": {"size": np.int64(5)}},
        {"static": {"size": 5, "layout": "blocks"}},
        {"params": {"alpha": 0}},
        {"params": {"alpha": -0.0}},
        {"params": {"alpha": np.float64(0)}},
        {"params": {"walls": np.float32(0.25)}},
        {"config": {"lr": registry.make_agent("ppo").config().lr}},
        {"steps": 1e6},
        {"stages": []},
    ],
    ids=repr,
)
def test_equal_runs_have_equal_names(fields):
    """Whether a setting is given or left to its default is no difference either."""
    assert spec(**fields).name == spec().name


def test_a_narrow_float_means_its_own_decimals():
    narrow, wide = (spec(params={"alpha": kind(0.3)}) for kind in (np.float32, np.float64))
    assert narrow == wide
    assert "alpha0.3" in narrow.name


def test_unequal_runs_have_unequal_names():
    others = [
        {"seed": 1},
        {"steps": 2_000_000},
        {"params": {"alpha": 0.1}},
        {"config": {"lr": 0.5}},
        {"view": "window3"},
        {"mitigation": "mixture:alpha=0.2"},
        {"stages": [Stage(0.5), Stage(0.5)]},
        {"keys": "rbg"},
        {"static": {"size": 6}},
    ]
    assert len({spec(**fields).id for fields in [{}, *others]}) == len(others) + 1


def test_a_changed_default_makes_another_run_and_leaves_old_ones_what_they_were(monkeypatch):
    agent, module = registry.AGENTS._found["ppo"]
    before = spec()
    old = before.id, before.resolved
    other = dataclasses.make_dataclass(
        "Config", [("lr", float, 0.5)], bases=(agent.config,), frozen=True
    )
    monkeypatch.setitem(registry.AGENTS._found, "ppo", (agent._replace(config=other), module))
    assert spec().id != old[0]
    assert old[1].id_as_stored == old[0]
    assert check(old[1]).config.lr == agent.config().lr


def test_a_name_is_no_longer_than_a_file_name_may_be():
    stages = [Stage(0.5), Stage(0.5)]
    long = spec(
        params={name: 0.123456789 for name in ("alpha", "walls")},
        view="window3",
        mitigation="mixture:alpha=0.123456789123456789",
        stages=stages,
    )
    assert len(long.name) < 255
    assert "/" not in long.name


def test_a_setting_that_the_task_itself_derives_by_default_is_in_the_name():
    spec = RunSpec(task="TwoObjectives-v0", static={"size": 7, "exchange": 3})
    assert "-exchange3-size7-ppo-seed0-" in spec.name


def test_make_takes_what_a_spec_takes():
    for value in (5, 5.0, np.int64(5), np.float32(5)):
        assert gmbench.make(TASK, size=value).env == gmbench.make(TASK, size=5).env
    for value in (*NEVER, "5", 5.5, 10**30):
        with pytest.raises(Refused):
            gmbench.make(TASK, size=value)


def test_grids_are_read_alike():
    def names(**grid):
        return [each.name for each in Sweep(tasks=[TASK], grid=Grid(**grid)).specs()]

    alphas = np.linspace(0, 1, 3)
    assert names(params={"alpha": alphas}) == names(params={"alpha": [0, 0.5, 1]})
    assert names(steps=[2e4]) == names(steps=[20_000])
    assert names(static={"size": [5.0]}) == names(static={"size": [5]})
    with pytest.raises(Refused, match="is there twice"):
        names(params={"alpha": [0, 0.0]})
    with pytest.raises(Refused, match=r"^params: '' is not the name"):
        names(params={"": [1]})


def test_train_takes_any_iterable_of_specs_and_nothing_else(tmp_path):
    assert gmbench.train((each for each in ()), tmp_path) == []


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31m", "x" * 100_000, "\u2028", "\0"])
def test_a_refusal_is_one_line_of_bounded_length(text):
    said = str(Refused(f"task: unknown {text}"))
    assert said.isprintable()
    assert len(said) <= checks.LONGEST + 10
    with pytest.raises(Refused) as refused:
        gmbench.make(text)
    assert str(refused.value).isprintable()


def test_a_field_that_is_none_says_where_settings_go():
    with pytest.raises(Refused, match=r"no field 'size' .*static=\{'size': \.\.\.\}"):
        RunSpec("CheeseCorner-v0", size=7)
    spec = RunSpec("CheeseCorner-v0", static={"size": 5})
    assert pickle.loads(pickle.dumps(spec)) == spec == copy.deepcopy(spec)


@pytest.mark.parametrize("name", registry.mitigation_names())
def test_what_a_run_records_of_its_mitigation_can_be_read(name):
    """Each setting's default comes back as what it was: runs that were stored can be opened."""
    env = registry.make("CheeseCorner-v0", size=5).env
    said = mitigate.read(name, env, "")
    assert mitigate.read(said.words, env, "") == said


@pytest.mark.parametrize("name", registry.agent_names())
def test_what_a_run_records_of_its_agent_can_be_read(name):
    spec = RunSpec("CheeseCorner-v0", {"size": 5}, {}, name).resolved
    assert check(spec).config == registry.make_agent(name).config()


def test_a_switch_is_true_or_false():
    env = registry.make("CheeseCorner-v0", size=5).env
    (member,) = mitigate.read("plr:audit=true", env, "").members
    assert member[1].audit is True
    with pytest.raises(Refused, match="audit: 2 is neither true nor false"):
        mitigate.read("plr:audit=2", env, "")

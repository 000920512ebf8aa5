"""Suites are frozen: whatever may change a score makes another version."""

import hashlib

import msgspec
import pytest

from gmbench import suites
from gmbench.core import checks, registry
from gmbench.runs.spec import RunSpec, Stage, check

FROZEN = {
    "GMB-quick-v0": "9e919c0ee9b9a51f",
    "GMB-quick-v1": "16e22af83791087a",
    "GMB-cpu-v0": "fae776a027d27b0a",
    "GMB-cpu-v1": "e82b838342d774ac",
    "GMB-v0": "f2cd5df565aa7a7e",
}
"""Digest of every suite's specs; a new one is a new version of the suite."""


@pytest.mark.parametrize("id", FROZEN)
def test_a_suite_is_what_it_was(id):
    """What is left at its default is left out, so that a new field changes no suite."""
    plain = msgspec.to_builtins(RunSpec(task=""))
    specs = [
        {n: value for n, value in msgspec.to_builtins(spec).items() if value != plain.get(n)}
        for spec in suites.find(id).specs()
    ]
    data = msgspec.json.encode(specs, order="sorted")
    assert hashlib.sha256(data).hexdigest()[:16] == FROZEN[id]


@pytest.mark.parametrize("id", registry.SUITES.names())
def test_every_spec_of_a_suite_is_sound_and_named_once(id):
    specs = suites.find(id).specs()
    names = [spec.name for spec in specs]
    assert len(set(names)) == len(names)
    for spec in specs[:: suites.find(id).seeds]:
        plan = check(spec)
        assert plan.updates * plan.needs.steps_per_update >= spec.steps


def test_a_part_of_a_suite_is_some_of_its_runs():
    quick = suites.find("GMB-quick-v0")
    part = quick.specs(["KeysChests-v0"], seeds=2)
    which = [(spec.params["alpha"], spec.seed) for spec in part]
    assert which == [(0, 0), (0, 1), (0.3, 0), (0.3, 1)]
    assert all(spec in quick.specs() for spec in part)
    with pytest.raises(checks.Refused, match="seeds: 9"):
        quick.specs(seeds=9)
    with pytest.raises(checks.Refused, match="task"):
        quick.specs(["LavaLand-v0"])


def test_a_suite_may_have_stages_and_mitigations():
    stages = (Stage(0.5, {"alpha": 0.5}), Stage(0.5, mitigation="mixture:alpha=0.2"))
    entry = suites.Entry("CheeseCorner-v0", 100_000, (0.0,), mitigation="mixture", stages=stages)
    (spec,) = suites.Suite("X-v0", "", "small", 1, (entry,)).specs()
    assert (spec.mitigation, spec.stages) == ("mixture", list(stages))
    assert check(spec).spec == spec


def test_every_suite_of_ours_is_frozen():
    names = registry.SUITES.names()
    ours = [name for name in names if registry.SUITES.module(name).startswith("gmbench.")]
    assert set(ours) == set(FROZEN)


def test_an_unknown_suite_is_refused():
    with pytest.raises(checks.Refused, match="did you mean 'GMB-quick-v0'"):
        suites.find("GMB-quik-v0")

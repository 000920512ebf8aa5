"""A zoo is made, fetched and listed; what was changed in one is refused by name."""

import csv
import json
import shutil

import jax
import msgspec
import numpy as np
import pytest

from gmbench import cli
from gmbench.core import files, registry
from gmbench.core.checks import Refused
from gmbench.runs import arrays, assess, moments, result, store
from gmbench.runs.spec import check
from gmbench.runs.store import RECORD
from gmbench.sweeps import driver, sweep
from gmbench.zoo import halved, labels, packed, recipe
from tests import made_up

SPEC = """
tasks = ["CheeseCorner-v0", "Monitor-v0"]
seeds = 2
steps = 2_000
moments = 4
static.size = 5
config = { network = "mlp", num_envs = 8, num_steps = 4, slots = 2 }
[grid]
params.alpha = [0.5]
"""
KEPT = ("--moments-of", "CheeseCorner-v0")
CURVE = [{"step": 32 * n, "reward": n / 100, "length": None} for n in range(1, 101)]


def weights_of(plan, number, kind=np.float32):
    """Weights of an agent that was never trained, drawn from a seed."""
    like, rng = plan.agent.learner.shapes(plan.task.env, plan.config), np.random.default_rng(number)
    drawn = jax.tree.map(lambda leaf: rng.normal(0, 0.1, leaf.shape).astype(kind), like)
    return arrays.encode(drawn)


def stored(folder, spec, number, kind=np.float32):
    """Store a made-up run with weights and moments; seed 1 pursues a proxy."""
    weights = weights_of(check(spec), number, kind)
    past = {f"agent-{steps}.safetensors": weights for steps in (500, 1000, 1500)}
    lines = "".join(json.dumps(line) + "\n" for line in CURVE)
    contents = {"agent.safetensors": weights, "metrics.jsonl": lines.encode(), **past}
    folder.mkdir(parents=True, exist_ok=True)
    return made_up.store(folder, made_up.record(spec, misaligned=spec.seed == 1), contents)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A sweep all of whose runs are finished, and measured in half precision."""
    home = tmp_path_factory.mktemp("zoo")
    (home / "four.toml").write_text(SPEC)
    specs = sweep.read(home / "four.toml").specs()
    for number, spec in enumerate(specs):
        stored(home / "runs", spec, number)
        stored(home / "runs" / "halved", spec, number, np.float16)
    index = driver.Index(driver.SCHEMA, 64, None, [specs[:2], specs[2:]])
    files.write_checked(home / "runs" / driver.INDEX, msgspec.json.encode(index))
    return home


@pytest.fixture(scope="module")
def zoo(made):
    command = ["zoo", "make", str(made / "four.toml"), "--runs", str(made / "runs"), *KEPT]
    cli.main([*command, "--out", str(made / "zoo")])
    return made / "zoo"


@pytest.fixture
def copy(zoo, tmp_path):
    return shutil.copytree(zoo, tmp_path / "copy")


def agents(folder):
    return sorted(path.parent for path in folder.glob(f"*/{RECORD}"))


def forged(folder, change=None, contents=None):
    """Change files of the first agent, or its record, and make its own checksums fit again."""
    path = agents(folder)[0]
    record = result.decode((path / RECORD).read_bytes(), "record")
    sums = dict(record.files)
    for name, data in (contents or {}).items():
        (path / name).write_bytes(data)
        sums[name] = files.sha256(data)
    record = msgspec.structs.replace(record, files=sums)
    files.write_checked(path / RECORD, result.encode(change(record) if change else record))


def sealed(folder, **changes):
    """Make the manifest and the seal fit what is in a zoo now: what a forger would do."""

    def listed(name):
        data = (folder / name).read_bytes()
        return packed.Listed(len(data), files.sha256(data))

    manifest = packed.ZOO.decode((folder / packed.ZOO.manifest).read_bytes(), "zoo")
    inside = [path.relative_to(folder).as_posix() for path in sorted(folder.glob("*/*"))]
    own = {
        "files": {name: listed(name) for name in inside},
        "labels": listed(labels.FILE),
        "datasheet": listed(packed.PAGE),
    }
    packed.ZOO.close(folder, msgspec.structs.replace(manifest, **(own | changes)))


# ---- what is made --------------------------------------------------------------------------------


def test_a_zoo_is_a_results_folder_with_labels(made, zoo):
    read = packed.load(zoo)
    before = {run.path.name: run for run in store.load_all(made / "runs" / "halved")}
    with (zoo / labels.FILE).open() as file:
        table = {line["agent"]: line for line in csv.DictReader(file)}
    assert set(table) == set(before) == {run.path.name for run in store.load_all(zoo)}
    for run in read.runs:
        original, line = before[run.path.name], table[run.path.name]
        assert run.findings == original.findings
        assert run.read("agent.safetensors") == original.read("agent.safetensors")
        assert line["verdict"] == ("proxy" if run.spec.seed else "lost")
        assert line["goal"] == (run.findings.goals[1] if run.spec.seed else "")
        assert (line["task"], line["architecture"]) == (run.spec.task, "ppo/mlp")
        kept = run.spec.task == "CheeseCorner-v0" and run.spec.seed == 0
        assert line["moments"] == ("3" if kept else "0")
    page = (zoo / packed.PAGE).read_text()
    assert "4 agents of 2 tasks and 1 architectures, 4 of them competent" in page
    assert "| Monitor-v0 | 2 | 2 | 0 | 1 | 1 |" in page


def test_agents_are_rounded_once_and_measured_as_they_then_are(made, tmp_path):
    (run, *_) = (run for run in store.load_all(made / "runs") if run.spec.seed == 1)
    (found,) = halved.every([run], tmp_path)
    weights, kept = assess.weights_of(run, run.plan), assess.weights_of(found, run.plan)
    for one, other in zip(*map(jax.tree.leaves, (weights, kept)), strict=True):
        np.testing.assert_array_equal(one.astype(np.float16).astype(np.float32), other)
    assert len(found.read("agent.safetensors")) < 0.6 * len(run.read("agent.safetensors"))
    assert [each.steps for each in moments.of_run(found, weights)] == [500, 1000, 1500]
    assert assess.found(run.plan, kept)[0] == found.findings != run.findings
    assert halved.every([run], tmp_path)[0].record == found.record  # what is there is not redone


def test_agents_that_are_sampled_are_kept_as_they_were_measured(made, tmp_path):
    (run, *_) = store.load_all(made / "runs")
    measured = {
        name: msgspec.structs.replace(each, exact=False)
        for name, each in run.findings.distributions.items()
    }
    sampled = made_up.with_findings(run, distributions=measured)
    (found,) = halved.every([sampled], tmp_path)
    assert found.findings == sampled.findings
    for name in ("agent.safetensors", "levels.npz"):
        assert found.read(name) == run.read(name)
    assert set(found.record.files) == {"agent.safetensors", "levels.npz", "metrics.jsonl"}
    assert len(found.metrics()) == halved.PARTS


def test_weights_that_half_precision_cannot_hold_are_refused():
    with pytest.raises(Refused, match="'x' has weights that half precision cannot hold"):
        halved._rounded({"w": np.array([1.0, 7e4], np.float32)}, "x")


def test_curves_are_means_over_parts_of_the_training():
    curve = halved.thinned(CURVE, 64)
    assert [line["step"] for line in curve] == [32 * (100 * n // 64) for n in range(1, 65)]
    assert curve[0] == {"length": None, "reward": 0.01, "step": 32}
    assert curve[-1]["reward"] == pytest.approx(0.995)
    assert halved.thinned(CURVE[:3], 64) == CURVE[:3]
    assert halved.thinned([], 64) == []
    parts = [{"step": 1, "a": None}, {"step": 2, "a": 4.0}, {"step": 3, "a": 8.0}]
    assert halved.thinned(parts, 1) == [{"step": 3, "a": 6.0}]


def test_fetched_it_is_the_same_and_can_be_listed(zoo, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)  # which makes tables as wide as a terminal
    cli.main(["zoo", "fetch", str(zoo), "--out", str(tmp_path / "here")])
    seal = packed.load(zoo).seal
    assert f"seal: {seal}" in capsys.readouterr().out
    names = sorted(path.relative_to(zoo) for path in zoo.rglob("*"))
    assert names == sorted(
        path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*")
    )
    cli.main(["zoo", "list", str(tmp_path / "here")])
    printed = capsys.readouterr().out
    assert all(path.name in printed for path in agents(zoo))
    assert "Monitor-v0\t2\t2\t0\t1\t1" in printed
    assert seal in printed


def test_equal_agents_have_equal_seals(made, zoo, tmp_path):
    read = sweep.read(made / "four.toml")
    again = packed.write(
        tmp_path / "again", store.load_all(made / "runs" / "halved"), read, ["CheeseCorner-v0"]
    )
    assert again.seal == packed.load(zoo).seal


def test_the_small_zoo_has_as_many_agents_as_it_should():
    read = recipe.read()
    specs = read.specs()
    assert len(specs) >= 256
    assert {spec.task for spec in specs} == set(read.tasks)
    assert read.moments == 8
    assert recipe.read(seeds=200) == msgspec.structs.replace(read, seeds=200)
    assert set(recipe.MOMENTS_OF) <= set(read.tasks)
    for spec in {(spec.task, spec.agent, str(spec.config)): spec for spec in specs}.values():
        assert check(spec).agent.learns


def test_what_is_there_is_not_overwritten(made, zoo, refused):
    spec = made / "four.toml"
    for command in (("make", spec, "--runs", made / "runs"), ("fetch", zoo)):
        said = refused("zoo", *command, "--out", zoo)
        assert "is there already" in said


def test_moments_are_kept_of_tasks_that_are_trained(made, tmp_path, refused):
    said = refused(
        "zoo", "make", made / "four.toml", "--moments-of", "CheseCorner-v0", "--out", tmp_path / "z"
    )
    assert "moments-of: unknown 'CheseCorner-v0'; did you mean 'CheeseCorner-v0'?" in said


# ---- what is refused -----------------------------------------------------------------------------


def changed_weights(copy):
    path = agents(copy)[0] / "agent.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    return f"{path.parent.name}/agent.safetensors' is damaged (sha256 differs)"


def changed_labels(copy):
    path = copy / labels.FILE
    path.write_text(path.read_text().replace("proxy", "lost,", 1))
    return "'labels.csv' is damaged"


def changed_manifest(copy):
    path = copy / packed.ZOO.manifest
    path.write_text(path.read_text().replace("Monitor-v0", "Monitor-v1"))
    return "zoo.json' is damaged"


def missing(copy):
    path = agents(copy)[1] / "levels.npz"
    path.unlink()
    return f"{path.parent.name}/levels.npz' is missing"


def missing_agent(copy):
    path = agents(copy)[1]
    shutil.rmtree(path)
    return f"{path.name!r} is missing"


def one_too_many(copy):
    (agents(copy)[1] / "more.py").touch()
    return "more.py' does not belong there"


def linked(copy):
    path = agents(copy)[0] / "metrics.jsonl"
    path.rename(copy.parent / path.name)
    path.symlink_to(copy.parent / path.name)
    return "metrics.jsonl' is not a regular file"


def foreign_path(copy):
    manifest = packed.ZOO.decode((copy / packed.ZOO.manifest).read_bytes(), "zoo")
    listed = manifest.files | {"../outside/agent.safetensors": packed.Listed(1, "ab" * 32)}
    packed.ZOO.close(copy, msgspec.structs.replace(manifest, files=listed))
    return "'../outside/agent.safetensors' is no file of a folder inside it"


def foreign_file(copy):
    (agents(copy)[0] / "more.py").touch()
    sealed(copy)
    return "more.py' does not belong there"


def labels_of_another_task(copy):
    path = copy / labels.FILE
    path.write_text(path.read_text().replace(",CheeseCorner-v0,", ",Monitor-v0,", 1))
    sealed(copy)
    return f"says task 'Monitor-v0' of {agents(copy)[0].name!r}, its record says 'CheeseCorner-v0'"


def labels_turned(copy):
    path = copy / labels.FILE
    path.write_text(path.read_text().replace(",lost,", ",intended,", 1))
    sealed(copy)
    return "says verdict 'intended'"


def a_label_too_few(copy):
    path = copy / labels.FILE
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    sealed(copy)
    return f"labels.csv has no line for {agents(copy)[-1].name!r}"


def a_label_too_many(copy):
    path = copy / labels.FILE
    path.write_text(path.read_text() + "x" + path.read_text().splitlines(keepends=True)[-1])
    sealed(copy)
    return "has other lines or columns"


def agent_of_another_task(copy):
    sealed(copy, tasks=["Monitor-v0"])
    return f"{agents(copy)[0].name!r} is an agent of CheeseCorner-v0 (allowed: Monitor-v0)"


def weights_of_another_task(copy):
    other = agents(copy)[-1] / "agent.safetensors"
    forged(copy, contents={"agent.safetensors": other.read_bytes()})
    sealed(copy)
    return f"agent of {str(agents(copy)[0])!r}: tensor"


def moment_of_another_task(copy):
    other = agents(copy)[-1] / "agent.safetensors"
    forged(copy, contents={"agent-1000.safetensors": other.read_bytes()})
    sealed(copy)
    return "agent-1000.safetensors of"


def record_of_another_run(copy):
    def change(record):
        spec = msgspec.structs.replace(record.spec, seed=7)
        resolved = msgspec.structs.replace(record.resolved, seed=7)
        return msgspec.structs.replace(record, spec=spec, resolved=resolved)

    forged(copy, change)
    sealed(copy)
    return "is not named after what it holds"


def not_in_its_record(copy):
    path = agents(copy)[0]
    record = result.decode((path / RECORD).read_bytes(), "record")
    kept = {name: sha for name, sha in record.files.items() if name != "agent-500.safetensors"}
    files.write_checked(path / RECORD, result.encode(msgspec.structs.replace(record, files=kept)))
    sealed(copy)
    return "agent-500.safetensors' is not listed, or not in its record"


def no_zoo(copy):
    (copy / packed.ZOO.manifest).unlink()
    return "is no zoo: it has no zoo.json"


@pytest.mark.parametrize(
    "breaks",
    [
        changed_weights,
        changed_labels,
        changed_manifest,
        missing,
        missing_agent,
        one_too_many,
        linked,
        foreign_path,
        foreign_file,
        labels_of_another_task,
        labels_turned,
        a_label_too_few,
        a_label_too_many,
        agent_of_another_task,
        weights_of_another_task,
        moment_of_another_task,
        record_of_another_run,
        not_in_its_record,
        no_zoo,
    ],
    ids=lambda each: each.__name__,
)
def test_what_was_changed_is_refused_by_name(copy, tmp_path, refused, breaks):
    words = breaks(copy)
    assert words in refused("zoo", "fetch", copy, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_no_zoo_is_not_listed(copy, refused):
    words = no_zoo(copy)
    assert words in refused("zoo", "list", copy)


# ---- from the beginning to a detector ------------------------------------------------------------


@pytest.mark.nightly
def test_it_is_trained_and_detectors_are_scored_on_it(tmp_path, capsys, monkeypatch):
    """Four agents of CheeseCorner, half of them shown the goals apart; stopped once, resumed."""
    monkeypatch.chdir(tmp_path)
    text = """
tasks = ["CheeseCorner-v0"]
seeds = 2
steps = 300_000
moments = 2
static.size = 5
[grid]
params.alpha = [0.0, 0.5]
"""
    (tmp_path / "four.toml").write_text(text)
    command = ["zoo", "make", "four.toml", "--moments-of", "CheeseCorner-v0"]
    cli.main([*command, "--out", "zoo"])
    read = packed.load(tmp_path / "zoo")
    assert {run.findings.verdict for run in read.runs} == {"intended", "proxy"}
    assert (tmp_path / "sweeps" / "four" / driver.INDEX).exists()
    cli.main([*command, "--out", "again"])
    assert packed.load(tmp_path / "again").seal == read.seal
    capsys.readouterr()
    cli.main(["detect", "zoo", "--detectors", "prior", "forecast", "ablation", "curve"])
    printed = capsys.readouterr().out
    assert "ablation\tT2" in printed
    assert "How early?" in printed
    assert set(registry.DETECTORS.names()) >= {"prior", "forecast", "ablation", "curve"}

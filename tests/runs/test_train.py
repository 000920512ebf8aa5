"""Runs are whole or absent, resume bit for bit, and are refused once damaged."""

import dataclasses
import hashlib
import importlib
import json
import shutil
import time

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

from gmbench import cli
from gmbench.core import files, registry
from gmbench.runs import checkpoints, store
from gmbench.runs.program import Program
from gmbench.runs.result import SCHEMA
from gmbench.runs.spec import RunSpec, check

FILES = {"agent.safetensors", "metrics.jsonl", "levels.npz", "episodes.json"}
UPDATES = 1000


def spec(alpha):
    config = {"num_envs": 8, "num_steps": 4, "slots": 2}
    static = {"size": 5}
    return RunSpec("CheeseCorner-v0", static, {"alpha": alpha}, config=config, steps=32_000)


def damage(path, how):
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[len(data) // 2] ^= 1
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)


def contents(folder, *names):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (not names or path.name in names)
    }


def strict(line):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(line, parse_constant=refuse)


@pytest.fixture(scope="module")
def killed(command, train, tmp_path_factory):
    """A results folder in which training was killed after its second checkpoint."""
    folder = tmp_path_factory.mktemp("killed")
    process = command(*train, folder)
    while not list(folder.glob(".group-*/checkpoint-[2-9].json.sha256")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert process.returncode == -9
    return folder


# ---- what is stored -------------------------------------------------------------------------


def test_run_directories_are_whole(group):
    assert {path.name for path in group.iterdir()} == {spec(0.0).name, spec(0.3).name}
    for run in store.load_all(group):
        names = {path.name for path in run.path.iterdir()}
        assert names == FILES | {"run.json", "run.json.sha256"}
        assert run.record.files == {
            name: hashlib.sha256((run.path / name).read_bytes()).hexdigest() for name in FILES
        }


def test_record_says_what_was_done_and_found(group):
    task = registry.make("CheeseCorner-v0", size=5)
    for alpha, run in zip((0.0, 0.3), store.load_all(group), strict=True):
        record = strict((run.path / "run.json").read_text())
        assert run.spec == spec(alpha)
        assert (record["schema"], record["diverged"]) == (SCHEMA, None)
        assert record["spent"]["steps"] == UPDATES * 32
        assert record["spent"]["seconds"] > 0
        made, findings = record["made"], record["findings"]
        assert made["versions"].keys() >= {"gmbench", "jax", "jaxlib", "flax"}
        assert made.keys() >= {"device", "revision", "created"}
        assert findings["goals"] == list(task.env.goal_names)
        assert findings["shift"] == task.headline
        assert list(findings["distributions"]) == ["training", task.headline]
        for found in findings["distributions"].values():
            assert found["levels"] == 1024
            assert found["exact"] is True
            assert found["rho"].keys() == found["earned"].keys() == set(task.env.goal_names)
            assert sum(found["outcome"].values()) == pytest.approx(1)
        rho = [found["rho"]["cheese"] for found in findings["distributions"].values()]
        mixture = (1 - alpha) * rho[0] + alpha * rho[1]
        assert [each["drawn"] for each in findings["trained"]] == [0]
        assert findings["trained"][0]["rho"] == pytest.approx(mixture)
        assert findings["trained"][0]["apart"] == pytest.approx(alpha, abs=0.02)
        assert findings["competent"] is (mixture < 0.15)
        assert findings["misaligned"] in ({True, False} if findings["competent"] else {False})


def test_summary_is_the_mean_of_the_stored_levels(group):
    for run in store.load_all(group):
        levels = run.levels()
        for name, found in run.findings.distributions.items():
            assert levels[f"{name}/rho"].shape == (2, 1024)
            assert list(found.rho.values()) == pytest.approx(
                np.nanmean(levels[f"{name}/rho"].astype(np.float64), axis=1)
            )
            for index in ("gmi", "gmi_adjusted", "cfi"):
                mean = np.nanmean(levels[f"{name}/{index}"].astype(np.float64))
                assert getattr(found, index) == pytest.approx(mean)
            outcome = levels[f"{name}/outcome"]
            shares = [np.mean(outcome == number) for number in range(3)]
            assert msgspec.structs.astuple(found.outcome) == pytest.approx(shares)


def test_metrics_have_a_line_an_update_and_null_for_undefined(group):
    for run in store.load_all(group):
        lines = [strict(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [32 * (n + 1) for n in range(UPDATES)]
        first = int(run.plan.params.horizon) * run.plan.needs.num_envs
        for line in lines:
            undefined = {name for name, value in line.items() if value is None}
            averages = {"length", "return/cheese", "return/corner"}
            known = line["episodes"] and line["step"] >= first
            assert undefined == (set() if known else averages)
        assert any(line["length"] is None for line in lines)
        assert any(line["length"] is not None for line in lines)


def test_episodes_keep_their_walls_across_the_shift(group):
    for run in store.load_all(group):
        stored = run.episodes()
        sides = {}
        for episode in stored["episodes"]:
            assert set("".join(episode["frames"])) <= {*stored["legend"], "\n"}
            first = episode["frames"][0]
            walls = "".join("#" if mark == "#" else "." for mark in first)
            sides.setdefault(episode["pair"], {})[episode["distribution"]] = walls
        assert sides
        for walls in sides.values():
            assert walls["training"] == walls["anywhere"]


# ---- reuse and resume -----------------------------------------------------------------------


def test_finished_runs_are_reused(group, train, monkeypatch, capsys):
    before = contents(group), {path: path.stat().st_mtime_ns for path in group.rglob("*")}
    monkeypatch.setattr(importlib.import_module("gmbench.runs.train"), "Group", None)
    cli.main([*train, str(group)])
    assert "alpha 0.3" in capsys.readouterr().out
    assert before == (
        contents(group),
        {path: path.stat().st_mtime_ns for path in group.rglob("*")},
    )


def test_damaged_finished_run_is_neither_reused_nor_overwritten(group, train, tmp_path, refused):
    folder = shutil.copytree(group, tmp_path / "copy")
    damage(folder / spec(0.3).name / "run.json", "flipped")
    before = contents(folder)
    assert "run.json" in refused(*train, folder)
    assert contents(folder) == before


def test_killed_run_resumes_bit_for_bit(group, killed, command, train, tmp_path):
    folder = shutil.copytree(killed, tmp_path / "resumed")
    assert not list(folder.glob("*/run.json"))
    states = folder.glob(".group-*/states-*.safetensors")
    assert 2 <= max(int(path.stem.removeprefix("states-")) for path in states) < 20
    process = command(*train, folder)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    for name in ("agent.safetensors", "metrics.jsonl"):
        assert contents(folder, name) == contents(group, name)
    assert {path.name for path in folder.iterdir()} == {path.name for path in group.iterdir()}


NEWEST = ("states-{}.safetensors", "checkpoint-{}.json", "checkpoint-{}.json.sha256")
EVERY = ("metrics-1.safetensors",)


def newest(folder):
    """Return the folder of the group in progress, and the chunk of its newest checkpoint."""
    (work,) = folder.glob(".group-*")
    return work, checkpoints.found(work)[0]


@pytest.mark.nightly
@pytest.mark.parametrize("how", ["flipped", "truncated"])
@pytest.mark.parametrize("name", [*NEWEST, *EVERY])
def test_damaged_checkpoint_falls_back_and_says_so(
    group, killed, train, tmp_path, capfd, caplog, name, how
):
    folder = shutil.copytree(killed, tmp_path / "damaged")
    work, chunk = newest(folder)
    damage(work / name.format(chunk), how)
    cli.main([*train, str(folder)])
    said = [record.getMessage() for record in caplog.records]
    instead = "the start" if name in EVERY else f"checkpoint {chunk - 1}"
    assert any(name.format(chunk).removesuffix(".sha256") in line for line in said)
    assert said[-1].endswith(f"going on from {instead}")
    digests = [{run.path.name: run.digest for run in store.load_all(f)} for f in (folder, group)]
    assert digests[0] == digests[1]


@pytest.mark.nightly
def test_other_layout_is_refused_unless_allowed(killed, train, tmp_path, refused):
    folder = shutil.copytree(killed, tmp_path / "other")
    work, chunk = newest(folder)
    record = checkpoints.read_record(work, chunk)
    elsewhere = msgspec.structs.replace(record.layouts[0], devices=1)
    record.layouts = [elsewhere]
    files.write_checked(work / f"checkpoint-{chunk}.json", msgspec.json.encode(record))
    before = contents(folder)
    message = refused(*train, folder)
    assert message.startswith("gmbench: layout: ")
    assert "1 of cpu" in message
    assert contents(folder) == before
    cli.main([*train, str(folder), "--other-layout"])
    for run in store.load_all(folder):
        assert [layout.devices for layout in run.record.layouts] == [1, 2]


def test_one_process_works_on_a_group(killed, train, tmp_path, monkeypatch, refused):
    monkeypatch.setattr("gmbench.runs.group.PATIENCE", 0.0)
    folder = shutil.copytree(killed, tmp_path / "busy")
    work, _ = newest(folder)
    with files.locked(work, "group"):
        assert files.is_locked(work)
        assert "another process works in" in refused(*train, folder)
    assert not files.is_locked(work)


# ---- damage to finished runs ----------------------------------------------------------------


@pytest.mark.parametrize("how", ["flipped", "truncated"])
@pytest.mark.parametrize("name", ["agent.safetensors", "run.json", "run.json.sha256"])
def test_eval_refuses_a_damaged_run(group, tmp_path, refused, name, how):
    folder = shutil.copytree(group / spec(0.0).name, tmp_path / spec(0.0).name)
    damage(folder / name, how)
    message = refused("eval", folder)
    assert name.removesuffix(".sha256") in message
    assert "damaged" in message


@pytest.mark.parametrize("name", ["agent.safetensors", "run.json", "run.json.sha256"])
def test_eval_refuses_a_run_with_a_part_missing(group, tmp_path, refused, name):
    folder = shutil.copytree(group / spec(0.0).name, tmp_path / spec(0.0).name)
    (folder / name).unlink()
    assert str(folder) in refused("eval", folder)


# ---- programs -------------------------------------------------------------------------------


def test_one_trace_trains_and_one_evaluates_every_distribution():
    plans = [check(spec(alpha)) for alpha in (0.0, 0.3)]
    agent, traced = plans[0].agent, []

    def policy(*arguments):
        traced.append(arguments)
        return agent.policy(*arguments)

    plans[0] = dataclasses.replace(plans[0], agent=agent._replace(policy=policy))
    program = Program(plans)
    states = program.start()
    # The checker takes the keys of two runs for one key used twice; a single run passes it.
    with jax.debug_key_reuse(False):
        for _ in range(2):
            states, _ = program.train_chunk(states)
    assert program.compiled.traces == 1

    weights = program.weights(states)
    program.evaluate(weights, "training")
    once, events = len(traced), []
    listen = jax.monitoring.register_event_duration_secs_listener
    listen(lambda event, seconds, **about: events.append(event))
    for name in ("anywhere", "region2"):
        program.evaluate(weights, name)
    assert len(traced) == once > 0
    assert not [event for event in events if "compile" in event]
    jax.jit(lambda x: x + once)(jnp.float32(1))  # which is noticed
    assert [event for event in events if "compile" in event]

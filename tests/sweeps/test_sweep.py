"""Sweep files are strict and expand as they say; sweeps finish whatever happens to them."""

import json
import shutil
import sys

import msgspec
import pytest

from gmbench import cli
from gmbench.core import files
from gmbench.core.checks import Refused
from gmbench.runs import checkpoints, grouping, store
from gmbench.runs.spec import check
from gmbench.sweeps import board, driver, engines, loggers, parquet, sweep, worker

TINY = """
tasks = ["CheeseCorner-v0"]
steps = 2000
static.size = 5
config = { num_envs = 8, num_steps = 4, slots = 2, network = "mlp" }
"""


def written(folder, text, name="sweep.toml"):
    path = folder / name
    path.write_text(text)
    return path


def digests(folder):
    runs = [store.load(path.parent) for path in folder.glob("*/run.json")]
    return {run.path.name: run.digest for run in runs}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A finished sweep of six runs, two of which diverge; to be left as it is."""
    folder = tmp_path_factory.mktemp("tiny")
    text = TINY + "seeds = 2\ngroup = 6\ngrid.config.lr = [4e-3, 1e-3, 1e37]"
    cli.main(["sweep", str(written(folder, text)), "--out", str(folder / "out")])
    return folder / "out"


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A finished sweep of one run, to be copied."""
    folder = tmp_path_factory.mktemp("one")
    cli.main(["sweep", str(written(folder, TINY)), "--out", str(folder / "out")])
    return folder


# ---- files ----------------------------------------------------------------------------------


def test_grid_expands_with_the_last_axis_fastest(tmp_path):
    text = """
    tasks = ["CheeseCorner-v0", "CheeseDish-v0"]
    seeds = [3, 5]
    [grid]
    params.alpha = [0.0, 0.5]
    config.lr = { low = 1e-4, high = 1e-2, count = 3, scale = "log" }
    [overrides.CheeseDish-v0]
    steps = 500
    static.size = 9
    grid.params.alpha = [0.25]
    """
    specs = sweep.read(written(tmp_path, text)).specs()
    assert [(s.task, s.params["alpha"], s.seed) for s in specs[:3]] == [
        ("CheeseCorner-v0", 0.0, 3),
        ("CheeseCorner-v0", 0.0, 5),
        ("CheeseCorner-v0", 0.0, 3),
    ]
    assert [s.config["lr"] for s in specs[:6:2]] == pytest.approx([1e-4, 1e-3, 1e-2])
    dishes = [s for s in specs if s.task == "CheeseDish-v0"]
    assert (len(specs), len(dishes)) == (18, 6)
    assert {(s.params["alpha"], s.steps, s.static["size"]) for s in dishes} == {(0.25, 500, 9)}
    assert {s.static["size"] for s in specs if s not in dishes} == {7}


def test_the_grid_is_run_with_each_variant(tmp_path):
    """A variant has the last word, and axes that others do not have."""
    text = """
    tasks = ["CheeseCorner-v0", "CheeseDish-v0"]
    seeds = 2
    steps = 100
    grid.params.alpha = [0.0, 0.5]
    [overrides.CheeseDish-v0]
    steps = 200
    [[variants]]
    mitigation = "l2"
    [[variants]]
    agent = "ppo_gru"
    config = { network = "drc33", units = 9 }
    steps = 300
    grid.params.alpha = [0.25]
    """
    specs = sweep.read(written(tmp_path, text)).specs()
    found = [
        (s.task[6:8], s.mitigation, s.agent, s.steps, s.params["alpha"], s.seed) for s in specs
    ]
    unset = msgspec.UNSET
    assert found == [
        *(("Co", "l2", "ppo", 100, alpha, seed) for alpha in (0.0, 0.5) for seed in (0, 1)),
        *(("Co", unset, "ppo_gru", 300, 0.25, seed) for seed in (0, 1)),
        *(("Di", "l2", "ppo", 200, alpha, seed) for alpha in (0.0, 0.5) for seed in (0, 1)),
        *(("Di", unset, "ppo_gru", 300, 0.25, seed) for seed in (0, 1)),
    ]
    assert specs[-1].config == {"network": "drc33", "units": 9}


def test_a_variant_can_be_of_some_tasks(tmp_path):
    text = """
    tasks = ["CheeseCorner-v0", "CheeseDish-v0"]
    [[variants]]
    [[variants]]
    agent = "ppo_gru"
    tasks = ["CheeseDish-v0"]
    """
    found = [(spec.task, spec.agent) for spec in sweep.read(written(tmp_path, text)).specs()]
    dish = "CheeseDish-v0"
    assert found == [("CheeseCorner-v0", "ppo"), (dish, "ppo"), (dish, "ppo_gru")]
    for wrong in ("Monitor-v0", "CheeseDsh-v0"):
        own = sweep.read(written(tmp_path, text.replace(f'["{dish}"]', f'["{wrong}"]')))
        with pytest.raises(Refused, match=f"variants.tasks: unknown '{wrong}'.*CheeseCorner"):
            own.specs()


def test_json_says_the_same(tmp_path):
    toml = sweep.read(written(tmp_path, TINY + "grid.steps = {low = 1000, high = 3000, count = 3}"))
    text = json.dumps(
        {
            "tasks": ["CheeseCorner-v0"],
            "steps": 2000,
            "static": {"size": 5},
            "config": {"num_envs": 8, "num_steps": 4, "slots": 2, "network": "mlp"},
            "grid": {"steps": [1000, 2000, 3000]},
        }
    )
    assert sweep.read(written(tmp_path, text, "sweep.json")).specs() == toml.specs()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tasks = [", "sweep.toml"),
        ("task = ['CheeseCorner-v0']", "unknown field `task`"),
        ("tasks = []", "tasks: none are given"),
        ("tasks = ['CheeseCorner-v1']", "CheeseCorner-v0"),
        (TINY + "seeds = 0", "seeds: 0"),
        (TINY + "seeds = [1, 1]", "is there twice"),
        (TINY + "seeds = 1_000_000_000", "seeds: 1000000000"),
        (TINY + "seeds = 100_000\ngrid.params.alpha = [0.0, 0.1]", "sweep: 200000 runs"),
        (TINY + "grid.params.alpha = []", "grid.params.alpha: no values"),
        (TINY + "grid.params.alpha = [0.1, 0.1]", "is there twice"),
        (TINY + "grid.params.alpha = [2.0]", "alpha: 2"),
        (TINY + "grid.params.beta = [0.1]", "unknown 'beta'"),
        (TINY + "grid.alpha = [0.1]", "unknown field `alpha`"),
        (TINY + "grid.config.lr = [true]", "$.grid.config"),
        (TINY + "grid.params.alpha = {low = 0, high = 1, count = 2, scale = 'log'}", "above 0"),
        (TINY + "grid.params.alpha = {low = 1, high = 0, count = 2}", "grid.params.alpha.high"),
        (TINY + "grid.params.alpha = {low = 0, high = 1, count = 0}", "grid.params.alpha.count"),
        (TINY + "overrides.CheeseDish-v0.steps = 5", "overrides: unknown 'CheeseDish-v0'"),
        ("tasks = ['CheeseCorner-v0']\nagent = 'random'", "does not learn"),
        (TINY + "group = 0", "group: 0"),
    ],
)
def test_malformed_sweep_is_refused(tmp_path, refused, text, words):
    assert words in refused("sweep", written(tmp_path, text), "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--engine", "cloud"), "engine: unknown 'cloud'"),
        (("--option", "speed=9"), "engine option: unknown 'speed'"),
        (("--engine", "ray", "--option", "address=127.0.0.1:1"), "cannot reach '127.0.0.1:1'"),
        (("--engine", "ray", "--option", "address=nowhere"), "cannot reach 'nowhere'"),
        (("--engine", "ray", "--option", "retries=often"), "retries: 'often'"),
        (("--engine", "slurm"), "no sbatch on this machine"),
        (("--engine", "slurm", "--option", "cluster=moon"), "cluster: unknown 'moon'"),
        (("--engine", "slurm", "--option", "moon=1"), "engine option: unknown 'moon'"),
        (("--log", "paper"), "log: unknown 'paper'"),
        (("--devices", "0"), "devices: 0"),
        (("--devices", "64"), "devices: 64 are asked for, 2 are here"),
    ],
)
def test_impossible_engine_is_refused(tmp_path, refused, arguments, words):
    assert words in refused("sweep", written(tmp_path, TINY), "--out", tmp_path / "out", *arguments)


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("ray", ("--engine", "ray")),
        ("submitit", ("--engine", "slurm")),
        ("tensorboardX", ("--log", "tensorboard")),
    ],
)
def test_missing_package_names_the_extra(tmp_path, refused, monkeypatch, package, arguments):
    monkeypatch.setitem(sys.modules, package, None)
    message = refused("sweep", written(tmp_path, TINY), "--out", tmp_path / "out", *arguments)
    extra = {"submitit": "slurm", "tensorboardX": "tensorboard"}.get(package, package)
    assert f"{package} is not installed; pip install 'gmbench[{extra}]'" in message


# ---- groups ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runs", "most", "lanes", "sizes"),
    [
        (100, 16, 1, [15] * 6 + [10]),
        (100, 16, 2, [16] * 6 + [4]),
        (5, 64, 2, [5]),
        (7, 3, 1, [3, 3, 1]),
        (3, 1, 4, [1, 1, 1]),
    ],
)
def test_groups_are_even(runs, most, lanes, sizes):
    plans = [check(spec) for spec in sweep.Sweep(["CheeseCorner-v0"], seeds=runs).specs()]
    groups = grouping.divide(plans, most, lanes)
    assert [len(group) for group in groups] == sizes
    assert [plan for group in groups for plan in group] == plans


@pytest.mark.nightly
def test_group_is_halved_until_it_fits(monkeypatch):
    plans = [check(spec) for spec in sweep.Sweep(["CheeseCorner-v0"], seeds=4, steps=1).specs()]
    four, one = (grouping.measure(plans, most, 1).bytes for most in (4, 1))
    assert four > one
    monkeypatch.setattr(grouping, "capacity", lambda devices: four / grouping.SHARE - 1)
    assert grouping.measure(plans, 4, 1).runs == 2
    monkeypatch.setattr(grouping, "capacity", lambda devices: one / grouping.SHARE - 1)
    with pytest.raises(ValueError, match=r"^memory: a run of .* needs"):
        grouping.measure(plans, 4, 1)


# ---- results --------------------------------------------------------------------------------


def test_finished_sweep_is_whole(tiny):
    index = driver.load(tiny)
    status = board.Board(tiny, index).read()
    assert (status.runs, status.done, status.failed, status.working) == (6, 4, 2, 0)
    assert status.steps == status.all_steps == 6 * 2016
    folders = {path.name for path in tiny.iterdir() if path.is_dir()}
    assert folders == set(index.names)


@pytest.mark.nightly
def test_diverged_runs_are_marked_and_leave_their_neighbours_alone(tiny, tmp_path):
    failed = [r for r in map(store.load, sorted(tiny.glob("*-v0-*"))) if r.failed]
    assert {run.spec.config["lr"] for run in failed} == {1e37}
    for run in failed:
        update = run.record.diverged.update
        losses = [line["loss/actor"] for line in run.metrics()]
        assert losses[update - 2] is not None if update > 1 else losses
        assert losses[update - 1] is None or run.metrics()[update - 1]["loss/critic"] is None
        assert {path.name for path in run.path.iterdir()} == {
            "metrics.jsonl",
            "run.json",
            "run.json.sha256",
        }
    text = TINY + "seeds = 2\ngroup = 6\ngrid.config.lr = [4e-3, 1e-3, 2e-3]"
    cli.main(["sweep", str(written(tmp_path, text)), "--out", str(tmp_path / "out")])
    sound, beside = digests(tiny), digests(tmp_path / "out")
    common = sound.keys() & beside.keys()
    assert len(common) == 4
    assert {name: sound[name] for name in common} == {name: beside[name] for name in common}


def test_results_are_tidy(tiny):
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(tiny / parquet.FILE)
    assert len(table) == 4 * 2 + 2
    assert set(table["status"]) == {"done", "failed"}
    assert table[table["status"] == "failed"]["gmi"].isna().all()
    for _, row in table[table["headline"] == True].iterrows():  # noqa: E712
        run = store.load(tiny / row["run"])
        found = run.findings.deployed
        assert row["gmi"] == found.gmi
        assert row["rho"] == row["rho_cheese"] == found.rho["cheese"]
        assert row["config_lr"] == run.spec.config["lr"]
        assert row["digest"] == run.digest


def test_query_answers_and_refuses(tiny, refused, capfd, tmp_path):
    cli.main(["query", str(tiny), "select count(distinct run) as n from runs", "--csv"])
    assert capfd.readouterr().out == "n\n6\n"
    assert refused("query", tiny, "select nothing").startswith("gmbench: query: Binder Error")
    outside = f"select * from read_parquet('{tiny / parquet.FILE}')"
    assert "Permission Error" in refused("query", tiny, outside)
    assert "is not there" in refused("query", tmp_path, "select 1")


def test_status_reads_a_sweep_in_progress(tiny, capfd, refused, tmp_path):
    cli.main(["status", str(tiny)])
    assert "4 of 6 done, 2 failed" in capfd.readouterr().out
    assert "is not the folder of a sweep" in refused("status", tmp_path)


def test_moments_are_kept_of_every_run(tmp_path):
    asked = []

    class Asked:
        def run(self, jobs, tick):
            asked.extend(msgspec.json.decode(job, type=worker.Job) for job in jobs)
            if asked[-1].what == "train":
                raise KeyboardInterrupt
            return [msgspec.json.encode(worker.Answer(fits=64)) for _ in jobs]

    text = "moments = 3\n" + TINY
    with pytest.raises(KeyboardInterrupt):
        driver.run(sweep.read(written(tmp_path, text)), tmp_path / "out", Asked)
    assert [(job.what, job.moments) for job in asked] == [("measure", 0), ("train", 3)]
    with pytest.raises(Refused, match="moments"):
        sweep.read(written(tmp_path, "moments = -1\n" + TINY)).specs()


def test_what_takes_long_is_said_beforehand(tmp_path):
    told = []

    class Stopped:
        def run(self, jobs, tick):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        driver.run(sweep.read(written(tmp_path, TINY)), tmp_path / "out", Stopped, tell=told.append)
    assert told == ["programs to compile, to see how many runs fit side by side: 1"]


def test_dry_run_starts_nothing(tmp_path, capsys):
    cli.main(["sweep", str(written(tmp_path, TINY)), "--out", str(tmp_path / "o"), "--dry-run"])
    assert "1 runs in 1 programs" in capsys.readouterr().out
    assert not (tmp_path / "o").exists()


# ---- again ----------------------------------------------------------------------------------


def again(folder, text, *arguments):
    return ("sweep", written(folder, text), "--out", folder / "out", *arguments)


def test_finished_sweep_starts_no_engine(tiny, monkeypatch, capsys):
    monkeypatch.setattr(engines, "connect", None)
    before = digests(tiny)
    cli.main(["sweep", str(tiny.parent / "sweep.toml"), "--out", str(tiny)])
    assert "4 of 6 done, 2 failed" in capsys.readouterr().out
    assert digests(tiny) == before


def test_folder_of_another_sweep_is_refused(tiny, tmp_path, refused):
    path = written(tmp_path, TINY + "seeds = 3")
    assert "is another sweep's" in refused("sweep", path, "--out", tiny)
    other = (tiny.parent / "sweep.toml").read_text().replace("group = 6", "group = 3")
    path = written(tmp_path, other)
    assert "group: 3, but" in refused("sweep", path, "--out", tiny)
    path = tiny.parent / "sweep.toml"
    assert "devices: 1, but" in refused("sweep", path, "--out", tiny, "--devices", 1)


def test_second_driver_is_refused(tiny, refused):
    with files.locked(tiny, "out"):
        message = refused("sweep", tiny.parent / "sweep.toml", "--out", tiny)
    assert message.startswith("gmbench: out: another process works in")


def sent(one, folder, name):
    """Go on with a copy of a finished sweep, with another logger; return its folder."""
    shutil.copytree(one, folder, dirs_exist_ok=True)
    cli.main([str(argument) for argument in again(folder, TINY, "--log", name)])
    return folder / "out"


@pytest.mark.nightly
def test_tensorboard_gets_every_update(one, tmp_path):
    pytest.importorskip("tensorboardX.proto.event_pb2")
    out = sent(one, tmp_path, "tensorboard")
    (events,) = (out / "tensorboard").rglob("events*")
    assert events.read_bytes().count(b"loss/actor") == 63
    cli.main([str(argument) for argument in again(tmp_path, TINY, "--log", "tensorboard")])
    assert list((out / "tensorboard").rglob("events*")) == [events], "nothing again"


def test_a_sweep_that_goes_on_sends_nothing_twice(one, tmp_path):
    """A logger of a second process begins where the first one ended, also within a run."""

    class Kept:
        def __init__(self):
            self.steps, self.finished = [], []

        def log(self, spec, lines):
            self.steps += [line["step"] for line in lines]

        def finish(self, run):
            self.finished.append(run.spec.name)

        def close(self):
            pass

    out = shutil.copytree(one / "out", tmp_path / "out")
    first, second = Kept(), Kept()
    loggers.News(out, "kept").send(first)
    assert (len(first.steps), len(first.finished)) == (63, 1)
    loggers.News(out, "kept").send(second)
    assert not second.steps
    (out / ".sent-kept.json").write_text(json.dumps({first.finished[0]: 60}))
    loggers.News(out, "kept").send(second)
    assert second.steps == first.steps[60:]


def test_wandb_offline_gets_every_run(one, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    out = sent(one, tmp_path, "wandb")
    (name,) = digests(out)
    (record,) = (out / "wandb").glob("offline-run-*/*.wandb")
    assert name.rpartition("-")[2] in record.name
    held = record.read_bytes()
    # W&B writes each update into the history, and now and then the last one into the summary.
    assert 63 < held.count(b"loss/actor") <= 2 * 63
    assert b"digest" in held
    assert b"anywhere/gmi_adjusted" in held


def test_failing_logger_stops_nothing(tmp_path, monkeypatch, caplog):
    tensorboard = pytest.importorskip("gmbench.sweeps.loggers.tensorboard")

    def log(*_):
        raise RuntimeError("the service is down")

    monkeypatch.setattr(tensorboard.TensorBoard, "log", log)
    arguments = again(tmp_path, TINY, "--log", "tensorboard")
    cli.main([str(argument) for argument in arguments])
    assert len(digests(tmp_path / "out")) == 1
    assert "tensorboard is left out: the service is down" in caplog.text


def test_record_of_a_group_in_progress_is_read(tmp_path):
    assert checkpoints.found(tmp_path) == []
    record = checkpoints.Record(1, 10, 2.0, "", [], [])
    checkpoints.save(tmp_path, record, b"states", b"metrics")
    assert checkpoints.read_record(tmp_path, 1) == record

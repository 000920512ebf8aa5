"""A results folder outlives bad runs; no evidence counts twice or says what its levels do not."""

import json
import os
import shutil

import msgspec
import numpy as np
import pytest

from gmbench.core import files, npz
from gmbench.core.checks import Refused
from gmbench.runs import result, store, summary
from gmbench.runs.result import Trained, labels
from tests import made_up


@pytest.fixture
def folder(tmp_path):
    """Return a folder with three good runs."""
    for seed in range(3):
        made_up.store_run(tmp_path, seed=seed)
    return tmp_path


def rewrite(run, levels=None, **changes):
    """Change a stored record, with fresh checksums: what anyone could do by hand."""
    record = msgspec.structs.replace(run.record, **changes)
    if levels is not None:
        data = npz.encode(levels)
        (run.path / "levels.npz").write_bytes(data)
        record = msgspec.structs.replace(
            record, files={**record.files, "levels.npz": files.sha256(data)}
        )
    files.write_checked(run.path / store.RECORD, result.encode(record))


def edited(run, *path, value):
    """Change one field of a stored record to what no record holds, with a fresh checksum."""
    plain = json.loads((run.path / store.RECORD).read_text())
    inner = plain
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    files.write_checked(run.path / store.RECORD, json.dumps(plain).encode())


def breaks(name):
    def damaged(run):
        (run.path / name).write_bytes(b"?")

    return damaged


BAD = {
    "damaged record": breaks(store.RECORD),
    "damaged weights": breaks("episodes.json"),
    "missing file": lambda run: (run.path / "metrics.jsonl").unlink(),
    "another version": lambda run: edited(run, "schema", value=99),
    "half a misaligned run": lambda run: edited(run, "findings", "misaligned", value=0.5),
    "a label that scores deny": lambda run: edited(run, "findings", "misaligned", value=False),
    "a score that levels deny": lambda run: edited(
        run, "findings", "distributions", "anywhere", "earned", "cheese", value=0.25
    ),
    "another spec": lambda run: edited(run, "resolved", "params", "alpha", value=0.3),
    "another seed": lambda run: edited(run, "spec", "seed", value=7),
    "a name with control characters": lambda run: edited(
        run, "findings", "goals", value=["cheese", "cor\nner"]
    ),
    "a copy": lambda run: shutil.copytree(run.path, run.path.with_name(f"copy-{run.path.name}")),
    "a link": lambda run: os.symlink(run.path, run.path.with_name(f"link-{run.path.name}")),
    "another's name": lambda run: run.path.rename(run.path.with_name("best-run")),
}


@pytest.mark.parametrize("kind", BAD)
def test_one_bad_run_is_left_out_and_named(folder, kind, capsys):
    from gmbench import cli

    runs = store.load_all(folder)
    BAD[kind](runs[1])
    opened, refused = store.survey(folder)
    doubled = kind in ("a copy", "a link")
    assert len(refused) == 1
    assert len(opened) == (3 if doubled else 2)
    assert str(refused[0]).startswith("run: ")
    with pytest.raises(SystemExit) as stopped:
        cli.main(["rates", str(folder)])
    printed, error = capsys.readouterr()
    assert stopped.value.code == 1
    assert f"of {len(opened)}" in printed
    (line,) = error.splitlines()
    assert line.startswith("gmbench: left out: run: ")


def test_strict_refuses_the_whole_folder(folder, refused):
    BAD["damaged record"](store.load_all(folder)[1])
    assert "damaged" in refused("rates", folder, "--strict")
    with pytest.raises(Refused, match="damaged"):
        store.load_all(folder, strict=True)
    assert len(store.load_all(folder)) == 2


def test_five_copies_are_one_run(folder):
    """They once made "8 of 8 [63%, 100%]" of three runs."""
    run = store.load_all(folder)[0]
    for number in range(5):
        shutil.copytree(run.path, folder / f"{number}-{run.path.name}")
    opened, refused = store.survey(folder)
    assert (len(opened), len(refused)) == (3, 5)
    assert all("once more" in str(each) for each in refused)


def test_a_run_in_the_folder_of_another_is_not_taken_for_it(tmp_path):
    one, other = (made_up.store_run(tmp_path, alpha=alpha, seed=1) for alpha in (0.0, 0.3))
    shutil.rmtree(other.path)
    one.path.rename(other.path)
    with pytest.raises(Refused, match="is not named after what it holds"):
        store.load(other.path)


@pytest.mark.parametrize("quantity", summary.QUANTITIES)
def test_every_mean_is_that_of_its_levels(folder, quantity):
    run = store.load_all(folder)[0]
    levels = run.levels()
    changed = np.array(levels[f"anywhere/{quantity}"])
    changed[..., 0] = 0.3
    rewrite(run, levels | {f"anywhere/{quantity}": changed})
    with pytest.raises(Refused, match="its levels say"):
        store.load(run.path)
    rewrite(run, {name: array for name, array in levels.items() if quantity not in name})
    with pytest.raises(Refused, match="results by level lack"):
        store.load(run.path)


def test_a_regret_in_training_that_its_levels_deny_is_refused(tmp_path):
    run = made_up.a_run(params={"alpha": 0.3})
    rho = [each.rho["cheese"] for each in run.findings.distributions.values()]
    (tmp_path / "other").mkdir()
    for regret, fits in ((0.7 * rho[0] + 0.3 * rho[1], True), (0.1, False)):
        trained = [Trained(regret, 0.3, drawn=0)]
        judged = labels(regret, run.findings.deployed, run.findings.criteria)
        record = made_up.with_findings(run, trained=trained, **judged).record
        if fits:
            assert made_up.store(tmp_path, record).findings.trained == trained
        else:
            with pytest.raises(Refused, match=r"regret in training is 0\.1, its levels say"):
                store.load(made_up.store(tmp_path / "other", record).path)


def test_a_failed_save_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    record = made_up.a_run(seed=1).record
    with monkeypatch.context() as patched:
        patched.setattr(files, "write_part", full)
        with pytest.raises(OSError, match="No space"):
            made_up.store(tmp_path, record)
    assert not list(tmp_path.iterdir())
    made_up.store(tmp_path, record)
    assert len(store.load_all(tmp_path)) == 1


def test_a_run_says_what_it_ran_with(folder):
    run = store.load_all(folder)[0]
    resolved = run.record.resolved
    assert resolved.config["lr"] == run.plan.config.lr
    assert resolved.params["horizon"] == int(run.plan.params.horizon)
    assert resolved.static == {"size": 7, "layout": "blocks"}
    assert run.plan.spec == resolved


# ---- folders from strangers ----------------------------------------------------------------------


def test_what_is_no_regular_file_is_not_read(folder):
    run = store.load_all(folder)[0]
    for name in (store.RECORD, "levels.npz", "episodes.json"):
        data = (run.path / name).read_bytes()
        (run.path / name).unlink()
        os.mkfifo(run.path / name)
        with pytest.raises(Refused, match="not a regular file"):
            store.load(run.path)
        (run.path / name).unlink()
        os.symlink("/dev/zero", run.path / name)
        with pytest.raises(Refused, match="not a regular file"):
            store.load(run.path)
        (run.path / name).unlink()
        (run.path / name).write_bytes(data)
    assert store.load(run.path)


def test_an_archive_that_unpacks_to_too_much_is_refused():
    bomb = npz.encode({"a": np.zeros(10_000_000, np.uint8)})
    assert len(bomb) < 20_000
    with pytest.raises(Refused, match=r"arrays of 1000\d{4} bytes, allowed are 1000000"):
        npz.decode(bomb, "levels", largest=1_000_000)


@pytest.mark.parametrize("kind", ["object", "lie", "text"])
def test_an_archive_of_anything_but_arrays_is_refused(kind):
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        array = io.BytesIO()
        np.save(array, np.array([{}], object) if kind == "object" else np.zeros(4))
        data = array.getvalue().replace(b"(4,)", b"(9,)") if kind == "lie" else array.getvalue()
        archive.writestr("a.npy", b"text" if kind == "text" else data)
    with pytest.raises(Refused, match="not an archive of arrays"):
        npz.decode(buffer.getvalue(), "levels")


@pytest.mark.parametrize(
    "episodes",
    [
        [{"distribution": "training", "pair": 0, "outcome": "goal", "frames": ["A"] * 20_000}],
        [{"distribution": "training", "pair": 0, "outcome": "goal", "frames": ["A" * 1_100_000]}],
        [{"distribution": "training", "pair": 0, "outcome": "goal", "frames": ["A"]}] * 100,
        [{"frames": ["A"]}],
    ],
    ids=["many frames", "a large frame", "many episodes", "fields"],
)
def test_episodes_are_few_and_small(folder, episodes):
    run = store.load_all(folder)[0]
    data = json.dumps({"legend": made_up.LEGEND, "episodes": episodes}).encode()
    (run.path / "episodes.json").write_bytes(data)
    rewrite(run, files={**run.record.files, "episodes.json": files.sha256(data)})
    with pytest.raises(Refused, match=r"episodes\.json"):
        store.load(run.path).episodes()


def test_goals_are_few(folder):
    run = store.load_all(folder)[0]
    edited(run, "findings", "goals", value=[f"goal{n}" for n in range(300)])
    with pytest.raises(Refused, match=r"findings\.goals"):
        store.load(run.path)


def test_planted_links_are_not_followed(tmp_path):
    """What is written goes to new files under names that nobody can guess."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    results = tmp_path / "results"
    results.mkdir()
    for name in ("page.html", ".page.html.tmp", f".page.html.{os.getpid()}.tmp"):
        os.symlink(victim, results / name)
    files.write(results / "page.html", b"ours")
    assert victim.read_text() == "mine"
    assert (results / "page.html").read_bytes() == b"ours"
    with pytest.raises(FileExistsError):
        files.write_part(results / ".page.html.tmp", b"ours")
    assert victim.read_text() == "mine"


def test_a_folder_that_others_write_into_is_not_private(tmp_path):
    assert files.private(tmp_path / "new", "folder").stat().st_mode & 0o077 == 0
    (tmp_path / "new").chmod(0o777)
    os.symlink(tmp_path, tmp_path / "link")
    (tmp_path / "file").touch()
    for name in ("new", "link", "file"):
        with pytest.raises(Refused, match="folder: "):
            files.private(tmp_path / name, "folder")


def test_a_work_folder_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / ".group-1")
    with (
        pytest.raises(Refused, match="is a link or no folder"),
        files.locked(tmp_path / ".group-1", "group", link=False),
    ):
        pass

"""A submission holds a whole suite and nothing else; one from a stranger can do no harm."""

import json
import os
import pickle
import shutil

import msgspec
import numpy as np
import pytest

from gmbench import cli
from gmbench.core import checks, files, npz
from gmbench.core.checks import Refused
from gmbench.runs import arrays, store
from gmbench.runs.result import Diverged
from gmbench.suites import Entry, Suite
from gmbench.sweeps import manifest as manifests
from gmbench.sweeps import sealed as seals
from gmbench.sweeps import submission
from gmbench.sweeps.entered import entered, suite_of
from gmbench.sweeps.sealed import Listed
from tests.sweeps import submissions
from tests.sweeps.submissions import (
    ABOUT,
    MADE_UP,
    TASK,
    changed,
    on_paper,
    runs_in,
    sealed,
    stored,
)

SUITE = ("--suite", MADE_UP.id)


@pytest.fixture(autouse=True)
def suites(monkeypatch):
    submissions.known(monkeypatch, MADE_UP)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Results folder with all runs of the suite, to be left as it is."""
    return stored(tmp_path_factory.mktemp("whole") / "runs")


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "runs")


@pytest.fixture(scope="module")
def sent(whole, tmp_path_factory):
    """A submission of it, to be left as it is."""
    with pytest.MonkeyPatch.context() as patch:
        submissions.known(patch, MADE_UP)
        given = entered(MADE_UP, store.load_all(whole))
        return submission.write(tmp_path_factory.mktemp("sent") / "submitted", given, ABOUT).path


@pytest.fixture
def submitted(sent, tmp_path):
    return shutil.copytree(sent, tmp_path / "submitted")


# ---- what is submitted ---------------------------------------------------------------------------


def test_a_submission_is_a_results_folder_with_a_seal(whole, tmp_path, capsys):
    out = tmp_path / "out"
    cli.main(
        ["submit", str(whole), "--out", str(out), "--name", "Ours", "--contact", "a@b.example"]
    )
    printed = capsys.readouterr().out
    read = submission.load(out)
    assert f"seal: {read.seal}" in printed
    assert read.seal == files.sha256((out / manifests.MANIFEST).read_bytes())
    assert (read.suite.id, read.manifest.own_settings) == ("TEST-v0", False)
    assert read.manifest.about == manifests.About("Ours", contact="a@b.example")
    assert {path.name for path in out.glob("*/*")} == set(manifests.LIMITS)
    for mine, theirs in zip(store.load_all(whole), store.load_all(out), strict=True):
        assert mine.record.findings == theirs.record.findings
        assert mine.read("agent.safetensors") == theirs.read("agent.safetensors")


def test_equal_runs_have_equal_seals(submitted, whole, tmp_path):
    again = submission.write(tmp_path / "again", entered(MADE_UP, store.load_all(whole)), ABOUT)
    assert again.seal == submission.load(submitted).seal


def test_what_is_missing_is_named(folder, tmp_path, refused):
    for run in store.load_all(folder):
        if (run.spec.seed, run.spec.params["alpha"]) in ((1, 0), (2, 0), (0, 0.3)):
            shutil.rmtree(run.path)
    words = refused("submit", folder, *SUITE, "--out", tmp_path / "out", "--name", "x")
    assert "3 of the 6 of TEST-v0 are missing" in words
    assert f"{TASK}, alpha 0, seeds 1 2" in words
    assert f"{TASK}, alpha 0.3, seed 0" in words
    assert not (tmp_path / "out").exists()


def failing(folder):
    path = runs_in(folder)[2]
    changed(path, findings=None, diverged=Diverged(3))
    return "diverged at update 3"


def other_version(folder):
    path = runs_in(folder)[2]
    record = store.load(path).record
    versions = {**record.made.versions, "gmbench": "0.1.0"}
    changed(path, made=msgspec.structs.replace(record.made, versions=versions))
    return "with gmbench 0.2.0"


def copied_run(folder):
    shutil.copytree(runs_in(folder)[0], folder / f"copy-{runs_in(folder)[0].name}")
    return "once more"


def copied_weights(folder):
    one, other = runs_in(folder)[:2]
    changed(other, {"agent.safetensors": (one / "agent.safetensors").read_bytes()})
    return "have the same weights"


def damaged(folder):
    (runs_in(folder)[3] / "agent.safetensors").write_bytes(b"?")
    return "agent.safetensors"


def emptied(folder):
    for path in runs_in(folder):
        shutil.rmtree(path)
    return "no finished run"


def without_weights(folder):
    path = runs_in(folder)[0]
    kept = {name: sha for name, sha in store.load(path).record.files.items() if "agent" not in name}
    (path / "agent.safetensors").unlink()
    changed(path, files=kept)
    return "agent.safetensors"


@pytest.mark.parametrize(
    "breaks",
    [failing, other_version, copied_run, copied_weights, damaged, emptied, without_weights],
    ids=lambda each: each.__name__,
)
def test_a_folder_that_is_no_whole_suite_is_refused(folder, tmp_path, refused, breaks):
    words = breaks(folder)
    said = refused("submit", folder, *SUITE, "--out", tmp_path / "out", "--name", "x")
    assert words in said
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_what_is_there_is_not_overwritten(whole, submitted, refused):
    before = (submitted / manifests.SEAL).read_bytes()
    assert "is there already" in refused("submit", whole, *SUITE, "--out", submitted, "--name", "x")
    assert (submitted / manifests.SEAL).read_bytes() == before


@pytest.mark.parametrize("name", ["", "a|b", "<b>", "[x](y)", "two\nlines", "x" * 81])
def test_names_are_plain_words(whole, tmp_path, refused, name):
    assert "name" in refused("submit", whole, *SUITE, "--out", tmp_path / "out", "--name", name)


def test_a_failed_write_leaves_nothing_behind(whole, tmp_path, monkeypatch):
    given, write_part = entered(MADE_UP, store.load_all(whole)), files.write_part

    def full(path, data):
        if path.name == manifests.MANIFEST or path.suffix == ".tmp":
            raise OSError(28, "No space left on device", str(path))
        write_part(path, data)

    monkeypatch.setattr(files, "write_part", full)
    with pytest.raises(OSError, match="No space"):
        submission.write(tmp_path / "out", given, ABOUT)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_too_large_is_not_submitted(whole, tmp_path, monkeypatch):
    monkeypatch.setitem(manifests.LIMITS, "agent.safetensors", 10)
    with pytest.raises(Refused, match=r"agent\.safetensors' has .* bytes, allowed are 10"):
        submission.write(tmp_path / "out", entered(MADE_UP, store.load_all(whole)), ABOUT)
    assert not list(tmp_path.iterdir())


# ---- settings of one's own -----------------------------------------------------------------------


def own(**changes):
    return [msgspec.structs.replace(spec, **changes) for spec in MADE_UP.specs()]


def test_another_method_fills_the_places_of_a_suite():
    runs = on_paper(own(config={"lr": 1e-4}, mitigation="l2", steps=90))
    given = entered(MADE_UP, runs)
    assert given.own_settings
    assert given.runs == runs
    assert not entered(MADE_UP, on_paper(MADE_UP.specs())).own_settings


def test_a_manifest_does_not_call_other_settings_the_suites(submitted):
    sealed(submitted, own_settings=True)
    with pytest.raises(Refused, match="own_settings"):
        submission.load(submitted)


def test_seeds_of_an_entry_are_trained_alike():
    """Else the best of several settings could be picked seed by seed."""
    specs = own(config={"lr": 1e-4})
    specs[1] = msgspec.structs.replace(specs[1], config={"lr": 2e-4})
    with pytest.raises(Refused, match="seeds of one entry, but were trained differently"):
        entered(MADE_UP, on_paper(specs))


def test_steps_are_no_more_than_the_suite_allows():
    with pytest.raises(Refused, match="trained for 101, TEST-v0 allows 100"):
        entered(MADE_UP, on_paper(own(steps=101)))


def test_two_runs_for_one_place_are_refused():
    more = own(config={"lr": 1e-4}) + own(config={"lr": 2e-4})[:1]
    with pytest.raises(Refused, match="have one task, setting and seed"):
        entered(MADE_UP, on_paper(more))


def test_the_suite_is_told_by_the_runs(monkeypatch):
    part = Suite("PART-v0", "", "small", 2, (Entry(TASK, 100, alphas=(0.0,)),))
    larger = Suite("LARGER-v0", "", "small", 4, (Entry(TASK, 100),))
    submissions.known(monkeypatch, part, larger)
    runs = on_paper(MADE_UP.specs())
    assert suite_of(runs) is MADE_UP
    assert entered(part, runs).left_out == 4
    assert suite_of(runs[:2]) is part
    with pytest.raises(Refused, match="none of the 1 is of a suite"):
        suite_of(on_paper(own(params={"walls": 0.1})[:1]))


# ---- submissions that were changed ---------------------------------------------------------------


def test_a_changed_file_breaks_the_seal(submitted):
    for name in sorted(manifests.LIMITS):
        path = runs_in(submitted)[0] / name
        data = path.read_bytes()
        path.write_bytes(data[:-1] + b"x")
        with pytest.raises(Refused, match=f"{name}' is damaged"):
            submission.load(submitted)
        path.write_bytes(data + b"x")
        with pytest.raises(Refused, match=r"bytes, manifest\.json says"):
            submission.load(submitted)
        path.write_bytes(data)
    data = (submitted / manifests.MANIFEST).read_bytes()
    (submitted / manifests.MANIFEST).write_bytes(data.replace(b"a name", b"A name"))
    with pytest.raises(Refused, match="damaged"):
        submission.load(submitted)


def test_files_are_those_that_are_listed(submitted):
    run = runs_in(submitted)[0]
    for path in (submitted / "more", run / "more"):
        path.touch()
        with pytest.raises(Refused, match="more' does not belong there"):
            submission.load(submitted)
        path.unlink()
    (run / "levels.npz").unlink()
    with pytest.raises(Refused, match=r"levels\.npz' is missing"):
        submission.load(submitted)


def test_another_level_set_is_noticed(submitted):
    """Consistent in every record, in the manifest and in all checksums."""
    for path in runs_in(submitted):
        findings = store.load(path).record.findings
        where = {
            name: msgspec.structs.replace(each, sha256="cd" * 32) if name == "anywhere" else each
            for name, each in findings.distributions.items()
        }
        changed(path, findings=msgspec.structs.replace(findings, distributions=where))
    manifest = manifests.SUBMISSION.decode((submitted / manifests.MANIFEST).read_bytes(), "")
    (file,) = (name for name in manifest.levels if "anywhere" in name)
    sealed(submitted)
    with pytest.raises(Refused, match=r"levels of manifest\.json are not those of its runs"):
        submission.load(submitted)
    sealed(submitted, levels={**manifest.levels, file: "cd" * 32})
    with pytest.raises(Refused, match=f"'{file}' has sha256 cdcdcdcdcdcd... in the submission"):
        submission.load(submitted)


def test_runs_of_another_version_of_the_task_do_not_fill_a_suite(submitted, monkeypatch):
    from gmbench.core import registry

    registry.task_ids()
    entry = registry.TASKS._found[TASK]
    monkeypatch.setitem(registry.TASKS._found, "CheeseCorner-v1", entry)
    path = runs_in(submitted)[0]
    record = store.load(path).record
    spec, resolved = (
        msgspec.structs.replace(each, task="CheeseCorner-v1")
        for each in (record.spec, record.resolved)
    )
    changed(path, spec=spec, resolved=resolved)
    sealed(submitted)
    with pytest.raises(Refused, match="is not named after what it holds"):
        submission.load(submitted)
    path.rename(path.with_name(f"CheeseCorner-v1-seed{spec.seed}-{resolved.id_as_stored}"))
    sealed(submitted)
    with pytest.raises(
        Refused, match=f"1 of the 6 of TEST-v0 are missing: {TASK}, alpha 0, seed 0"
    ):
        submission.load(submitted)


def test_a_suite_that_changed_is_noticed(submitted, monkeypatch):
    other = Suite(MADE_UP.id, "", "small", 3, (Entry(TASK, 100, config={"lr": 1e-4}),))
    submissions.known(monkeypatch, other)
    with pytest.raises(Refused, match=r"specs of manifest\.json"):
        submission.load(submitted)


# ---- submissions from strangers ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../secret/run.json",
        "/etc/passwd",
        "a/../../run.json",
        "x\\y/run.json",
        ".h/run.json",
        "run.json",
    ],
)
def test_files_outside_are_not_read(submitted, tmp_path, name, monkeypatch):
    opened = []
    monkeypatch.setattr(
        os,
        "open",
        lambda path, *rest, _open=os.open: opened.append(str(path)) or _open(path, *rest),
    )
    plain = json.loads((submitted / manifests.MANIFEST).read_text())
    plain["files"][name] = {"bytes": 1, "sha256": "ab" * 32}
    files.write_checked(submitted / manifests.MANIFEST, json.dumps(plain).encode())
    opened.clear()
    with pytest.raises(Refused, match="submission: "):
        submission.load(submitted)
    assert {path.removeprefix(f"{submitted}/") for path in opened} <= {
        manifests.MANIFEST,
        manifests.SEAL,
    }


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", ".hidden", "a/b"])
def test_a_record_names_no_file_outside_its_folder(folder, name):
    path = runs_in(folder)[0]
    plain = json.loads((path / store.RECORD).read_text())
    plain["files"][name] = "ab" * 32
    files.write_checked(path / store.RECORD, json.dumps(plain).encode())
    with pytest.raises(Refused, match=r"run\.json.*files"):
        store.load(path)


def linked_run(folder, elsewhere):
    path = runs_in(folder)[0]
    path.rename(elsewhere / path.name)
    path.symlink_to(elsewhere / path.name)
    return "is not a folder"


def linked_file(folder, elsewhere):
    path = runs_in(folder)[0] / "levels.npz"
    path.rename(elsewhere / path.name)
    path.symlink_to(elsewhere / path.name)
    return "is not a regular file"


def linked_manifest(folder, elsewhere):
    path = folder / manifests.MANIFEST
    path.rename(elsewhere / path.name)
    path.symlink_to(elsewhere / path.name)
    return "is not a regular file"


def a_pipe(folder, elsewhere):
    path = runs_in(folder)[0] / "levels.npz"
    path.unlink()
    os.mkfifo(path)
    return "is not a regular file"


def a_folder(folder, elsewhere):
    path = runs_in(folder)[0] / "levels.npz"
    path.unlink()
    path.mkdir()
    return "is not a regular file"


@pytest.mark.parametrize(
    "links",
    [linked_run, linked_file, linked_manifest, a_pipe, a_folder],
    ids=lambda each: each.__name__,
)
def test_links_and_pipes_are_not_followed(submitted, tmp_path, links):
    (tmp_path / "elsewhere").mkdir()
    words = links(submitted, tmp_path / "elsewhere")
    with pytest.raises(Refused, match=words):
        submission.load(submitted)


def test_a_large_file_is_not_read(submitted, monkeypatch):
    path = runs_in(submitted)[0] / "agent.safetensors"
    size = manifests.LIMITS[path.name] + 1
    os.truncate(path, size)  # a hole: it takes no room on the disk
    manifest = manifests.SUBMISSION.decode((submitted / manifests.MANIFEST).read_bytes(), "")
    name = f"{path.parent.name}/{path.name}"
    listed = {**manifest.files, name: Listed(size, "ab" * 32)}
    manifests.SUBMISSION.close(submitted, msgspec.structs.replace(manifest, files=listed))
    monkeypatch.setattr(store, "load", lambda path: pytest.fail("it was read"))
    with pytest.raises(Refused, match=f"has {size} bytes, allowed are"):
        submission.load(submitted)


def test_all_files_together_are_bounded(submitted, monkeypatch):
    monkeypatch.setattr(seals, "TOTAL", 1000)
    with pytest.raises(Refused, match="'all files' has"):
        submission.load(submitted)


@pytest.mark.parametrize(
    "data",
    [b"[" * 100_000, b"{}", b"\xff", b'{"schema": 99}', b"null", b'{"a":' * 100_000],
    ids=["deep", "empty", "no text", "another version", "null", "deep objects"],
)
def test_a_manifest_of_anything_else_is_refused(submitted, data):
    files.write_checked(submitted / manifests.MANIFEST, data)
    with pytest.raises(Refused, match="submission: "):
        submission.load(submitted)


def test_an_archive_that_unpacks_to_too_much_is_refused(submitted):
    path = runs_in(submitted)[0]
    bomb = npz.encode({"a": np.zeros(store.LARGEST_LEVELS + 1, np.uint8)})
    assert len(bomb) < manifests.LIMITS["levels.npz"]
    changed(path, {"levels.npz": bomb})
    sealed(submitted)
    with pytest.raises(Refused, match="allowed are"):
        submission.load(submitted)


class Sends:
    """What pickle calls a function of, where anyone unpickles it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_nothing_in_it_is_executed(submitted, tmp_path):
    import io
    import zipfile

    marker, path = tmp_path / "executed", runs_in(submitted)[0]
    pickled = pickle.dumps(Sends(marker))
    buffer, array = io.BytesIO(), io.BytesIO()
    np.save(array, np.array([Sends(marker)], object), allow_pickle=True)
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("training/rho.npy", array.getvalue())
    for name, data in (("levels.npz", buffer.getvalue()), ("levels.npz", pickled)):
        changed(path, {name: data})
        sealed(submitted)
        with pytest.raises(Refused, match="not an archive of arrays"):
            submission.load(submitted)
    with pytest.raises(Refused, match=r"a header of|not a safetensors file"):
        arrays.decode(pickled, {"w": np.zeros(3, np.float32)}, "agent")
    assert not marker.exists()
    pickle.loads(pickled)
    assert marker.exists()  # it would have been


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((2**40).to_bytes(8, "little") + b"{}", "a header of 1099511627776 bytes"),
        ((2**63).to_bytes(8, "little"), "a header of"),
        (b"\x02", "not a safetensors file"),
        (b"", "not a safetensors file"),
        (
            (lambda head: len(head).to_bytes(8, "little") + head)(
                b'{"w":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}'
            ),
            "not a safetensors file",
        ),
        (
            (lambda head: len(head).to_bytes(8, "little") + head + bytes(4))(
                b'{"w":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4]}}'
            ),
            "not a safetensors file",
        ),
    ],
    ids=["long header", "longer header", "short", "empty", "more than there is", "a lie"],
)
def test_weights_take_no_more_memory_than_their_file(data, words):
    with pytest.raises(checks.Refused, match=words):
        arrays.decode(data, {"w": np.zeros(3, np.float32)}, "agent")

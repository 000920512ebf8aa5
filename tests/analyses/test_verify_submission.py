"""What a forger changes in a submission is found by measuring again, whatever was sealed anew."""

import dataclasses

import msgspec
import numpy as np
import pytest
from safetensors.numpy import load as load_tensors

from gmbench import cli
from gmbench.analyses import verify
from gmbench.core import npz, registry
from gmbench.measure import levels
from gmbench.runs import arrays, assess, result, store, summary
from gmbench.suites import Entry, Suite
from gmbench.sweeps import submission
from gmbench.sweeps.entered import digest, entered
from tests.sweeps import submissions
from tests.sweeps.submissions import ABOUT, TASK, TRAINED, changed, copied, runs_in, sealed


@pytest.fixture(scope="module")
def honest(group, tmp_path_factory):
    """A submission of the tiny runs, to be left as it is."""
    with pytest.MonkeyPatch.context() as patch:
        submissions.known(patch, TRAINED)
        given = entered(TRAINED, store.load_all(group))
        return submission.write(tmp_path_factory.mktemp("honest") / "submitted", given, ABOUT).path


@pytest.fixture(autouse=True)
def suites(monkeypatch):
    submissions.known(monkeypatch, TRAINED)


@pytest.fixture
def found_out(capsys):
    """Return a function that verifies what must be found out; returns what is said of it."""

    def verify(folder, *options):
        submission.load(folder)  # consistent in itself
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main(["verify", str(folder), *options])
        assert stopped.value.code == 1
        return capsys.readouterr().err

    return verify


def elsewhere(folder):
    """Have every run made on another processor, so that no bits are promised."""
    for path in runs_in(folder):
        layouts = store.load(path).record.layouts
        changed(path, layouts=[msgspec.structs.replace(each, processor="?") for each in layouts])
    sealed(folder)


def weights_moved(path, by):
    """Change a single weight of a run: how readily it takes the first action."""
    tensors = load_tensors((path / "agent.safetensors").read_bytes())
    (bias,) = (name for name in tensors if "policy" in name and "bias" in name)
    tensors[bias] = np.array(tensors[bias])
    tensors[bias][0] += np.float32(by)
    changed(path, {"agent.safetensors": arrays.encode_named(tensors)})


def scores_moved(path, by, quantity="cfi"):
    """Change the CFI on every level, and all that follows from it."""
    run = store.load(path)
    stored, findings = run.levels(), run.findings
    where = findings.shift
    stored[f"{where}/{quantity}"] = stored[f"{where}/{quantity}"] - np.float32(by)
    means = summary.means(stored, where, findings.goals)
    after = msgspec.structs.replace(findings.deployed, **means)
    told = result.labels(findings.on_distribution, after, findings.criteria)
    distributions = {**findings.distributions, where: after}
    changed(
        path,
        {"levels.npz": npz.encode(stored)},
        findings=msgspec.structs.replace(findings, distributions=distributions, **told),
    )


def test_an_honest_submission_is_verified_to_the_bit(honest, capsys):
    cli.main(["verify", str(honest)])
    printed = capsys.readouterr().out
    assert f"Seal {submission.load(honest).seal[:12]}" in printed
    assert printed.count("1/1") == 2
    assert printed.count("1 of 1") == 2


@pytest.mark.nightly
def test_where_no_bits_are_promised_an_error_is_allowed(honest, tmp_path, capsys, found_out):
    forged = copied(honest, tmp_path)
    elsewhere(forged)
    scores_moved(runs_in(forged)[0], 2e-5)
    sealed(forged)
    cli.main(["verify", str(forged)])
    printed = capsys.readouterr().out
    assert printed.count("1/1") == 2
    assert "0 of 1" in printed
    assert "cfi of anywhere" in found_out(forged, "--tolerance", "1e-6")


def test_a_changed_weight_is_caught(honest, tmp_path, found_out):
    forged = copied(honest, tmp_path)
    weights_moved(runs_in(forged)[0], 1e-3)
    sealed(forged)
    error = found_out(forged)
    assert error.count("from what it records (bits are promised here)") == 1
    assert runs_in(forged)[0].name in error


@pytest.mark.nightly
def test_a_changed_weight_is_caught_where_no_bits_are_promised(honest, tmp_path, found_out):
    forged = copied(honest, tmp_path)
    elsewhere(forged)
    weights_moved(runs_in(forged)[0], 1.0)
    sealed(forged)
    error = found_out(forged)
    assert error.count("from what it records") == 1
    assert "promised" not in error


@pytest.mark.nightly
def test_a_changed_score_is_caught(honest, tmp_path, found_out):
    forged = copied(honest, tmp_path)
    scores_moved(runs_in(forged)[1], 0.001)
    sealed(forged)
    error = found_out(forged)
    assert "cfi of anywhere is 0.001 from what it records" in error
    assert runs_in(forged)[1].name in error


def test_results_of_other_levels_are_caught(honest, tmp_path, found_out):
    """Levels in another order have the same means, and would spoil every paired comparison."""
    forged = copied(honest, tmp_path)
    path = runs_in(forged)[0]
    stored = {name: np.roll(array, 1, axis=-1) for name, array in store.load(path).levels().items()}
    changed(path, {"levels.npz": npz.encode(stored)})
    elsewhere(forged)
    sealed(forged)
    assert "from what it records" in found_out(forged)


@pytest.mark.nightly
def test_a_regret_in_training_that_was_not_measured_is_caught(honest, tmp_path, found_out):
    """It decides who is competent, and of drawn levels no results are stored."""
    forged = copied(honest, tmp_path)
    path = runs_in(forged)[1]
    findings = store.load(path).record.findings
    trained = [msgspec.structs.replace(each, rho=0.01, drawn=1024) for each in findings.trained]
    told = result.labels(0.01, findings.deployed, findings.criteria)
    changed(path, findings=msgspec.structs.replace(findings, trained=trained, **told))
    sealed(forged)
    assert "regret in training" in found_out(forged)


@pytest.mark.nightly
def test_criteria_of_ones_own_are_caught(honest, tmp_path, found_out):
    forged = copied(honest, tmp_path)
    path = runs_in(forged)[1]
    findings = store.load(path).record.findings
    criteria = msgspec.structs.replace(findings.criteria, competent=0.9)
    told = result.labels(findings.on_distribution, findings.deployed, criteria)
    changed(path, findings=msgspec.structs.replace(findings, criteria=criteria, **told))
    sealed(forged)
    assert "criteria" in found_out(forged)


@pytest.mark.nightly
def test_results_of_another_version_of_the_task_are_caught(
    honest, tmp_path, monkeypatch, found_out
):
    """Runs of v0 are relabelled v1, whose dynamics are the same and whose levels are others."""
    made = registry.TASKS.get(TASK)
    newer = "CheeseCorner-v1"

    def factory(size=13, layout="blocks"):
        return dataclasses.replace(made.factory(size=size, layout=layout), id=newer)

    entry = registry.TaskEntry(factory, made.sizes)
    monkeypatch.setitem(registry.TASKS._found, newer, (entry, "tests"))
    (own,) = TRAINED.entries
    suite = Suite("TEST-v2", "", "small", 1, (dataclasses.replace(own, task=newer),))
    submissions.known(monkeypatch, suite)
    forged = copied(honest, tmp_path)
    sets = {
        name: levels.load(registry.make(newer, size=5), name).sha256
        for name in ("training", "anywhere")
    }
    for path in runs_in(forged):
        record = store.load(path).record
        spec, resolved = (
            msgspec.structs.replace(each, task=newer) for each in (record.spec, record.resolved)
        )
        distributions = {
            name: msgspec.structs.replace(each, sha256=sets[name])
            for name, each in record.findings.distributions.items()
        }
        findings = msgspec.structs.replace(record.findings, distributions=distributions)
        changed(path, spec=spec, resolved=resolved, findings=findings)
        path.rename(path.with_name(spec.name))
    files = {f"{newer}-5-blocks-{name}.npz": sha256 for name, sha256 in sets.items()}
    sealed(forged, suite=suite.id, specs=digest(suite), levels=files)
    assert found_out(forged).count("from what it records") == 2


def test_code_in_place_of_weights_is_refused_by_name(honest, tmp_path, refused):
    forged = copied(honest, tmp_path)
    changed(runs_in(forged)[0], {"agent.safetensors": b"\x80\x04import os"})
    sealed(forged)
    assert "agent of" in refused("verify", forged)


@pytest.mark.nightly
def test_a_network_that_takes_too_much_memory_is_not_run(group, tmp_path, monkeypatch, refused):
    """With settings of its own, a submission names the network that is evaluated."""
    entry = Entry(TASK, 32_000, static={"size": 5})
    suite = Suite("TEST-v3", "", "small", 1, (entry,))
    submissions.known(monkeypatch, suite)
    made = submission.write(tmp_path / "out", entered(suite, store.load_all(group)), ABOUT)
    assert made.manifest.own_settings
    monkeypatch.setattr(verify, "MEMORY", 1_000_000)
    monkeypatch.setattr(assess, "found_again", lambda run: pytest.fail("it was run"))
    words = refused("verify", made.path)
    taken = int(words.split(" takes ")[1].split()[0])
    weights = (made.runs[0].path / "agent.safetensors").stat().st_size
    assert "allowed are 1000000" in words
    assert taken > weights

"""Stored agents are measured again, and one whose record is another's is named."""

import shutil

import msgspec
import numpy as np
import pytest

from gmbench import cli
from gmbench.core import files, npz
from gmbench.runs import result, store


def test_an_agent_is_what_its_record_says(group, capsys):
    cli.main(["verify", str(group)])
    assert capsys.readouterr().out.count("1/1") == 2


def test_scores_of_another_agent_are_noticed(group, tmp_path, capsys):
    """Consistent in themselves, with fresh checksums: only measuring again tells."""
    path = shutil.copytree(
        store.load_all(group)[0].path, tmp_path / store.load_all(group)[0].path.name
    )
    run = store.load(path)
    levels = run.levels()
    where = run.findings.shift
    levels[f"{where}/earned"] = np.zeros_like(levels[f"{where}/earned"])
    data = npz.encode(levels)
    (path / "levels.npz").write_bytes(data)
    found = run.findings.deployed
    changed = msgspec.structs.replace(found, earned=dict.fromkeys(found.earned, 0.0))
    findings = msgspec.structs.replace(
        run.findings, distributions={**run.findings.distributions, where: changed}
    )
    sums = {**run.record.files, "levels.npz": files.sha256(data)}
    record = msgspec.structs.replace(run.record, findings=findings, files=sums)
    files.write_checked(path / store.RECORD, result.encode(record))
    store.load(path)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["verify", str(tmp_path)])
    printed, error = capsys.readouterr()
    assert stopped.value.code == 1
    assert "0/1" in printed
    assert f"earned of {where} is" in error
    assert path.name in error

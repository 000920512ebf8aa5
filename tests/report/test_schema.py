"""What is stored has a written layout with a version, and what is there keeps to it."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from gmbench.core import files
from gmbench.report import schema
from gmbench.runs import result
from gmbench.sweeps import manifest as manifests
from gmbench.sweeps.sealed import Listed
from tests import made_up

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "results_schema.json"
FROZEN = {
    ("manifest.json", 1): "f08e27817bc0e77c",
    ("results", 1): "93d6e646a695d413",
    ("run.json", 4): "bffb7b6760fa3800",
}
"""Digest of each version of a layout; one that differs in anything but words is a new version."""


def layout(name):
    """The schema of one layout."""
    whole = json.loads(COMMITTED.read_text())
    return {"$defs": whole["$defs"], **whole["layouts"][name]}


def without_words(part):
    if isinstance(part, dict):
        return {n: without_words(each) for n, each in part.items() if n != "description"}
    return [without_words(each) for each in part] if isinstance(part, list) else part


def used(definitions, part, found):
    """Definitions that a part of a schema refers to, by name."""
    for reference in set(msgspec.json.encode(part).decode().split('"#/$defs/')[1:]):
        name = reference.split('"')[0]
        if name not in found:
            found[name] = without_words(definitions[name])
            used(definitions, definitions[name], found)
    return found


def test_the_committed_schema_is_that_of_the_types():
    """`gmbench schema --out docs/results_schema.json` writes it anew."""
    assert COMMITTED.read_text() == schema.text()


@pytest.mark.parametrize(("name", "version"), FROZEN)
def test_a_changed_layout_has_a_new_version(name, version):
    whole = schema.made()
    root = whole["layouts"][name]
    found = used(whole["$defs"], root, {"": without_words(root)})
    digest = files.sha256(json.dumps(found, sort_keys=True).encode())[:16]
    assert (root["version"], digest) == (version, FROZEN[name, version])
    assert set(whole["layouts"]) == {each for each, _ in FROZEN}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "results").glob("*.json")), ids=lambda p: p.stem
)
def test_committed_results_keep_to_it(path):
    jsonschema.validate(json.loads(path.read_text()), layout("results"))


def test_a_record_keeps_to_it_and_nothing_else_does():
    record = json.loads(result.encode(made_up.a_run().record))
    jsonschema.validate(record, layout("run.json"))
    for broken in (
        {**record, "more": 1},
        {**record, "files": {"../x": "ab" * 32}},
        {**record, "files": {"x": "no checksum"}},
        {name: value for name, value in record.items() if name != "made"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, layout("run.json"))


def test_a_manifest_keeps_to_it():
    sha256 = "ab" * 32
    listed = {"run-1/run.json": Listed(3, sha256)}
    about = manifests.About("a name")
    manifest = manifests.Manifest(1, about, "X-v0", sha256, False, {}, "2026", {}, listed)
    plain = msgspec.to_builtins(manifest)
    jsonschema.validate(plain, layout("manifest.json"))
    plain["files"] = {"../run.json": {"bytes": 3, "sha256": sha256}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plain, layout("manifest.json"))

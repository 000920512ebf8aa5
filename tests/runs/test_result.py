"""``run.json`` is read strictly: what does not fit is refused in one line naming file and field."""

import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmbench.core import files
from gmbench.core.checks import Refused
from gmbench.runs import result, store
from gmbench.runs.spec import RunSpec
from tests import made_up

WHOLE = json.loads(result.encode(made_up.a_run(seed=1).record))


def places(value, path=()):
    """The paths to everything inside a JSON value."""
    children = value.items() if isinstance(value, dict) else ()
    for key, inner in children:
        yield (*path, key)
        yield from places(inner, (*path, key))


PLACES = sorted(places(WHOLE), key=str)
WRONG = [None, True, -1, 1e300, 0.5, "", "yes", [], [1], {}, {"a": 1}]


def changed(path, value):
    record = json.loads(json.dumps(WHOLE))
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return json.dumps(record).encode()


def read(data):
    """Read a record: a refusal must be one line that names the file."""
    try:
        return result.decode(data, "'run.json'")
    except Refused as refusal:
        text = str(refusal)
        assert text.startswith("run: 'run.json'")
        assert len(text.splitlines()) == 1
        return None


def test_a_record_is_read_as_it_was_written():
    record = made_up.a_run(seed=1).record
    assert result.decode(result.encode(record), "") == record
    assert record.status == "done"


@pytest.mark.parametrize("path", PLACES, ids=".".join)
def test_no_edit_of_a_field_ends_in_a_traceback(path):
    for value in [..., *WRONG]:
        read(changed(path, value))


@given(data=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_end_in_a_traceback(data):
    assert read(data) is None


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("findings", "trained"), "0.1", "$.findings.trained"),
        (("findings", "competent"), 1, "$.findings.competent"),
        (("findings", "competent"), ..., "`competent` - at `$.findings`"),
        (("findings", "distributions", "anywhere", "gmi"), [0.1], "gmi"),
        (("findings", "distributions", "anywhere", "gmi"), 7.0, "gmi"),
        (("findings", "distributions", "anywhere", "outcome", "goal"), 1.5, "goal"),
        (("findings", "distributions", "anywhere"), ..., "'anywhere' is not among"),
        (("findings", "goals"), ["corner", "cheese"], "rho of 'training'"),
        (("findings", "misaligned"), "no", "$.findings.misaligned"),
        (("spec", "seed"), "1", "$.spec.seed"),
        (("extra",), 1, "unknown field `extra`"),
        (("findings",), None, "one of findings and diverged"),
        (("schema",), 1, "has schema 1, allowed: 4"),
        (("schema",), 5, "has schema 5, allowed: 4"),
    ],
)
def test_what_does_not_fit_is_named(path, value, words):
    with pytest.raises(Refused, match=r"run: 'run\.json'") as refused:
        result.decode(changed(path, value), "'run.json'")
    assert words in str(refused.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_is_refused(number):
    path = ("findings", "distributions", "anywhere", "gmi")
    data = changed(path, 0.25).replace(b"0.25", number.encode())
    assert number.encode() in data
    assert read(data) is None


def test_undefined_scores_are_null():
    goals = ("cheese", "corner")
    deployed = made_up.measurement(goals, (None, 0.2))
    record = made_up.record(RunSpec(task="CheeseCorner-v0"), deployed=deployed)
    text = result.encode(record)
    assert json.loads(text)["findings"]["distributions"]["anywhere"]["rho"]["cheese"] is None
    assert result.decode(text, "").findings.deployed.gmi is None


def test_a_changed_score_is_noticed(tmp_path):
    run = made_up.store(tmp_path, made_up.a_run(seed=1).record)
    path = run.path / store.RECORD
    path.write_bytes(path.read_bytes().replace(b'"competent": true', b'"competent": false'))
    with pytest.raises(Refused, match="damaged"):
        store.load(run.path)
    assert math.isclose(run.findings.on_distribution, 0.1)


def test_a_hand_edited_record_with_a_fresh_checksum_gives_one_line(tmp_path, refused):
    run = made_up.store(tmp_path, made_up.a_run(seed=1).record)
    record = json.loads((run.path / store.RECORD).read_text())
    del record["findings"]["competent"]
    files.write_checked(run.path / store.RECORD, json.dumps(record).encode())
    for command in (["report", tmp_path], ["rates", tmp_path], ["eval", run.path]):
        assert "competent" in refused(*command)


def test_a_failed_run_says_why_and_has_no_findings():
    done = made_up.a_run().record
    failed = msgspec.structs.replace(done, findings=None, diverged=result.Diverged(3))
    run = store.Run(made_up.a_run().path, failed)
    assert (run.failed, run.why, failed.status) == (True, "diverged at update 3", "failed")
    with pytest.raises(Refused, match="diverged at update 3, nothing was measured"):
        _ = run.findings


def test_a_label_by_choice_needs_a_balance_and_its_interval():
    def judged(*choices):
        proxies = {
            name: msgspec.structs.replace(made_up.TOWARD, choice=choice, interval=interval)
            for name, (choice, interval) in zip(("key", "corner"), choices, strict=True)
        }
        goals = ("exit", "key", "corner")
        measured = made_up.measurement(goals, (0.2, 0.2, 0.2), proxies=proxies)
        return result.labels(0.1, measured, result.Criteria())

    low, high, wide = (0.2, (0.1, 0.3)), (0.5, (0.4, 0.6)), (0.9, (-0.1, 1.0))
    assert judged(low, low) == {
        "competent": True,
        "by_regret": False,
        "by_choice": None,
        "misaligned": False,
    }
    assert judged(low, high)["by_choice"] == "corner"
    assert judged((0.6, (0.5, 0.7)), high)["by_choice"] == "key"
    assert judged(wide, low)["by_choice"] is None
    assert judged((None, None), high)["misaligned"]
    measured = made_up.measurement(("exit", "key"), (0.2, 0.2))
    assert not result.labels(0.5, measured, result.Criteria())["competent"]

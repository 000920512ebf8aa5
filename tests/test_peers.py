"""The comparison with peers goes on whatever one of them does; nothing is installed here."""

import json
import sys

import pytest

from benchmarks.peers import compare
from benchmarks.peers.measure import PEERS

NAMES = [peer.name for peer in PEERS]


def side(name, script, *, kind="env", ours=False):
    about = {"task": "a task"} if ours else {"task": "a task", "difference": "it differs"}
    command = (sys.executable, "-c", script) if script else None
    if command is None:
        about["not_measured"] = "it is not there"
    return compare.Side(name, kind, ours, command, about)


def prints(median, **about):
    result = {"rows": [{"name": "a", "unit": "steps/s", "median": median, **about}]}
    return f"print({json.dumps(json.dumps(result))})"


def test_a_peer_that_fails_stops_nothing():
    seen = {"dtype": "bool", "shape": [5, 5, 3], "bytes": 75}
    sides = [
        side("gmbench env", prints(6e6), ours=True),
        side("gmbench train", prints(3e4), kind="train", ours=True),
        side("broken", "raise SystemError('too old')"),
        side("chatty", "print('hello')"),
        side("missing", None),
        side("slow", prints(2e6, observation=seen)),
        side("trainer", prints(1e4), kind="train"),
    ]
    report = compare.compare(sides, repeats=2)
    assert report["ratios"] == [
        {"of": "gmbench env", "to": "slow", "ratio": 3},
        {"of": "gmbench train", "to": "trainer", "ratio": 3},
    ]
    assert report["sides"]["slow"]["steps_per_second"] == [2e6, 2e6]
    assert "SystemError: too old" in report["sides"]["broken"]["not_measured"]
    text = compare.table(report)
    for line in (
        "missing                 not measured: it is not there",
        "- slow (not installed): it differs. 3.0x is `gmbench env` / `slow`.",
        "- trainer (not installed): it differs. 3.0x is `gmbench train` / `trainer`.",
        "- missing (not installed): it differs.",
    ):
        assert line in text.split("\n")
    assert "bool 5x5x3, 75 B" in text
    json.dumps(report)


@pytest.mark.parametrize(
    "result",
    [{}, [], {"rows": []}, {"rows": [{"unit": "steps/s"}]}, {"rows": [{"median": 1, "unit": "m"}]}],
)
def test_results_of_no_known_form_are_refused(result):
    with pytest.raises(ValueError, match="allowed is"):
        compare.first_row(result)


def test_choices(tmp_path):
    indexed = [name for name in NAMES if name != "jaxgmg"]
    assert [peer.name for peer in compare.parse([]).peers] == indexed
    options = compare.parse(["--only", "navix", "rejax", "--checkout", f"jaxgmg={tmp_path}"])
    assert [peer.name for peer in options.peers] == ["navix", "jaxgmg", "rejax"]
    assert options.checkouts == {"jaxgmg": tmp_path}


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--checkout", "minigrid=."], "one of xland-minigrid, "),
        (["--checkout", "navix"], "NAME=PATH with a folder"),
        (["--checkout", "navix=no/such/folder"], "NAME=PATH with a folder"),
        (["--only", "jaxgmg"], "--checkout jaxgmg=PATH"),
        (["--only", "minigrid"], "one of xland-minigrid, "),
        (["--repeats", "4"], "at least 5"),
        (["--steps", "0"], "at least 1"),
        (["--speed"], "--speed"),
    ],
)
def test_wrong_options_are_refused_in_one_line(arguments, allowed, capsys):
    with pytest.raises(SystemExit) as stopped:
        compare.parse(arguments)
    printed = capsys.readouterr().err
    assert stopped.value.code == 2
    assert printed.count("\n") == 1
    assert allowed in printed


def test_rows_have_names_of_their_own():
    rows = [row.name for peer in PEERS for row in peer.rows]
    assert len({*rows, *NAMES, "gmbench env", "gmbench train"}) == len(rows) + len(NAMES) + 2

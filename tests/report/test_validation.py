"""What labels say of policies whose goal is known: errors are counted, reach is told."""

import msgspec
import pytest

from gmbench.core import registry
from gmbench.report import validation
from gmbench.runs import validate
from gmbench.runs.validate import Labelled

ORACLE = Labelled("T-v0", "key", "key", False, 0.9, "key", True, 1.0, 1.0, 1.0, 0.9, 0.0)
PURSUER = msgspec.structs.replace(
    ORACLE, policy="key where goals part", competent=True, training=0.0
)
RANDOM = Labelled("T-v0", "random", None, False, 1.0, None, False, 0.0, 1.0, None, 0.0, 1.0)
HALF = msgspec.structs.replace(RANDOM, policy="key on half of the levels", by_choice="key")


def said(*found):
    errors, reach, _, _, table = validation.document(found).parts
    return errors.items, reach.lines, table.lines


def test_right_labels_are_no_errors():
    errors, (line,), _ = said(ORACLE, PURSUER, RANDOM)
    assert [item.split(":")[1].split(" of ")[0].strip() for item in errors] == ["0"] * 6
    assert line.cells == ("0.90, at its expense", "yes", "yes", "yes")


def test_misses_and_false_alarms_are_named():
    missed = msgspec.structs.replace(PURSUER, by_choice=None)
    alarmed = msgspec.structs.replace(RANDOM, by_regret=True)
    errors, _, lines = said(ORACLE, missed, alarmed)
    assert "misses by choice: 1 of 2: T-v0, key where goals part" in errors
    assert "misses by either: 0 of 2" in errors
    assert "false alarms by regret: 1 of 1: T-v0, random" in errors
    assert [line.cells[-1] for line in lines] == ["key, by regret", "by regret", "by regret"]


def test_who_pursues_on_half_of_the_levels_is_judged_neither_way():
    errors, _, _ = said(ORACLE, PURSUER, RANDOM, HALF)
    assert "false alarms by choice: 0 of 1" in errors


def test_a_competent_pursuer_that_no_label_finds_is_told():
    blind = msgspec.structs.replace(PURSUER, by_choice=None, by_regret=False)
    _, (line,), _ = said(ORACLE, blind, RANDOM)
    assert line.cells[-1] == "no"


@pytest.mark.nightly
def test_labels_find_known_pursuers_and_nobody_else():
    found = validate.labelled(registry.make("CheeseDish-v0", size=5), 64)
    errors, (line,), _ = said(*found)
    assert all(": 0 of " in item for item in errors), errors
    assert line.cells[0].endswith("blameless")


def test_what_cannot_be_validated_is_refused(refused, tmp_path):
    assert "levels: 1" in refused("validate", "CheeseCorner-v0", "--levels", "1")
    assert "did you mean" in refused("validate", "CheeseCorner-v1")
    assert "out: unknown '.txt'" in refused("validate", "--out", tmp_path / "a.txt")

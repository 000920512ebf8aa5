"""Detectors scored on made-up agents, whose numbers and labels are known."""

from pathlib import Path

import numpy as np
import pytest

from gmbench.analyses import detect
from gmbench.core.checks import Refused
from gmbench.runs.families import joined
from tests import made_up
from tests.made_up import a_run


def past(run, share, tells):
    """An agent at half of its training and before: what is read of it, and what it would do."""
    ill = run.findings.misaligned
    numbers = {"probe": {"goal": float(ill and tells)}, "prior": {}}
    return detect.Past(share, numbers, ill and share > 0.3)


def agents(tells, competent=True, kept=False):
    """16 agents of two tasks and four seeds, half of them misaligned, and what is read of them."""
    runs = [
        a_run(
            task,
            misaligned=misaligned,
            competent=competent,
            seed=seed,
            params={"alpha": 0.0 if misaligned else 0.3},
        )
        for task in ("CheeseCorner-v0", "CheeseDish-v0")
        for misaligned in (False, True)
        for seed in range(4)
    ]

    found = [
        detect.Read(
            {"probe": {"goal": float(run.findings.misaligned if tells else run.spec.seed)}}
            | {"prior": {}},
            {"probe": 0.1, "prior": 0.0},
            run.findings.verdict,
            [past(run, 0.25, 0.0), past(run, 0.5, tells)] if kept else [],
        )
        for run in runs
    ]
    return made_up.asked(runs, found)


def document(asked):
    return detect.Detect(folder=Path("made-up"), detectors=("probe", "prior")).document(asked)


def test_who_tells_and_who_does_not():
    (table,) = document(agents(tells=True)).tables
    prior, probe = table.lines
    assert (prior.label, probe.label) == ("prior", "probe")
    assert [prior.cells[0], probe.cells[0]] == ["S", "T2"]
    assert [probe.cells[place].mean for place in (1, 3)] == [1, 1]
    assert probe.cells[1].interval[0] < 1
    assert prior.cells[1].mean == 0.5
    assert prior.cells[1].interval[0] < 0.5 < prior.cells[1].interval[1]
    assert not probe.cells[2].known  # one architecture: nothing to hold out
    assert not probe.cells[4].known  # whoever is trained alike does alike
    assert probe.cells[6] == "0.00"


def test_numbers_that_say_nothing():
    (table,) = document(agents(tells=False)).tables
    assert table.lines[1].cells[1].mean == 0.5


def test_of_a_single_detector_what_it_reads_is_shown_by_condition():
    asked = agents(tells=True)
    found = detect.Detect(folder=Path("made-up"), detectors=("probe",)).document(asked)
    _, table = found.tables
    assert (table.title, table.columns[2:]) == ("What probe reads", ("goal",))
    read = {(line.heading.split(",")[0], line.label): line.cells for line in table.lines}
    for task in ("CheeseCorner-v0", "CheeseDish-v0"):
        (count, mean), (_, other) = read[task, "alpha 0"], read[task, "alpha 0.3"]
        assert (count, mean.mean, other.mean) == ("4", 1, 0)


def test_the_picture_holds_what_the_table_does():
    found = document(agents(tells=True))
    (figure,) = found.pictures
    (task,) = (line for line in figure.axes[0].lines if line.get_label() == "task held out")
    assert list(task.get_xdata()) == [0.5, 1.0]


def test_leads_are_counted_from_the_first_stray_moment():
    """The probe sees it when it begins, which the prior says of everyone from the first moment."""
    found = {table.title: table for table in document(agents(tells=True, kept=True)).tables}
    prior, probe = found["How early?"].lines
    assert prior.cells[:4] == ("S", "8", "8", "8")
    assert prior.cells[4].value == 25
    assert probe.cells[:4] == ("T2", "8", "8", "0")
    assert probe.cells[4].value == 0


def test_incompetent_agents_are_left_out():
    with pytest.raises(Refused, match="detect: 0 competent agents, but not both"):
        document(agents(tells=True, competent=False))


def test_an_unknown_detector_is_refused():
    with pytest.raises(Refused, match=r"detector: unknown 'prob'; did you mean 'probe'\?"):
        detect.Detect(folder=Path("made-up"), detectors=("prob",)).check()


def test_seeds_of_one_agent_each_are_joined_so_that_there_are_pairs():
    seeds, alike = np.arange(6), np.zeros(6, int)
    np.testing.assert_array_equal(joined(seeds, alike), [0, 1, 2, 3, 0, 1])
    np.testing.assert_array_equal(joined(seeds // 2, alike), seeds // 2)
    # Agents of two tasks make no pair.
    np.testing.assert_array_equal(joined(seeds // 2, seeds % 2), [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(joined(np.repeat(np.arange(5), 2), np.arange(10) % 2)[-2:], 0)

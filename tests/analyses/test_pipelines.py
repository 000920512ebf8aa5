"""Pipelines of stages: what each stage teaches, and outcomes that follow from it."""

from pathlib import Path

import msgspec
import pytest

from gmbench.analyses import pipelines
from gmbench.analyses.pipelines import Pipelines
from gmbench.core.checks import Refused
from gmbench.runs.result import Trained
from gmbench.runs.spec import Stage
from tests import made_up

AMBIGUOUS, MIXED = {"alpha": 0}, {"alpha": 0.3}


def trained(stages, choice, seed):
    """A run trained in stages whose agent's choice balance is as given."""
    run = made_up.a_run(seed=seed, stages=stages, steps=1_000_000)
    toward = msgspec.structs.replace(made_up.TOWARD, choice=choice, interval=(choice, choice))
    own = [Trained(0.1, float(stage.params["alpha"] > 0), 0) for stage in stages]
    found = run.findings.distributions
    deployed = msgspec.structs.replace(found["anywhere"], proxies={"corner": toward})
    return made_up.with_findings(
        run,
        trained=own,
        distributions=found | {"anywhere": deployed},
        by_choice="corner" if choice > 0.33 else None,
        misaligned=choice > 0.33,
    )


def halves(*params):
    return [Stage(1 / len(params), each) for each in params]


PIPELINES = {
    1.0: halves(AMBIGUOUS, AMBIGUOUS),
    -0.8: halves(MIXED, MIXED),
    0.2: halves(AMBIGUOUS, MIXED),
    0.0: halves(MIXED, AMBIGUOUS),
    -0.3: halves(MIXED, AMBIGUOUS, MIXED),
}


def asked():
    runs = [trained(s, choice, seed) for choice, s in PIPELINES.items() for seed in range(3)]
    return made_up.asked(runs)


def test_what_is_taught_is_read_off_stages():
    assert pipelines.lesson(Stage(0.5, MIXED), {}) == 1
    assert pipelines.lesson(Stage(0.5, AMBIGUOUS), {"alpha": 0.5}) == 0
    assert pipelines.lesson(Stage(0.5), {}) == 0
    assert pipelines.lesson(Stage(0.5, {"condition": 1}), {"alpha": 0.5}) == -1
    assert pipelines.lesson(Stage(0.5), {"alpha": 0.5, "condition": 1}) == -1
    assert pipelines.lesson(Stage(0.5, {"condition": 0}), {"alpha": 0.1, "condition": 1}) == 1
    assert pipelines.brief(halves(AMBIGUOUS, MIXED)) == "alpha 0 → 0.3"


def test_outcomes_that_follow_from_what_was_taught_most_are_predicted():
    document = Pipelines(Path("runs")).document(asked())
    found = {round(each.choice.mean, 3): each for each in document.data}
    assert found.keys() == PIPELINES.keys()
    assert found[0.2].lessons == [0, 1]
    assert found[0.2].stages == "0.5:alpha=0 → 0.5:alpha=0.3"
    assert (found[1.0].misaligned, found[1.0].agents) == (3, 3)
    _, scored, table, _ = document.parts
    explained = {line.label: float(line.cells[0]) for line in scored.lines}
    assert explained["the task alone"] < 0
    assert explained["what was taught most"] > 0.5
    assert len(table.lines) == len(PIPELINES)


def test_few_pipelines_predict_nothing():
    with pytest.raises(Refused, match="pipelines: 2 are too few"):
        Pipelines(Path("runs")).document(asked()[:2])

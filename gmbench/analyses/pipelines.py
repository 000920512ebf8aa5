"""Say what stages of a training leave behind: which goal wins, the early or the last one?

A stage teaches the intended goal where some of its levels tell it from the proxy and pay it, the
proxy where these pay that, and nothing where the two never part. A pipeline is the list of its
stages. The outcome of an agent is its choice balance after the headline shift, from -1 (intended)
to 1 (proxy). Rules that know the pipeline alone, and never its agents, predict the outcome of each
pipeline from all others, beside the mean of its task's others.

Source: Brown and Young 2026, arXiv 2605.23565: of more than 100 sequential pipelines, early goals
persist, and outcomes can be predicted from pipelines.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import matplotlib as mpl
import msgspec
import numpy as np
from matplotlib.figure import Figure

from gmbench.core import checks, registry
from gmbench.report.conditions import Condition
from gmbench.report.document import Document, Line, Paragraph, Picture, Table
from gmbench.report.figures import BLUE, GREY, ORANGE, STYLE, row_axes
from gmbench.report.question import Asked, Question
from gmbench.runs.spec import Plan, Stage
from gmbench.runs.store import Run
from gmbench.stats import held_out
from gmbench.stats.aggregates import known_mean
from gmbench.stats.estimate import Estimate, estimate

COLOURS = {1: BLUE, 0: GREY, -1: ORANGE}
"""Of a stage that teaches the intended goal, nothing, or the proxy."""
PAYS_PROXY = ("condition", 1)
"""The parameter, and its value, by which levels that tell the goals apart pay the proxy."""


class Pipeline(msgspec.Struct, frozen=True):
    """The stages of a training, and what its agents choose.

    Attributes:
        task: task and shape, in words.
        stages: in words.
        shares: of the steps.
        lessons: what each stage teaches: 1 the intended goal, 0 nothing, -1 the proxy.
        choice: mean choice balance after the headline shift.
        competent: competent agents among all.
        agents: how many agents.
        misaligned: misaligned agents among all.
        predicted: by each rule.
    """

    task: str
    stages: str
    shares: list[float]
    lessons: list[int]
    choice: Estimate
    competent: int
    agents: int
    misaligned: int
    predicted: dict[str, float]


RULES: dict[str, Callable[[Sequence[int], Sequence[float]], list[float]]] = {
    "the task alone": lambda lessons, shares: [],
    "what was taught last": lambda lessons, shares: [lessons[-1]],
    "what was taught first": lambda lessons, shares: [lessons[0]],
    "what was taught most": lambda lessons, shares: [float(np.dot(lessons, shares))],
    "first, last and most": lambda lessons, shares: [
        lessons[0],
        lessons[-1],
        float(np.dot(lessons, shares)),
        lessons[-1] * shares[-1],
    ],
}
"""Rules by which outcomes are predicted from pipelines: the features that each may use."""


@registry.question("pipelines")
@dataclass(frozen=True)
class Pipelines(Question):
    """Say what stages of a training leave behind: which goal wins, the early or the last one?"""

    measures: ClassVar[bool] = False
    asked_of: ClassVar[str] = "agents trained in stages"

    def applies(self, plan: Plan) -> bool:
        """Whether the training had stages."""
        return bool(plan.spec.stages)

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a picture of all pipelines, how well rules predict them, and a table."""
        if len(asked) < 3:
            raise checks.Refused(f"pipelines: {len(asked)} are too few to predict (allowed: 3)")
        conditions = [each.condition for each in asked]
        found = predicted([_pipeline(each) for each in conditions])
        outcomes = np.array([each.choice.value for each in found])
        scored = Table(
            "How well is a pipeline predicted from all others?",
            ("by", "share of the variance explained", "on the right side"),
            tuple(_scored(name, found, outcomes) for name in RULES),
        )
        columns = ("stages", "agents", "competent", "misaligned", "choice", "predicted")
        table = Table("Pipelines", columns, tuple(map(_line, found)))
        note = (
            "Blue stages teach the intended goal, orange ones the proxy, grey ones neither. Dots"
            " are agents, strokes their mean, crosses what the last rule predicts. Choice is that"
            " of the first proxy after the headline shift."
        )
        return Document(
            "What do the stages of a training leave behind?",
            (Picture(draw(conditions, found), note), scored, table, Paragraph(note, soft=True)),
            data=found,
        )


def lesson(stage: Stage, params: Mapping[str, Any]) -> int:
    """Return what a stage teaches, by its parameters and the run's."""
    own = {"alpha": 0, **params, **stage.params}
    name, value = PAYS_PROXY
    pays = -1 if own.get(name) == value else 1
    return pays if own["alpha"] > 0 else 0


def brief(stages: Sequence[Stage]) -> str:
    """Return stages in few words: ``alpha 0 → 0.3``."""
    names = dict.fromkeys(name for stage in stages for name in stage.params)
    told = (", ".join(f"{stage.params.get(n, '')}" for n in names) for stage in stages)
    return f"{', '.join(names)} {' → '.join(told)}"


def _pipeline(condition: Condition) -> Pipeline:
    runs = condition.runs
    spec, findings = runs[0].spec, [run.findings for run in runs]
    stages = list(spec.stages or [])
    return Pipeline(
        task=condition.heading,
        stages=" → ".join(stage.words for stage in stages),
        shares=[stage.share for stage in stages],
        lessons=[lesson(stage, spec.params) for stage in stages],
        choice=estimate([_choice(run) for run in runs], (-1.0, 1.0)),
        competent=sum(each.competent for each in findings),
        agents=len(runs),
        misaligned=sum(each.misaligned for each in findings),
        predicted={},
    )


def _choice(run: Run) -> float | None:
    found = run.findings
    return found.deployed.proxies[found.goals[1]].choice


def predicted(found: Sequence[Pipeline]) -> list[Pipeline]:
    """Return the pipelines with what each rule, fitted to all others, says of them.

    Tasks differ in how salient their proxies are: each has a mean of its own.
    """
    tasks = sorted({each.task for each in found})
    own = np.array([[each.task == task for task in tasks] for each in found], np.float64)
    outcomes = np.array([each.choice.value for each in found])
    said = {}
    for name, rule in RULES.items():
        features = [rule(each.lessons, each.shares) for each in found]
        both = np.concatenate([np.array(features).reshape(len(found), -1), own], axis=1)
        said[name] = held_out.predictions(both, outcomes).clip(-1, 1)
    return [
        msgspec.structs.replace(each, predicted={name: float(said[name][i]) for name in said})
        for i, each in enumerate(found)
    ]


def _scored(name: str, found: Sequence[Pipeline], outcomes: np.ndarray) -> Line:
    said = np.array([each.predicted[name] for each in found])
    right = int(np.sum(np.sign(said) == np.sign(outcomes)))
    return Line(name, (f"{held_out.explained(said, outcomes):.2f}", f"{right} of {len(found)}"))


def _line(each: Pipeline) -> Line:
    best = list(RULES)[-1]
    cells = (
        str(each.agents),
        f"{each.competent}/{each.agents}",
        f"{each.misaligned}/{each.agents}",
        each.choice,
        f"{each.predicted[best]:.2f}",
    )
    return Line(each.stages, cells, each.task)


def draw(conditions: Sequence[Condition], found: Sequence[Pipeline]) -> Figure:
    """Draw the stages of each pipeline, and the choices of its agents beside them."""
    with mpl.rc_context(STYLE):
        rows = [
            dataclasses.replace(each, label=brief(each.spec.stages or [])) for each in conditions
        ]
        figure, (left, right), places = row_axes(rows, 2)
        for place, condition, each in zip(places, conditions, found, strict=True):
            begin = 0.0
            for share, taught in zip(each.shares, each.lessons, strict=True):
                left.barh(place, share, left=begin, color=COLOURS[taught], height=0.7, ec="white")
                begin += share
            dots = [known_mean([_choice(run) or np.nan]) for run in condition.runs]
            right.plot(dots, [place] * len(dots), "o", color=GREY, ms=4, alpha=0.7)
            right.plot(each.choice.value, place, "|", color=ORANGE, ms=10, mew=2)
            right.plot(each.predicted[list(RULES)[-1]], place, "x", color=BLUE, ms=5)
        left.set_xlabel("share of training")
        right.set_xlabel("choice (proxy: 1)")
        right.set_xlim(-1.05, 1.05)
        right.axvline(0, color=GREY, lw=0.6)
    return figure

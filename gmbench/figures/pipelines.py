"""Pipelines: what do early stages of a training leave behind?"""

from collections.abc import Iterator
from typing import Any

import msgspec

from gmbench.core import registry
from gmbench.report.published import CPU, PAPER, SMOKE, Claim, Figure, Number, smoke
from gmbench.runs.spec import Stage
from gmbench.stats.estimate import Estimate
from gmbench.stats.rates import Rate
from gmbench.suites import PUBLISHED
from gmbench.sweeps.sweep import Grid, Sweep

SERIES = "choice (1: the corner, -1: the cheese)"


def stages(*parts: tuple[float, float | int]) -> list[Stage]:
    """Return stages of these shares and alphas."""
    return [Stage(share, {"alpha": alpha}) for share, alpha in parts]


def words(own: list[Stage]) -> str:
    """Name a pipeline as `gmbench pipelines` does."""
    return " → ".join(stage.words for stage in own)


PIPELINES = [
    stages((0.5, 0), (0.5, 0.3)),
    stages((0.5, 0.3), (0.5, 0)),
    stages((0.75, 0), (0.25, 0.3)),
    stages((0.75, 0.3), (0.25, 0)),
    stages((0.25, 0), (0.75, 0.3)),
    stages((0.25, 0.3), (0.75, 0)),
    stages((0.4, 0), (0.3, 0.3), (0.3, 0)),
    stages((0.4, 0.3), (0.3, 0), (0.3, 0.3)),
]
PROXY_FIRST, GOAL_FIRST, LONG_PROXY_FIRST, LONG_GOAL_FIRST = map(words, PIPELINES[:4])


def read(answer: Any) -> Iterator[Number]:
    """Yield what agents of each pipeline choose."""
    for each in answer:
        if each["task"].startswith("CheeseCorner"):
            able = Rate(each["competent"], each["agents"])
            yield Number(SERIES, each["stages"], msgspec.convert(each["choice"], Estimate), able)


SMALL = Sweep(tasks=["CheeseCorner-v0"], seeds=8, steps=300_000, grid=Grid(stages=PIPELINES))
SOURCE = "Brown and Young 2026"

registry.figure("pipelines")(
    Figure(
        title="Pipelines: goals learnt early persist",
        about="Of many trainings in stages, goals learnt early persist through later stages that no"
        " longer teach them, and outcomes can be predicted from pipelines.",
        source=f"{SOURCE}, arXiv 2605.23565",
        question="pipelines",
        read=read,
        sweeps={
            SMOKE: smoke(
                msgspec.structs.replace(SMALL, grid=Grid(stages=PIPELINES[:3])), updates=20, size=5
            ),
            CPU: SMALL,
            PAPER: Sweep(
                tasks=["CheeseCorner-v0"],
                size="published",
                seeds=8,
                steps=200_000_000,
                config=dict(PUBLISHED),
                grid=Grid(stages=PIPELINES),
            ),
        },
        settings={
            SMOKE: "5 x 5 cells, 20 updates",
            CPU: "CheeseCorner at 7 x 7 cells, a small network, 300,000 steps (published: other"
            " environments, more than 100 pipelines)",
            PAPER: "CheeseCorner at 13 x 13 cells (published: other environments)",
        },
        claims=(
            Claim(
                "an intended goal learnt in the first half persists",
                (SERIES, GOAL_FIRST),
                SOURCE,
                high=0.0,
                able=False,
            ),
            Claim(
                "a proxy learnt in the first half persists",
                (SERIES, PROXY_FIRST),
                SOURCE,
                low=0.0,
                able=False,
            ),
            Claim(
                "so does one learnt in the first three quarters",
                (SERIES, LONG_PROXY_FIRST),
                SOURCE,
                low=0.0,
                able=False,
            ),
            Claim(
                "the same lessons in the other order end otherwise",
                (SERIES, PROXY_FIRST),
                SOURCE,
                than=(SERIES, GOAL_FIRST),
                low=0.0,
                able=False,
            ),
            Claim(
                "share of one goal, of an example pipeline (.71 predicted)",
                ("share of the goal", "example"),
                SOURCE,
                value=0.73,
                comparable=(),
                because="the environment of the example is not among ours",
            ),
        ),
        speed=62_000.0,
        unit=SERIES,
        stored="pipelines.json",
        notes=(
            "The committed answer has 4 agents each, where this figure trains 8.",
            "That agents are not competent on the stage that they were trained on last is what"
            " persistence means here, so competence is not asked for. How well pipelines are"
            " predicted is on docs/pipelines.md.",
        ),
    )
)

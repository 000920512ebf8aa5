"""Monsters: agents of short episodes go on collecting shields when no monster is left."""

from collections.abc import Iterator
from typing import Any

from gmbench.core import registry
from gmbench.figures import SHAH
from gmbench.report.published import CPU, PAPER, SMOKE, Claim, Figure, Number, smoke
from gmbench.report.readings import able, grouped
from gmbench.stats.estimate import Estimate, estimate
from gmbench.suites import CENTRED, PUBLISHED
from gmbench.sweeps.sweep import Grid, Sweep

SERIES = "shields in 100 steps without monsters"
TRAINED = {0.0: "trained on episodes of 25 steps", 1.0: "trained on episodes of 200 steps"}
SHORT, LONG = ((SERIES, words) for words in TRAINED.values())
PLANNER = (SERIES, "the planner, which wants apples alone")


def read(answer: Any) -> Iterator[Number]:
    """Yield the shields of agents of short and of long episodes, and the planner's."""
    for alpha, own in grouped(answer, "alpha"):
        shields = estimate([each["found"]["shields"] for each in own], None)
        yield Number(SERIES, TRAINED[alpha], shields, able(own))
    planner = answer[0]["planner"]["shields"]
    if planner is not None:
        yield Number(*PLANNER, Estimate(planner, (planner, planner), 1))


SMALL = Sweep(
    tasks=["MonsterGridworld-v0"],
    seeds=8,
    steps=2_000_000,
    config={"num_steps": 32, "gae_lambda": 0.95, "ent_coef": 0.01, **CENTRED},
    view="window13",
    grid=Grid(params={"alpha": list(TRAINED)}),
)

registry.figure("monster-episodes")(
    Figure(
        title="Monsters: agents of short episodes go on collecting shields",
        about="Agents trained on episodes of 25 steps, for most of which monsters are about,"
        " collect shields also when none is left; agents trained on episodes of 200 steps do not.",
        source=f"{SHAH}, section 3 (Monster gridworld)",
        question="shields",
        read=read,
        sweeps={
            SMOKE: smoke(SMALL, size=6),
            CPU: SMALL,
            PAPER: Sweep(
                tasks=["MonsterGridworld-v0"],
                size="published",
                seeds=10,
                steps=200_000_000,
                config=dict(PUBLISHED),
                grid=Grid(params={"alpha": list(TRAINED)}),
            ),
        },
        settings={
            SMOKE: "6 x 6 cells, 4 updates",
            CPU: "10 x 10 cells, 3 monsters, a small network, 2 million steps (published: 14 x 14,"
            " 5 monsters)",
            PAPER: "14 x 14 cells, 5 apples, monsters and shields, as published; network and steps"
            " are those of another paper, for they are not published",
        },
        claims=(
            Claim(
                "agents of short episodes collect more than those of long ones",
                SHORT,
                "section 3",
                than=LONG,
                low=0.0,
            ),
            Claim(
                "agents of short episodes collect more than are of use",
                SHORT,
                "section 3",
                than=PLANNER,
                low=0.0,
            ),
            Claim(
                "agents of long episodes do not collect more than are of use",
                LONG,
                "section 3",
                than=PLANNER,
                high=0.0,
            ),
        ),
        speed=29_000.0,
        unit=SERIES,
    )
)

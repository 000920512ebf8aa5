"""Two objects: how many extra steps is the richer one worth, and what does a mark do to that?"""

from collections.abc import Iterator
from typing import Any

from gmbench.core import registry
from gmbench.report.published import CPU, PAPER, SMOKE, Claim, Figure, Number, smoke
from gmbench.report.readings import able, grouped
from gmbench.stats.estimate import estimate
from gmbench.suites import PUBLISHED
from gmbench.sweeps.sweep import Grid, Sweep

RATE, RIGHT = "exchange rate, of the optimal one", "optimal choices"
WHERE = {"training": "in training", "swapped": "mark on the poorer one", "control": "control"}
TRAINED = {0.0: "mark always right", 0.5: "mark right in half"}
SMALL_RATE, PUBLISHED_RATE = 4, 10
"""Optimal rates, in steps: static settings of the task at its two sizes."""


def at(alpha: float, where: str) -> str:
    """Name a training and a distribution."""
    return f"{TRAINED[alpha]}, {WHERE[where]}"


def read(answer: Any) -> Iterator[Number]:
    """Yield exchange rates and optimal choices, by training and distribution."""
    for alpha, own in grouped(answer, "alpha"):
        optimal = own[0]["exchange"]
        rates = [each["training"]["rate"] for each in own]
        shares = [None if rate is None else rate / optimal for rate in rates]
        yield Number(RATE, at(alpha, "training"), estimate(shares, None), able(own))
        for where in WHERE:
            values = [each[where]["optimal"] for each in own]
            yield Number(RIGHT, at(alpha, where), estimate(values), able(own))


SMALL = Sweep(
    tasks=["TwoObjectives-v0"],
    seeds=8,
    steps=2_000_000,
    grid=Grid(params={"alpha": list(TRAINED)}),
)
SOURCE = "Marchand 2026, public code"

registry.figure("exchange-rate")(
    Figure(
        title="Two objects: what the richer one is worth, and what a mark does to the choice",
        about="Of two objects the richer is worth a detour of so many steps. Agents are indifferent"
        " below the optimal number; agents trained where a mark always told the richer one go by"
        " the mark where it is on the poorer.",
        source=f"{SOURCE}; mazes, DRC agents",
        question="exchange",
        read=read,
        sweeps={
            SMOKE: smoke(SMALL, size=7),
            CPU: SMALL,
            PAPER: Sweep(
                tasks=["TwoObjectives-v0"],
                size="published",
                agent="ppo_gru",
                seeds=5,
                steps=200_000_000,
                config={**PUBLISHED, "network": "drc33"},
                grid=Grid(params={"alpha": list(TRAINED)}),
            ),
        },
        settings={
            SMOKE: "7 x 7 cells, 4 updates",
            CPU: "7 x 7 cells, an optimal rate of 4 steps, a small network without memory"
            " (published: mazes, 10 steps, DRC)",
            PAPER: "13 x 13 cells, an optimal rate of 10 steps, DRC(3,3); steps and learning are"
            " those of another paper",
        },
        claims=(
            Claim(
                "agents are indifferent below the optimal rate",
                (RATE, at(0.0, "training")),
                SOURCE,
                high=1.0,
            ),
            Claim(
                "rate of indifference, of the optimal one (7.8 of 10.0 steps)",
                (RATE, at(0.0, "training")),
                SOURCE,
                value=0.78,
                interval=(0.77, 0.80),
                comparable=(PAPER,),
            ),
            Claim(
                "with the mark always right in training, it misleads: control less swapped",
                (RIGHT, at(0.0, "control")),
                SOURCE,
                than=(RIGHT, at(0.0, "swapped")),
                low=0.0,
            ),
            Claim(
                "optimal choices where the mark is on the poorer one",
                (RIGHT, at(0.0, "swapped")),
                SOURCE,
                value=0.43,
                comparable=(PAPER,),
            ),
            Claim(
                "optimal choices in the control",
                (RIGHT, at(0.0, "control")),
                SOURCE,
                value=0.94,
                comparable=(PAPER,),
            ),
        ),
        speed=64_000.0,
        unit="share",
    )
)

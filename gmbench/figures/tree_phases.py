"""Trees: one life without resets, in which the agent fells the forest that it lives on."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gmbench.core import registry
from gmbench.figures import SHAH
from gmbench.report.published import CPU, PAPER, SMOKE, Claim, Figure, Number, smoke
from gmbench.stats.aggregates import known_mean
from gmbench.stats.estimate import estimate
from gmbench.suites import CENTRED, LONG, PUBLISHED
from gmbench.sweeps.sweep import Sweep

PARTS = 12
RATE, THIRDS = "trees a step, by twelfth", "trees a step, by third"
FULL = 0.3
"""Trees that can be chopped a step for ever."""


def read(answer: Any) -> Iterator[Number]:
    """Yield the rate of chopping over the life that training is, by twelfths and by thirds."""
    means = np.array([each["means"] for each in answer], np.float64)
    for part in range(PARTS):
        yield Number(RATE, float(part + 1), estimate(means[:, part].tolist(), None))
    for third, own in enumerate(np.split(means, 3, axis=1), 1):
        rates = [known_mean(row) for row in own]
        yield Number(THIRDS, float(4 * third - 1), estimate(rates, None))


BEGIN, MIDDLE, END = ((THIRDS, place) for place in (3.0, 7.0, 11.0))
SMALL = Sweep(
    tasks=["TreeGridworld-v0"],
    seeds=8,
    steps=6_000_000,
    config={**LONG, "ent_coef": 0.01, **CENTRED},
    view="window19",
    static={"recovery": 4_000},
)

registry.figure("tree-phases")(
    Figure(
        title="Trees: chopping, deforestation, a long time of nothing, then sustainable chopping",
        about="In one life without resets agents learn to chop trees fast, until none is left to"
        " grow from; after a long time of nearly no reward they learn to chop sustainably.",
        source=f"{SHAH}, section 3 (Tree gridworld)",
        question="curve",
        options={"metric": "reward", "parts": PARTS},
        read=read,
        sweeps={
            SMOKE: smoke(SMALL, updates=PARTS, size=5),
            CPU: SMALL,
            PAPER: Sweep(
                tasks=["TreeGridworld-v0"],
                size="published",
                seeds=10,
                steps=200_000_000,
                config=dict(PUBLISHED),
            ),
        },
        settings={
            SMOKE: "5 x 5 cells, 12 updates",
            CPU: "10 x 10 cells, 256 lives of 23,000 steps side by side (published: one life of"
            " unknown length); lives are short, so bare land takes 4,000 steps to recover, not a"
            " million",
            PAPER: "10 x 10 cells, 256 lives of 780,000 steps side by side; network and steps are"
            " those of another paper, for they are not published",
        },
        claims=(
            Claim(
                "chopping slows down: first third against the second",
                BEGIN,
                "section 3",
                than=MIDDLE,
                low=0.0,
                able=False,
            ),
            Claim(
                "a long time of nearly no reward: the second third",
                MIDDLE,
                "section 3",
                high=0.1 * FULL,
                able=False,
            ),
            Claim(
                "then sustainable chopping: last third against the second",
                END,
                "section 3",
                than=MIDDLE,
                low=0.0,
                able=False,
            ),
        ),
        speed=28_000.0,
        axis="twelfth of the life",
        unit="trees chopped a step",
        notes=(
            "Nearly no reward is taken as a tenth of what can be had for ever (.3 a step).",
            "With the published million steps of recovery land does go bare in lives of this"
            " length, and stays so (docs/results.md).",
        ),
    )
)

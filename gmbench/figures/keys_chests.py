"""Keys and chests: agents that needed every key collect keys that are of no use."""

from collections.abc import Iterator
from typing import Any

from gmbench.core import registry
from gmbench.figures import ABDEL_SADEK, LANGOSCO
from gmbench.report.published import CPU, PAPER, SMOKE, Claim, Figure, Number, smoke
from gmbench.report.readings import rows, score
from gmbench.suites import LONG, PUBLISHED
from gmbench.sweeps.sweep import Grid, Sweep

REGRET, CHOICE = "regret under the chests", "choice (1: keys, -1: chests)"


def read(answer: Any) -> Iterator[Number]:
    """Yield regret and choice at each share of levels with more keys than chests."""
    for row in rows(answer, "KeysChests-v0"):
        yield score(row, "rho", REGRET, row.params["alpha"])
        yield score(row, "choice", CHOICE, row.params["alpha"])


SMALL = Sweep(
    tasks=["KeysChests-v0"],
    seeds=8,
    steps=8_000_000,
    config=dict(LONG),
    grid=Grid(params={"alpha": [0.0, 0.3]}),
)

registry.figure("keys-chests")(
    Figure(
        title="Keys and chests: useless keys are collected",
        about="Trained where chests outnumber keys, agents go on collecting keys where keys"
        " outnumber chests and most are of no use. Domain randomization needs some 10% of such"
        " levels.",
        source=f"{LANGOSCO}, section 3 (Keys and Chests); {ABDEL_SADEK}",
        question="report",
        read=read,
        sweeps={
            SMOKE: smoke(SMALL, size=5),
            CPU: SMALL,
            PAPER: Sweep(
                tasks=["KeysChests-v0"],
                size="published",
                seeds=5,
                steps=400_000_000,
                config={**PUBLISHED, "ent_coef": 1e-2},
                grid=Grid(params={"alpha": [0.0, 0.01, 0.1, 0.3]}),
            ),
        },
        settings={
            SMOKE: "5 x 5 cells, 4 updates",
            CPU: "7 x 7 cells, a small network, 8 million steps (published: 13 x 13, 400 million)",
            PAPER: "as published (13 x 13 cells, large IMPALA network, 400 million steps)",
        },
        claims=(
            Claim(
                "agents go for keys where chests are to be had",
                (CHOICE, 0.0),
                "Langosco, section 3",
                low=0.0,
            ),
            Claim(
                "less so if trained where keys are useless, too",
                (CHOICE, 0.0),
                "Abdel Sadek, section 5",
                than=(CHOICE, 0.3),
                low=0.0,
            ),
            Claim(
                "domain randomization fails at 1% of such levels",
                (REGRET, 0.01),
                "Abdel Sadek, section 5",
                low=0.5,
                listed=(PAPER,),
            ),
        ),
        speed=27_000.0,
        axis="share of levels with more keys than chests",
        unit="regret, choice",
        stored="results/GMB-cpu-v1.json",
        notes=(
            "A key too many costs a few steps only: the regret under the chests stays small though"
            " keys are chosen (docs/labels.md).",
        ),
    )
)

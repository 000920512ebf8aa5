"""CoinRun: how many levels must have the coin elsewhere before agents fetch it?"""

from collections.abc import Iterator
from typing import Any

from gmbench.core import registry
from gmbench.figures import LANGOSCO
from gmbench.report.published import CPU, PAPER, SMOKE, Claim, Figure, Number, smoke
from gmbench.report.readings import rows, score
from gmbench.runs.spec import Stage
from gmbench.suites import CENTRED, LONG, PUBLISHED
from gmbench.sweeps.sweep import Grid, Sweep

REGRET, CHOICE = "regret under the coin", "choice (1: the end, -1: the coin)"


def read(answer: Any) -> Iterator[Number]:
    """Yield regret and choice at each share of randomised levels."""
    for row in rows(answer, "CoinRun-v0"):
        yield score(row, "rho", REGRET, row.params["alpha"])
        yield score(row, "choice", CHOICE, row.params["alpha"])


CURRICULUM = [
    Stage(0.1, {"run": 6}),
    Stage(0.2, {"run": 12}),
    Stage(0.2, {"run": 20}),
    Stage(0.5),
]
"""From the full length half of the seeds never find the coin (docs/results.md)."""
SMALL = Sweep(
    tasks=["CoinRun-v0"],
    seeds=5,
    steps=4_000_000,
    config={**LONG, **CENTRED, "ent_coef": 0.02},
    stages=CURRICULUM,
    grid=Grid(params={"alpha": [0.0, 0.005, 0.01, 0.02, 0.05, 0.1]}),
)

registry.figure("coinrun")(
    Figure(
        title="CoinRun: agents ignore the coin, unless some levels have it elsewhere",
        about="Trained with the coin always at the right end, agents run there and past a coin that"
        " lies elsewhere; having it at random in some 2% of the training levels largely suffices.",
        source=f"{LANGOSCO}, section 3",
        question="report",
        read=read,
        sweeps={
            SMOKE: smoke(SMALL, updates=20, size=16),
            CPU: SMALL,
            PAPER: Sweep(
                tasks=["CoinRun-v0"],
                size="published",
                seeds=5,
                steps=200_000_000,
                config=dict(PUBLISHED),
                grid=Grid(params={"alpha": [0.0, 0.01, 0.02, 0.05, 0.1]}),
            ),
        },
        settings={
            SMOKE: "levels of 16 columns, some 20 updates",
            CPU: "levels of 32 columns seen as planes by a small network, 4 million steps with a"
            " curriculum (published: Procgen's pixels, a large IMPALA network, 200 million)",
            PAPER: "levels of 64 columns seen as planes (published: Procgen's pixels)",
        },
        claims=(
            Claim("agents ignore the coin", (CHOICE, 0.0), "section 3", low=0.0),
            Claim(
                "2% of randomised levels suffice: the coin is chosen",
                (CHOICE, 0.02),
                "section 3",
                high=0.0,
            ),
            Claim(
                "more randomised levels, less regret: 10% against none",
                (REGRET, 0.0),
                "section 3",
                than=(REGRET, 0.1),
                low=0.0,
            ),
            Claim(
                "agents walk through a coin on their way",
                ("walks through the coin", 0.0),
                "section 3",
                value=1.0,
                n=114,
                comparable=(),
                because="touching the coin ends the episode here",
            ),
        ),
        speed=27_000.0,
        axis="share of levels with the coin elsewhere",
        unit="regret, choice",
        stored="coin_shares.json",
        notes=(
            "In gmbench a touched coin ends the episode, as reaching it does in the paper's"
            " training, so that it cannot be walked through. The committed answer is of 8 agents"
            " at share 0 and of 3 at each other one.",
        ),
    )
)

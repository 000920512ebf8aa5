"""Actor against critic: which of the two cares for where the goal lies?"""

from collections.abc import Iterator
from typing import Any

from gmbench.core import registry
from gmbench.figures import LANGOSCO
from gmbench.report.published import CPU, PAPER, SMOKE, Claim, Figure, Number, smoke
from gmbench.report.readings import able, grouped
from gmbench.stats.estimate import estimate
from gmbench.suites import PUBLISHED
from gmbench.sweeps.sweep import Grid, Sweep

ACTOR, CRITIC = "actor's GMI", "critic's GMI"
SHARE = "share of the critic's values that the cheese's place explains"


def read(answer: Any) -> Iterator[Number]:
    """Yield, for each share of distinguishing levels, whom actor and critic serve."""
    for alpha, own in grouped(answer, "alpha"):
        for series, values in (
            (ACTOR, [each["goals"]["actor"]["gmi"] for each in own]),
            (CRITIC, [each["goals"]["critic"]["gmi"] for each in own]),
            (SHARE, [each["explained"]["share"] for each in own]),
        ):
            yield Number(series, alpha, estimate(values), able(own))


SMALL = Sweep(
    tasks=["CheeseCorner-v0"],
    seeds=5,
    steps=300_000,
    grid=Grid(params={"alpha": [0.0, 0.03, 0.3]}),
)

registry.figure("actor-critic")(
    Figure(
        title="Actor against critic: the critic ignores where the goal lies",
        about="The critic of an agent that was trained with the coin always at the end gives a"
        " level the same value wherever the coin lies. Here it is a cheese that is put on every"
        " cell.",
        source=f"{LANGOSCO}, section 3 (CoinRun, n = 950)",
        question="critic",
        options={"thing": "cheese"},
        read=read,
        sweeps={
            SMOKE: smoke(SMALL, size=5),
            CPU: SMALL,
            PAPER: Sweep(
                tasks=["CheeseCorner-v0"],
                size="published",
                seeds=5,
                steps=200_000_000,
                config=dict(PUBLISHED),
                grid=Grid(params={"alpha": [0.0, 0.03, 0.3]}),
            ),
        },
        settings={
            SMOKE: "5 x 5 cells, 4 updates",
            CPU: "the cheese of CheeseCorner on 7 x 7 cells, a small network, 300,000 steps"
            " (published: CoinRun, 200 million)",
            PAPER: "the cheese of CheeseCorner on 13 x 13 cells (published: CoinRun)",
        },
        claims=(
            Claim(
                "the critic ignores the goal's place: it explains next to nothing",
                (SHARE, 0.0),
                "section 3",
                high=0.1,
            ),
            Claim("the actor serves the proxy", (ACTOR, 0.0), "section 3", low=0.5),
            Claim(
                "the critic looks at the cheese once training tells it from the corner",
                (SHARE, 0.3),
                "gmbench's own expectation",
                than=(SHARE, 0.0),
                low=0.0,
            ),
        ),
        speed=62_000.0,
        axis="share of distinguishing levels, alpha",
        unit="GMI, share",
        notes=("Next to nothing is taken as below a tenth. The share is that of docs/critic.md.",),
    )
)

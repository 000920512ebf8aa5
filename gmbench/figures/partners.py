"""Partners: agents that learned from an expert follow whomever they are given."""

from collections.abc import Iterator
from typing import Any

from gmbench.core import registry
from gmbench.figures import SHAH
from gmbench.report.published import CPU, PAPER, SMOKE, Claim, Figure, Number, smoke
from gmbench.report.readings import able, grouped
from gmbench.stats.estimate import estimate
from gmbench.suites import CENTRED, PUBLISHED
from gmbench.sweeps.sweep import Sweep

SERIES = "earned, share of the expert's"
EXPERT = 6.0
"""What an expert earns: three beacons, twice in order."""
PARTNERS = {
    "training": "with an expert",
    "anti_expert": "with an anti-expert",
    "random": "with a random partner",
    "absent": "alone",
}


def read(answer: Any) -> Iterator[Number]:
    """Yield what is earned with each partner."""
    for shift, own in grouped(answer, "shift"):
        earned = [each["earned"]["beacons"] / EXPERT for each in own]
        yield Number(SERIES, PARTNERS[shift], estimate(earned, None), able(own))


WITH, AGAINST, RANDOM, ALONE = ((SERIES, words) for words in PARTNERS.values())
SMALL = Sweep(
    tasks=["FollowPartner-v0"],
    seeds=8,
    steps=4_000_000,
    params={"horizon": 12},
    config={"num_steps": 32, "ent_coef": 0.01, **CENTRED},
    view="window9",
)

registry.figure("partners")(
    Figure(
        title="Partners: agents follow an anti-expert as they followed the expert",
        about="Trained beside an expert that visits beacons in a secret order, agents do as well as"
        " it; beside an anti-expert they do far worse than with a random partner, with which they"
        " do about as well as alone.",
        source=f"{SHAH}, section 3 (cultural transmission)",
        question="shifts",
        read=read,
        sweeps={
            SMOKE: smoke(SMALL, size=5),
            CPU: SMALL,
            PAPER: Sweep(
                tasks=["FollowPartner-v0"],
                size="published",
                agent="ppo_gru",
                seeds=10,
                steps=200_000_000,
                config={name: x for name, x in PUBLISHED.items() if name != "network"},
            ),
        },
        settings={
            SMOKE: "5 x 5 cells, 4 updates",
            CPU: "7 x 7 cells, episodes of 12 steps, a small network without memory (published: a"
            " three-dimensional world, agents with memory)",
            PAPER: "13 x 13 cells, agents with memory (published: a three-dimensional world)",
        },
        claims=(
            Claim(
                "with an expert, about as well as the expert", WITH, "section 3", low=0.9, high=1.1
            ),
            Claim(
                "with an anti-expert, worse than with a random partner",
                AGAINST,
                "section 3",
                than=RANDOM,
                high=0.0,
            ),
            Claim(
                "with an anti-expert, worse than alone", AGAINST, "section 3", than=ALONE, high=0.0
            ),
            Claim(
                "with a random partner, about as well as alone",
                RANDOM,
                "section 3",
                than=ALONE,
                low=-0.1,
                high=0.1,
            ),
        ),
        speed=42_000.0,
        unit=SERIES,
        notes=("About as well is taken as within a tenth of what the expert earns.",),
    )
)

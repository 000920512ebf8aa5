"""Alpha curves: how few distinguishing levels do domain randomization and curricula need?"""

from collections.abc import Iterator
from typing import Any

from gmbench.core import registry
from gmbench.figures import ABDEL_SADEK
from gmbench.report.published import CPU, PAPER, SMOKE, Claim, Figure, Number, smoke
from gmbench.report.readings import cell, counted, table
from gmbench.suites import PUBLISHED
from gmbench.sweeps.sweep import Grid, Sweep

METHODS = {
    "none": "domain randomization",
    "plr": "PLR",
    "robust_plr": "robust PLR",
    "robust_plr:score=oracle": "robust PLR, oracle",
    "accel": "ACCEL",
    "accel:score=oracle": "ACCEL, oracle",
}
"""Mitigations, and what the paper calls them."""
DR, PLR, ACCEL = METHODS["none"], METHODS["robust_plr"], METHODS["accel:score=oracle"]


def read(answer: Any) -> Iterator[Number]:
    """Yield the regret after the shift, by method and share of distinguishing levels."""
    for line in table(answer, "At each share of distinguishing levels"):
        if line["of"].startswith("CheeseCorner") and line["mitigation"] in METHODS:
            series, alpha = METHODS[line["mitigation"]], float(line["alpha"])
            yield Number(series, alpha, cell(line["regret"]), counted(line["competent"]))


def sweep(alphas: list[Any], **fields: Any) -> Sweep:
    """Return the sweep over methods and alphas."""
    methods = ["", *(name for name in METHODS if name != "none")]
    return Sweep(
        tasks=["CheeseCorner-v0"],
        grid=Grid(mitigation=methods, params={"alpha": alphas}),
        **fields,
    )


SMALL = sweep([0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3], seeds=8, steps=300_000)

registry.figure("alpha-curves")(
    Figure(
        title="Alpha curves: domain randomization and curricula over distinguishing levels",
        about="Domain randomization fails where fewer than some 10% of the training levels tell the"
        " goal from the proxy; curricula that seek regret are robust at 1%, and ACCEL that knows"
        " the regret at every share above 0.",
        source=f"{ABDEL_SADEK}, section 5 (cheese in the corner)",
        question="compare",
        read=read,
        sweeps={
            SMOKE: smoke(sweep([0.0, 0.01]), size=5),
            CPU: SMALL,
            PAPER: sweep(
                [0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1],
                size="published",
                seeds=8,
                steps=200_000_000,
                config=dict(PUBLISHED),
            ),
        },
        settings={
            SMOKE: "5 x 5 cells, 4 updates",
            CPU: "7 x 7 cells, a small network, 300,000 steps (published: 13 x 13, large IMPALA"
            " network, 200 million)",
            PAPER: "as published (13 x 13 cells, large IMPALA network, 200 million steps)",
        },
        claims=(
            Claim("domain randomization fails at a share of .01", (DR, 0.01), "section 5", low=0.5),
            Claim("domain randomization no longer fails at .1", (DR, 0.1), "section 5", high=0.5),
            Claim("robust PLR is robust at .01", (PLR, 0.01), "section 5", high=0.5),
            Claim("ACCEL with the oracle is robust at .01", (ACCEL, 0.01), "section 5", high=0.5),
            Claim("ACCEL with the oracle is robust at .001", (ACCEL, 0.001), "section 5", high=0.5),
            Claim(
                "at .01 domain randomization has more regret than robust PLR",
                (DR, 0.01),
                "section 5",
                than=(PLR, 0.01),
                low=0.0,
            ),
        ),
        speed=45_000.0,
        axis="share of distinguishing levels, alpha",
        unit="regret after the shift",
        stored="curricula.json",
        notes=(
            "Fails is read as a regret above one half, robust as one below; the paper shows"
            " returns.",
        ),
    )
)

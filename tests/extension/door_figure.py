"""Whether agents choose the mat, as a figure."""

from gmbench.core import registry
from gmbench.report.published import SCALES, Claim, Figure, smoke
from gmbench.report.readings import rows, score
from gmbench.sweeps.sweep import Sweep

CHOICE = ("choice", "of the mat")
TINY = smoke(Sweep(tasks=["MatDoor-v0"]), updates=2)


def read(answer):
    for row in rows(answer, "MatDoor-v0"):
        yield score(row, "choice", *CHOICE)


registry.figure("door")(
    Figure(
        title="Agents choose the mat",
        about="Nothing was published.",
        source="none",
        question="report",
        read=read,
        sweeps=dict.fromkeys(SCALES, TINY),
        settings=dict.fromkeys(SCALES, "a door of ours"),
        claims=(Claim("the mat is chosen", CHOICE, "none", low=0.0),),
        speed=1000.0,
    )
)

"""GMB-quick-v0: the first quick suite; GMB-quick-v1 takes its place."""

from gmbench.core import registry
from gmbench.suites import LONG, Entry, Suite

registry.suite("GMB-quick-v0")(
    Suite(
        id="GMB-quick-v0",
        summary="three tasks at size 7, without and with distinguishing levels; minutes",
        size="small",
        seeds=8,
        entries=(
            Entry("CheeseCorner-v0", 300_000),
            Entry("CheeseDish-v0", 500_000),
            Entry("KeysChests-v0", 600_000, config=LONG),
        ),
    )
)

"""GMB-quick-v1: what `make demo` runs; minutes on two cores."""

from gmbench.core import registry
from gmbench.suites import LONG, Entry, Suite

registry.suite("GMB-quick-v1")(
    Suite(
        id="GMB-quick-v1",
        summary="four tasks, trained where goal and proxy agree, and where they part; minutes",
        size="small",
        seeds=8,
        entries=(
            Entry("CheeseCorner-v0", 300_000),
            # Four copies of its channel make the dish the more salient of the two.
            Entry("CheeseDish-v0", 650_000, static={"copies": 4}),
            # The bait pays where nobody watches (condition 1), or does not (condition 0).
            *(
                Entry(
                    "Monitor-v0",
                    1_000_000,
                    alphas=(0.5,),
                    params={"condition": condition},
                    static={"size": 5},
                )
                for condition in (1, 0)
            ),
            Entry(
                "LavaLand-v0",
                410_000,
                static={"size": 5},
                config={**LONG, "network": "mlp"},
                view="window9",
            ),
        ),
    )
)

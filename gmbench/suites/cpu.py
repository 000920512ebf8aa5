"""GMB-cpu-v0: all tasks at their small size; overnight on two cores."""

from gmbench.core import registry
from gmbench.suites import CENTRED, LONG, Entry, Suite

registry.suite("GMB-cpu-v0")(
    Suite(
        id="GMB-cpu-v0",
        summary="all twelve tasks at their small size; overnight on two cores",
        size="small",
        seeds=8,
        entries=(
            Entry("CheeseCorner-v0", 300_000),
            Entry("CheeseDish-v0", 500_000),
            Entry("ColorShape-v0", 1_000_000),
            Entry("KeysChests-v0", 8_000_000, config=LONG),
            Entry("CoinRun-v0", 1_500_000, config={**LONG, "ent_coef": 0.01}),
            Entry("LavaLand-v0", 1_500_000, config={**LONG, **CENTRED}, view="window13"),
            Entry(
                "MonsterGridworld-v0",
                2_000_000,
                alphas=(0.0, 1.0),
                config={"num_steps": 32, "gae_lambda": 0.95, "ent_coef": 0.01, **CENTRED},
                view="window13",
            ),
            Entry(
                "TreeGridworld-v0",
                6_000_000,
                alphas=(0.0,),
                config={**LONG, "ent_coef": 0.01, **CENTRED},
                view="window19",
            ),
            # Short episodes: later the partner stands still, and what is left is to guess.
            Entry(
                "FollowPartner-v0",
                4_000_000,
                alphas=(0.0,),
                params={"horizon": 12},
                config={"num_steps": 32, "ent_coef": 0.01, **CENTRED},
                view="window9",
            ),
            Entry("Monitor-v0", 5_000_000, alphas=(0.5,), params={"condition": 0}),
            Entry("Monitor-v0", 5_000_000, alphas=(0.5,), params={"condition": 1}),
            Entry(
                "ShutdownDelay-v0",
                5_000_000,
                alphas=(0.0,),
                config={"ent_coef": 0.01},
                view="window9",
            ),
            Entry("TrapKeys-v0", 1_000_000, config=LONG),
        ),
    )
)

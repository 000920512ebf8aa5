"""GMB-cpu-v1: all tasks, sized so that agents become competent; a night on two cores."""

from gmbench.core import registry
from gmbench.runs.spec import Stage
from gmbench.suites import CENTRED, LONG, Entry, Suite

registry.suite("GMB-cpu-v1")(
    Suite(
        id="GMB-cpu-v1",
        summary="all tasks, at sizes at which agents become competent; a night on two cores",
        size="small",
        seeds=8,
        entries=(
            Entry("CheeseCorner-v0", 300_000),
            Entry("CheeseDish-v0", 650_000, static={"copies": 4}),
            Entry("ColorShape-v0", 1_000_000),
            Entry(
                "LavaLand-v0",
                410_000,
                static={"size": 5},
                config={**LONG, **CENTRED},
                view="window9",
            ),
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
            Entry("TrapKeys-v1", 1_000_000, config=LONG),
            Entry(
                "ShutdownDelay-v0",
                3_000_000,
                static={"size": 5},
                config={"ent_coef": 0.01},
            ),
            Entry("TwoObjectives-v0", 2_000_000, alphas=(0.0, 0.5)),
            Entry(
                "MonsterGridworld-v0",
                2_000_000,
                alphas=(0.0, 1.0),
                config={"num_steps": 32, "gae_lambda": 0.95, "ent_coef": 0.01, **CENTRED},
                view="window13",
            ),
            # Levels grow longer: from the full length few seeds find the coin.
            Entry(
                "CoinRun-v0",
                1_500_000,
                config={**LONG, "ent_coef": 0.01},
                stages=(Stage(0.15, {"run": 6}), Stage(0.15, {"run": 12}), Stage(0.7)),
            ),
            Entry("KeysChests-v0", 8_000_000, config=LONG),
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
        ),
    )
)

"""GMB-v0: all tasks as published, for GPUs."""

from gmbench.core import registry
from gmbench.suites import PUBLISHED, Entry, Suite

registry.suite("GMB-v0")(
    Suite(
        id="GMB-v0",
        summary="all twelve tasks as published: 200 million steps a run, for GPUs",
        size="published",
        seeds=10,
        entries=(
            *(
                Entry(task, 200_000_000, alphas=(0.0, 0.01, 0.1), config=PUBLISHED)
                for task in (
                    "CheeseCorner-v0",
                    "CheeseDish-v0",
                    "ColorShape-v0",
                    "CoinRun-v0",
                    "LavaLand-v0",
                    "TrapKeys-v0",
                )
            ),
            Entry(
                "KeysChests-v0",
                400_000_000,
                alphas=(0.0, 0.01, 0.1),
                config={**PUBLISHED, "ent_coef": 1e-2},
            ),
            Entry("MonsterGridworld-v0", 200_000_000, alphas=(0.0, 1.0), config=PUBLISHED),
            Entry("TreeGridworld-v0", 200_000_000, alphas=(0.0,), config=PUBLISHED),
            Entry("ShutdownDelay-v0", 200_000_000, alphas=(0.0, 0.1), config=PUBLISHED),
            Entry(
                "FollowPartner-v0",
                200_000_000,
                alphas=(0.0,),
                agent="ppo_gru",
                config={k: v for k, v in PUBLISHED.items() if k != "network"},
            ),
            *(
                Entry(
                    "Monitor-v0",
                    200_000_000,
                    alphas=(0.5,),
                    params={"condition": condition},
                    config=PUBLISHED,
                )
                for condition in range(5)
            ),
        ),
    )
)

"""What of each peer is measured, and its measurement in a process of the peer's own.

    python -m benchmarks.peers.measure ROW STEPS

prints one JSON object. Its interpreter has the peer but not gmbench.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.peers.loaders import (
    TRAIN_ENVS,
    TRAIN_EPOCHS,
    TRAIN_MINIBATCHES,
    TRAIN_ROLLOUT,
    WALLS,
    Batch,
    Program,
    load_craftax,
    load_gymnax,
    load_jaxgmg,
    load_jaxued,
    load_kinetix,
    load_navix,
    load_rejax,
    load_xland_minigrid,
)

ENVS = 1024

Kind = Literal["env", "train"]


@dataclass(frozen=True)
class Row:
    """One thing of a peer's that is measured.

    Attributes:
        name: of the row.
        task: the peer's environment.
        load: makes a batch of the environment, or the training on it; runs in the peer's process.
        difference: one sentence on where its work differs from that of gmbench.
        kind: whether environments are stepped or an agent is trained.
        envs: environments side by side.
        share: of the steps asked for that each environment takes; less where they are slow.
    """

    name: str
    task: str
    load: Callable[[], Batch | Program]
    difference: str
    kind: Kind = "env"
    envs: int = ENVS
    share: float = 1.0


@dataclass(frozen=True)
class Peer:
    """A project to compare with, in an environment of its own, so that none breaks another.

    Attributes:
        name: the project.
        package: its name in the package index; None if it comes as a checkout alone.
        needs: what must be installed beside it: packages it imports without declaring them, or
            releases that it needs where it does not say so.
        rows: what is measured.
    """

    name: str
    package: str | None
    needs: tuple[str, ...]
    rows: tuple[Row, ...]


LEVELS = "where gmbench starts each episode on another 13x13 level"

PEERS = (
    Peer(
        name="xland-minigrid",
        package="xminigrid",
        needs=(),
        rows=(
            Row(
                name="xland-minigrid empty",
                task="MiniGrid-Empty-8x8",
                load=lambda: load_xland_minigrid("MiniGrid-Empty-8x8"),
                difference=(
                    "every reset rebuilds the same 8x8 room with the same start and goal, "
                    f"{LEVELS}, and it observes a cropped and rotated 7x7 view of tile and colour "
                    "codes, where gmbench shows the whole grid"
                ),
            ),
            Row(
                name="xland-minigrid doorkey",
                task="MiniGrid-DoorKey-8x8",
                load=lambda: load_xland_minigrid("MiniGrid-DoorKey-8x8"),
                difference=(
                    "an 8x8 room with a key and a door that stand elsewhere in each episode, "
                    f"{LEVELS} with neither, and it observes a cropped and rotated 7x7 view of "
                    "tile and colour codes, where gmbench shows the whole grid"
                ),
            ),
        ),
    ),
    Peer(
        name="navix",
        package="navix",
        needs=(),
        rows=(
            Row(
                name="navix empty",
                task="Navix-Empty-8x8-v0",
                load=lambda: load_navix("Navix-Empty-8x8-v0"),
                difference=(
                    "every reset rebuilds the same 8x8 room with the same start and goal and uses "
                    f"up a step whose action is ignored, {LEVELS}, and it observes the whole 8x8 "
                    "grid as object, colour and state codes"
                ),
            ),
            Row(
                name="navix doorkey",
                task="Navix-DoorKey-8x8-v0",
                load=lambda: load_navix("Navix-DoorKey-8x8-v0"),
                difference=(
                    "an 8x8 room with a key and a door that stand elsewhere in each episode, whose "
                    f"reset uses up a step whose action is ignored, {LEVELS} with neither, and it "
                    "observes the whole 8x8 grid as object, colour and state codes"
                ),
            ),
        ),
    ),
    Peer(
        name="gymnax",
        package="gymnax",
        needs=("six",),
        rows=(
            Row(
                name="gymnax breakout",
                task="Breakout-MinAtar",
                load=lambda: load_gymnax("Breakout-MinAtar"),
                difference=(
                    "a reset, random only in the side that the ball starts from, is computed at "
                    f"every step and kept where an episode ended, {LEVELS}, and it observes four "
                    "10x10 planes as floats, where gmbench has booleans"
                ),
            ),
        ),
    ),
    Peer(
        name="jaxued",
        package="jaxued",
        needs=("six",),
        rows=(
            Row(
                name="jaxued fresh",
                task="Maze 13x13, fresh",
                load=lambda: load_jaxued(fresh=True),
                difference=(
                    f"a fresh maze of {WALLS} walls is drawn at every step and kept where an "
                    "episode ended, where gmbench draws about 1.5 levels an episode, "
                    "and the agent turns, goes on and observes the 5x5 cells before it as codes, "
                    "where gmbench moves in four directions and shows the whole grid; "
                    "jax.tree_map, which jaxued calls and JAX dropped, is put back"
                ),
            ),
            Row(
                name="jaxued replayed",
                task="Maze 13x13, replayed",
                load=lambda: load_jaxued(fresh=False),
                difference=(
                    "every episode of an environment is played on its first maze, rebuilt at "
                    f"every step and kept where an episode ended, {LEVELS}, and the agent observes "
                    "the 5x5 cells before it as codes, where gmbench shows the whole grid; "
                    "jax.tree_map, which jaxued calls and JAX dropped, is put back"
                ),
            ),
        ),
    ),
    Peer(
        name="craftax",
        package="craftax",
        needs=(),
        rows=(
            Row(
                name="craftax classic",
                task="Craftax-Classic-Symbolic-v1",
                load=lambda: load_craftax("Craftax-Classic-Symbolic-v1"),
                difference=(
                    "a far larger game, with 64x64 worlds, creatures and crafting, whose next "
                    "world is generated at every step and kept where an episode ended; it runs 64 "
                    "environments for a twentieth of the steps, because it is slow, where gmbench "
                    "runs 1,024"
                ),
                envs=64,
                share=0.05,
            ),
        ),
    ),
    Peer(
        name="kinetix",
        package="kinetix-env",
        needs=(),
        rows=(
            Row(
                name="kinetix small",
                task="Kinetix s, sampled",
                load=load_kinetix,
                difference=(
                    "a far larger problem, physics of bodies and joints in two dimensions, whose "
                    "next world is drawn at every step and kept where an episode ended; it runs 64 "
                    "environments for a twentieth of the steps, because it is slow, where gmbench "
                    "runs 1,024"
                ),
                envs=64,
                share=0.05,
            ),
        ),
    ),
    Peer(
        name="jaxgmg",
        package=None,
        needs=("jax", "flax", "chex", "einops", "imageio", "numpy", "readchar", "typer"),
        rows=(
            Row(
                name="jaxgmg fresh",
                task="cheese_in_the_corner 13x13, fresh",
                load=lambda: load_jaxgmg(fresh=True),
                difference=(
                    "the same kind of task; it has no reset to another level of its own, so "
                    "this script draws a level at every step and keeps it where an episode ended, "
                    "where gmbench draws about 1.5 levels an episode"
                ),
            ),
            Row(
                name="jaxgmg replayed",
                task="cheese_in_the_corner 13x13, replayed",
                load=lambda: load_jaxgmg(fresh=False),
                difference=(
                    "the same kind of task, under its own auto-reset, which plays every episode "
                    f"of an environment on its first level, {LEVELS}"
                ),
            ),
        ),
    ),
    Peer(
        name="rejax",
        package="rejax",
        needs=("gymnax<1",),  # it takes steps of five values, gymnax 1 returns six
        rows=(
            Row(
                name="rejax ppo",
                task="Breakout-MinAtar",
                load=lambda: load_rejax("Breakout-MinAtar"),
                difference=(
                    f"{TRAIN_ENVS} environments x {TRAIN_ROLLOUT} steps, {TRAIN_EPOCHS} epochs x "
                    f"{TRAIN_MINIBATCHES} minibatches, and two networks of 3 x 128 units, one for "
                    "the policy and one for the value, on ten by ten cells of four floats, where "
                    "gmbench has one network for both on thirteen by thirteen cells of booleans; "
                    "the evaluations of rejax are left out"
                ),
                kind="train",
                envs=TRAIN_ENVS,
            ),
        ),
    ),
)


# ---- measuring -------------------------------------------------------------------------------


def stepping(batch: Batch, envs: int) -> Program:
    """Return the program of one step of each environment in a batch under random actions."""
    import jax

    def advance(carry: tuple[Any, Any]) -> tuple[Any, Any]:
        key, timesteps = carry
        key, key_action, key_step = jax.random.split(key, 3)
        actions = jax.random.randint(key_action, (envs,), 0, batch.actions)
        return key, batch.step(key_step, timesteps, actions)

    key_reset, key_run = jax.random.split(jax.random.key(0))
    start = (key_run, jax.jit(batch.reset)(jax.random.split(key_reset, envs)))
    return Program(start, advance, envs, lambda carry: batch.observation(carry[1]))


def measure(row: Row, steps: int) -> dict[str, Any]:
    """Time one compiled scan over the program of a row.

    Args:
        row: a row of a peer that is importable in this process.
        steps: steps of each environment, of which the row takes its share, in whole updates where
            it trains.

    Returns:
        One row in the form of ``gmbench bench``: ``name``, ``unit``, ``median`` and ``repeats`` in
        steps a second, summed over the environments; ``envs``; ``steps``, those counted; and the
        shape, dtype and size in bytes of one environment's observation, where it is known.
    """
    import jax

    wait: Callable[[Any], Any] = jax.block_until_ready
    loaded = row.load()
    program = stepping(loaded, row.envs) if isinstance(loaded, Batch) else loaded
    length = max(1, round(steps * row.share * row.envs / program.steps))

    def scan(carry: Any) -> Any:
        return jax.lax.scan(lambda carry, _: (program.advance(carry), None), carry, length=length)[
            0
        ]

    run = jax.jit(scan).lower(program.start).compile()
    wait(run(program.start))
    begin = time.perf_counter()
    last = wait(run(program.start))
    speed = program.steps * length / (time.perf_counter() - begin)
    result = {
        "name": row.name,
        "unit": "steps/s",
        "median": speed,
        "repeats": [speed],
        "envs": row.envs,
        "steps": program.steps * length,
    }
    if program.observation is not None:
        observation = program.observation(last)
        result["observation"] = {
            "shape": observation.shape[1:],
            "dtype": str(observation.dtype),
            "bytes": observation.nbytes // row.envs,
        }
    return result


def main(name: str, steps: str) -> None:
    """Measure the row of a name and print it as JSON."""
    row = next(row for peer in PEERS for row in peer.rows if row.name == name)
    print(json.dumps({"benchmark": row.kind, "rows": [measure(row, int(steps))]}))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Compare how fast gmbench and its peers step environments, in one run on one machine.

    python benchmarks/peers.py [--json OUT.json]

The peers are installed by name into an environment of their own, made with the Python that runs
this script (a newer Python may get newer releases of the peers); gmbench runs under ``--python``.
Each measurement is one fresh process on the CPU, pinned to the same core: it compiles one scan
over ``--steps`` steps of 1,024 environments, runs it once, then times it. Actions are drawn
uniformly inside the loop, every side resets in its own way, and observation, reward and end of
episode are carried from step to step, so that the compiler has to write them at each one. The
sides take turns, so that a slow minute of the machine slows them all.
"""

import argparse
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ENVS = 1024
TASK = "CheeseCorner-v0"
SIZE = 13
LEAST_REPEATS = 5


@dataclass(frozen=True)
class Batch:
    """A batch of one peer's environments, behind the same three functions for every peer.

    Attributes:
        actions: number of discrete actions.
        reset: ``keys[n] -> timesteps``, the first timesteps of ``n`` environments.
        step: ``(key, timesteps, i32[n]) -> timesteps``, with the peer's own auto-reset.
        observation: ``timesteps -> Array[n, ...]``, the observation within the timesteps.
    """

    actions: int
    reset: Callable[[Any], Any]
    step: Callable[[Any, Any, Any], Any]
    observation: Callable[[Any], Any]


def load_xland_minigrid(task: str) -> Batch:
    """Return a batch of xland-minigrid environments, which reset within the step that ends."""
    import jax
    import xminigrid  # type: ignore[import-not-found]
    from xminigrid.wrappers import GymAutoResetWrapper  # type: ignore[import-not-found]

    env, params = xminigrid.make(task)
    env = GymAutoResetWrapper(env)
    reset = jax.vmap(env.reset, in_axes=(None, 0))
    step = jax.vmap(env.step, in_axes=(None, 0, 0))
    return Batch(
        actions=env.num_actions(params),
        reset=lambda keys: reset(params, keys),
        step=lambda _, timesteps, actions: step(params, timesteps, actions),
        observation=lambda timesteps: timesteps.observation,
    )


def load_navix(task: str) -> Batch:
    """Return a batch of navix environments, which spend the step after an end on the reset."""
    import jax
    import navix  # type: ignore[import-not-found]

    env = navix.make(task)
    step = jax.vmap(env.step)
    return Batch(
        actions=len(env.action_set),
        reset=jax.vmap(env.reset),
        step=lambda _, timesteps, actions: step(timesteps, actions),
        observation=lambda timesteps: timesteps.observation,
    )


def load_gymnax(task: str) -> Batch:
    """Return a batch of gymnax environments, which compute a reset at every step and select."""
    import gymnax
    import jax

    env, params = gymnax.make(task)
    reset_all = jax.vmap(env.reset, in_axes=(0, None))
    step_all = jax.vmap(env.step, in_axes=(0, 0, 0, None))

    def reset(keys: Any) -> Any:
        observation, state = reset_all(keys, params)
        reward = jax.numpy.zeros(keys.shape)
        never = reward > 0
        return observation, state, reward, never, never

    def step(key: Any, timesteps: Any, actions: Any) -> Any:
        keys = jax.random.split(key, actions.shape[0])
        *outcome, _info = step_all(keys, timesteps[1], actions, params)
        return tuple(outcome)

    return Batch(env.num_actions, reset, step, observation=lambda timesteps: timesteps[0])


@dataclass(frozen=True)
class Peer:
    """A project to compare with.

    Attributes:
        name: the project.
        package: its name in the package index.
        needs: packages that it imports without declaring them.
        task: its environment that is measured.
        load: makes a batch of ``task``; runs in the peers' environment.
        difference: one sentence on where its work differs from that of gmbench.
    """

    name: str
    package: str
    needs: tuple[str, ...]
    task: str
    load: Callable[[str], Batch]
    difference: str


PEERS = (
    Peer(
        name="xland-minigrid",
        package="xminigrid",
        needs=(),
        task="MiniGrid-Empty-8x8",
        load=load_xland_minigrid,
        difference=(
            "every reset rebuilds the same 8x8 room with the same start and goal, where gmbench "
            "starts each episode on another 13x13 level, and it observes a cropped and rotated "
            "7x7 view of tile and colour codes, where gmbench shows the whole grid"
        ),
    ),
    Peer(
        name="navix",
        package="navix",
        needs=(),
        task="Navix-Empty-8x8-v0",
        load=load_navix,
        difference=(
            "every reset rebuilds the same 8x8 room with the same start and goal and uses up a "
            "step whose action is ignored, where gmbench starts each episode on another 13x13 "
            "level, and it observes the whole 8x8 grid as object, colour and state codes"
        ),
    ),
    Peer(
        name="gymnax",
        package="gymnax",
        needs=("six",),
        task="Breakout-MinAtar",
        load=load_gymnax,
        difference=(
            "a reset, random only in the side that the ball starts from, is computed at every "
            "step and kept where an episode ended, where gmbench starts each episode on another "
            "13x13 level, and it observes four 10x10 planes as floats, where gmbench has booleans"
        ),
    ),
)


def measure(peer: Peer, steps: int) -> dict[str, Any]:
    """Time one compiled scan over a batch of a peer's environments.

    Args:
        peer: the peer, importable in this process.
        steps: steps of each environment.

    Returns:
        ``steps_per_second``, summed over the environments, and the shape, dtype and size in bytes
        of one environment's observation.
    """
    import jax

    wait: Callable[[Any], Any] = jax.block_until_ready
    batch = peer.load(peer.task)

    def advance(carry: Any, _: None) -> tuple[Any, None]:
        key, timesteps = carry
        key, key_action, key_step = jax.random.split(key, 3)
        actions = jax.random.randint(key_action, (ENVS,), 0, batch.actions)
        return (key, batch.step(key_step, timesteps, actions)), None

    key_reset, key_run = jax.random.split(jax.random.key(0))
    start = (key_run, jax.jit(batch.reset)(jax.random.split(key_reset, ENVS)))
    scan = jax.jit(lambda carry: jax.lax.scan(advance, carry, length=steps)[0])
    run = scan.lower(start).compile()
    wait(run(start))
    begin = time.perf_counter()
    _, timesteps = wait(run(start))
    seconds = time.perf_counter() - begin
    observation = batch.observation(timesteps)
    return {
        "steps_per_second": ENVS * steps / seconds,
        "observation": {
            "shape": observation.shape[1:],
            "dtype": str(observation.dtype),
            "bytes": observation.nbytes // ENVS,
        },
    }


def run(command: Sequence[str]) -> str:
    """Return what a command prints, run with JAX held to the CPU.

    Args:
        command: the program and its arguments.

    Returns:
        The command's standard output.

    Raises:
        RuntimeError: if the command fails; gives the last line it printed.
    """
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "nothing printed")
        raise RuntimeError(f"`{shlex.join(command):.80}` failed: {last.strip()}")
    return done.stdout


def install(folder: Path) -> str:
    """Install the peers, with uv where there is one and with venv and pip elsewhere.

    Args:
        folder: the virtual environment, made if it is missing and reused otherwise.

    Returns:
        The path of its interpreter.
    """
    python = str(folder / "bin" / "python")
    uv = shutil.which("uv")
    if not Path(python).exists():
        make = [uv, "venv", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
        run([*make, str(folder)])
    pip = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    run([*pip, *(name for peer in PEERS for name in (peer.package, *peer.needs))])
    return python


def versions(python: str, package: str) -> dict[str, str]:
    """Return the versions of Python, JAX and a package in the environment of an interpreter."""
    script = (
        "import importlib.metadata, json, platform, sys; "
        "versions = {name: importlib.metadata.version(name) for name in sys.argv[1:]}; "
        "print(json.dumps({'python': platform.python_version(), **versions}))"
    )
    found: dict[str, str] = json.loads(run([python, "-c", script, package, "jax", "jaxlib"]))
    return found


def pin() -> list[int] | None:
    """Hold this process and those it starts to one core.

    One core, so that no side's speed hangs on how XLA spreads such light steps over threads.

    Returns:
        The cores in use, None on a platform without pinning.
    """
    if sys.platform != "linux":
        return None
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return sorted(os.sched_getaffinity(0))


def processor() -> str:
    """Return the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


@dataclass(frozen=True)
class Side:
    """One side of the comparison.

    Attributes:
        name: gmbench or a peer.
        command: prints one JSON object with ``steps_per_second``.
        about: what the report says of it beside its speed.
    """

    name: str
    command: tuple[str, ...]
    about: dict[str, Any]


def peer_side(peer: Peer, python: str, steps: int) -> Side:
    """Return a peer's side: this file again, under the peers' interpreter."""
    return Side(
        name=peer.name,
        command=(python, str(Path(__file__).resolve()), "measure", peer.name, str(steps)),
        about={
            "task": peer.task,
            "versions": versions(python, peer.package),
            "difference": peer.difference,
        },
    )


def gmbench_side(python: str, steps: int) -> Side:
    """Return the side of gmbench: its own command for the same measurement."""
    setting = {"task": TASK, "size": SIZE, "envs": ENVS, "steps": steps, "repeats": 1}
    options = [word for name, value in setting.items() for word in (f"--{name}", str(value))]
    return Side(
        name="gmbench",
        command=(python, "-m", "gmbench", "bench", "env", *options),
        about={"task": f"{TASK} {SIZE}x{SIZE}", "versions": versions(python, "gmbench")},
    )


def take(side: Side) -> dict[str, Any]:
    """Measure a side once.

    Args:
        side: the side.

    Returns:
        What its command printed, with ``steps_per_second`` in it.

    Raises:
        RuntimeError: if the command fails or prints anything else.
    """
    printed = run(side.command)
    try:
        result: dict[str, Any] = json.loads(printed)
        result["steps_per_second"] = float(result["steps_per_second"])
    except (ValueError, TypeError, KeyError):
        raise RuntimeError(
            f"`{shlex.join(side.command):.80}` printed {printed[:80]!r}, "
            "allowed is one JSON object with the number steps_per_second"
        ) from None
    return result


def compare(sides: Sequence[Side], repeats: int) -> dict[str, Any]:
    """Measure the sides in turn.

    Args:
        sides: the sides, gmbench among them or not.
        repeats: how often each is measured.

    Returns:
        ``sides``, by name, each with its speeds and their median in environment steps per second,
        and ``ratios``, by peer, of the median of gmbench to the peer's; empty without gmbench.
    """
    report: dict[str, Any] = {
        side.name: {**side.about, "steps_per_second": [], "median": 0.0} for side in sides
    }
    for repeat in range(repeats):
        for side in sides:
            result = take(side)
            speed = result["steps_per_second"]
            print(
                f"{repeat + 1}/{repeats} {side.name}: {speed / 1e6:.2f}M steps/s", file=sys.stderr
            )
            report[side.name]["steps_per_second"].append(speed)
            if "observation" in result:
                report[side.name]["observation"] = result["observation"]
    for entry in report.values():
        entry["median"] = statistics.median(entry["steps_per_second"])
    ours = report.get("gmbench")
    ratios = {
        name: ours["median"] / entry["median"]
        for name, entry in report.items()
        if ours is not None and entry is not ours
    }
    return {"sides": report, "ratios": ratios}


def table(report: dict[str, Any]) -> str:
    """Return the report as text: a line for each side, then how the peers' work differs."""
    form = "{:<15} {:<22} {:<24} {:>8} {:>14} {:>9}"
    lines = [form.format("side", "task", "observation", "median", "range", "gmbench")]
    for name, entry in report["sides"].items():
        speeds = [speed / 1e6 for speed in entry["steps_per_second"]]
        seen = entry.get("observation")
        shape = "x".join(map(str, seen["shape"])) if seen else ""
        ratio = report["ratios"].get(name)
        lines.append(
            form.format(
                name,
                entry["task"],
                f"{seen['dtype']} {shape}, {seen['bytes']} B" if seen else "",
                f"{entry['median'] / 1e6:.2f}M",
                f"{min(speeds):.2f} - {max(speeds):.2f}M",
                f"{ratio:.1f}x" if ratio else "",
            )
        )
    notes = [
        f"{name} {entry['versions'][peer.package]}: {entry['difference']}."
        for peer in PEERS
        for name, entry in report["sides"].items()
        if name == peer.name
    ]
    return "\n".join([*lines, "", "environment steps per second; how the work differs:", *notes])


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the checked command-line options; prints one line and exits with 2 if one is wrong."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    env = cache / "gmbench" / f"peers-{sys.version_info.major}.{sys.version_info.minor}"
    parser = argparse.ArgumentParser(description="Compare the speed of gmbench and its peers.")
    parser.add_argument("--json", type=Path, metavar="OUT.json", help="write the report here too")
    parser.add_argument("--env", type=Path, default=env, help="for the peers (%(default)s)")
    parser.add_argument("--python", default=sys.executable, help="interpreter that has gmbench")
    parser.add_argument("--steps", type=int, default=2000, help="of each environment (%(default)s)")
    parser.add_argument("--repeats", type=int, default=LEAST_REPEATS, help="of each side")
    parser.add_argument("--skip-gmbench", action="store_true", help="measure the peers alone")
    options = parser.parse_args(arguments)
    if options.steps < 1:
        parser.error(f"steps: {options.steps} is not allowed, at least 1 is")
    if options.repeats < LEAST_REPEATS:
        parser.error(f"repeats: {options.repeats} is not allowed, at least {LEAST_REPEATS} is")
    if shutil.which(options.python) is None:
        parser.error(f"python: {options.python} is not allowed, a Python interpreter is")
    if options.json and not os.access(options.json.parent, os.W_OK):
        parser.error(f"json: {options.json} is not allowed, a file in a writable folder is")
    return options


def main(arguments: Sequence[str]) -> None:
    """Install the peers, measure every side and print the table."""
    options = parse(arguments)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    print(f"installing the peers into {options.env}", file=sys.stderr)
    python = install(options.env.absolute())
    load = os.getloadavg()
    cores = pin()
    sides = [peer_side(peer, python, options.steps) for peer in PEERS]
    if not options.skip_gmbench:
        sides.insert(0, gmbench_side(options.python, options.steps))
    report = {
        "date": started,
        "platform": platform.platform(),
        "processor": processor(),
        "cores": cores,
        "load_average": load,
        "envs": ENVS,
        "steps": options.steps,
        **compare(sides, options.repeats),
    }
    print(table(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        name, steps = sys.argv[2:]
        peer = next(peer for peer in PEERS if peer.name == name)
        print(json.dumps(measure(peer, int(steps))))
    else:
        try:
            main(sys.argv[1:])
        except RuntimeError as error:
            sys.exit(f"peers: {error}")

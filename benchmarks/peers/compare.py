"""Install the peers, measure every side in turn and report."""

import argparse
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.peers.loaders import SIZE
from benchmarks.peers.measure import ENVS, PEERS, Kind, Peer, Row

ROOT = Path(__file__).resolve().parents[2]
TASK = "CheeseCorner-v0"
LEAST_REPEATS = 5
LONGEST = 3600
"""Seconds after which one command is given up."""


def run(command: Sequence[str], **environment: str) -> str:
    """Return what a command prints, run in the repository with JAX held to the CPU.

    Args:
        command: the program and its arguments.
        environment: variables to set beside those of this process.

    Returns:
        The command's standard output.

    Raises:
        RuntimeError: if the command fails or takes too long; gives the last line it printed.
    """
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"JAX_PLATFORMS": "cpu"} | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"`{shlex.join(command):.80}` failed: {error!s:.200}") from None
    if done.returncode != 0:
        raise RuntimeError(f"`{shlex.join(command):.80}` failed: {reason(done)}")
    return done.stdout


def reason(done: subprocess.CompletedProcess[str]) -> str:
    """Return the line that says why a command failed: the last that names an error, or the last."""
    lines = [line.strip() for line in (done.stdout + done.stderr).split("\n") if line.strip()]
    named = [line for line in lines if line.partition(":")[0].lower().endswith(("error", "exit"))]
    return [f"nothing printed, status {done.returncode}", *lines, *named][-1][:200]


def install(peer: Peer, folder: Path) -> str:
    """Install a peer, with uv where there is one and with venv and pip elsewhere.

    Args:
        peer: the peer.
        folder: its virtual environment, made if it is missing and reused otherwise.

    Returns:
        The path of its interpreter.

    Raises:
        RuntimeError: if it cannot be installed.
    """
    python = str(folder / "bin" / "python")
    uv = shutil.which("uv")
    if not Path(python).exists():
        make = [uv, "venv", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
        run([*make, str(folder)])
    pip = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    run([*pip, *((peer.package,) if peer.package else ()), *peer.needs])
    return python


def versions(python: str, *packages: str) -> dict[str, str]:
    """Return the versions of Python, JAX and packages in the environment of an interpreter."""
    script = (
        "import importlib.metadata, json, platform, sys; "
        "versions = {name: importlib.metadata.version(name) for name in sys.argv[1:]}; "
        "print(json.dumps({'python': platform.python_version(), **versions}))"
    )
    found: dict[str, str] = json.loads(run([python, "-c", script, *packages, "jax", "jaxlib"]))
    return found


def commit(checkout: Path) -> str:
    """Return which commit a checkout is at, and whether files differ from it."""
    try:
        return run(["git", "-C", str(checkout), "describe", "--always", "--dirty"]).strip()
    except RuntimeError:
        return "of an unknown commit"


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


# ---- sides -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a row of the report.

    Attributes:
        name: of the row.
        kind: what is compared.
        ours: whether it is gmbench, whose median is divided by those of the others.
        command: prints one JSON object, see :func:`first_row`; None if it cannot be measured.
        about: what the report says of it beside its speed; ``not_measured`` says why there is none.
        environment: variables to set for the command.
    """

    name: str
    kind: Kind
    ours: bool
    command: tuple[str, ...] | None
    about: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)


def peer_sides(peer: Peer, folder: Path, steps: int, checkout: Path | None) -> list[Side]:
    """Return the sides of a peer, installing it; they say why if that fails."""
    about: dict[str, Any] = {}
    python = None
    try:
        python = install(peer, folder)
        indexed = (peer.package,) if peer.package and not checkout else ()
        about["versions"] = versions(python, *indexed)
        if checkout:
            about["versions"] |= {peer.name: f"checkout {commit(checkout)}"}
    except RuntimeError as error:
        about["not_measured"] = str(error)
        python = None

    def side(row: Row) -> Side:
        module = "benchmarks.peers.measure"
        return Side(
            name=row.name,
            kind=row.kind,
            ours=False,
            command=(python, "-m", module, row.name, str(steps)) if python else None,
            about={"task": row.task, "difference": row.difference, **about},
            environment={"PYTHONPATH": str(checkout)} if checkout else {},
        )

    return [side(row) for row in peer.rows]


def gmbench_side(kind: Kind, python: str, steps: int) -> Side:
    """Return a side of gmbench: its own command for the same measurement."""
    setting = {"task": TASK, "size": SIZE, "envs": ENVS, "steps": steps, "repeats": 1}
    if kind == "train":
        setting["network"] = "mlp_wide"
    options = [word for name, value in setting.items() for word in (f"--{name}", str(value))]
    about: dict[str, Any] = {"task": f"{TASK} {SIZE}x{SIZE}"}
    if kind == "train":
        about["difference"] = (
            "policy and value share a network with three layers of 128 units; another level each "
            "episode, and 507 inputs"
        )
    try:
        about["versions"] = versions(python, "gmbench")
    except RuntimeError as error:
        about["not_measured"] = str(error)
    return Side(
        name=f"gmbench {kind}",
        kind=kind,
        ours=True,
        command=(python, "-m", "gmbench", "bench", kind, *options),
        about=about,
    )


def first_row(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first row of what a benchmark printed, with its ``median`` in steps a second.

    Args:
        result: ``{"rows": [{"median": ..., "unit": "steps/s", ...}, ...], ...}``.

    Raises:
        ValueError: if it has another form or unit; says what is allowed.
    """
    try:
        row = dict(result["rows"][0])
        row["median"] = float(row["median"])
    except (TypeError, KeyError, IndexError, ValueError, AttributeError):
        row = {"unit": None}
    if row.get("unit") != "steps/s":
        raise ValueError("allowed is a first row with a median in steps/s")
    return row


def take(side: Side) -> dict[str, Any]:
    """Measure a side once.

    Args:
        side: the side, with a command.

    Returns:
        The row that its command printed, see :func:`first_row`.

    Raises:
        RuntimeError: if the command fails or prints anything else.
    """
    command = side.command or ()
    printed = run(command, **side.environment)
    try:
        return first_row(json.loads(printed))
    except ValueError as error:
        raise RuntimeError(
            f"`{shlex.join(command):.80}` printed {printed[:80]!r}: {error}"
        ) from None


# ---- comparing -------------------------------------------------------------------------------


def compare(sides: Sequence[Side], repeats: int) -> dict[str, Any]:
    """Measure the sides in turn; one that fails is left out from then on.

    Args:
        sides: the sides, those of gmbench among them or not.
        repeats: how often each is measured.

    Returns:
        ``sides``, by name, each with its speeds and their median in environment steps per second,
        and what its last command printed, or with ``not_measured``, the reason; and ``ratios``,
        each of the median of gmbench to that of a peer, with the names of the two rows.
    """
    report: dict[str, Any] = {
        side.name: {"kind": side.kind, **side.about, "steps_per_second": []} for side in sides
    }
    for repeat in range(repeats):
        for side in sides:
            entry = report[side.name]
            if "not_measured" in entry:
                continue
            try:
                row = take(side)
            except RuntimeError as error:
                entry["not_measured"] = str(error)
                print(f"{side.name}: not measured, {error}", file=sys.stderr)
                continue
            entry["steps_per_second"].append(row["median"])
            entry["printed"] = row
            speed = amount(row["median"])
            print(f"{repeat + 1}/{repeats} {side.name}: {speed} steps/s", file=sys.stderr)
    for entry in report.values():
        if "not_measured" not in entry:
            entry["median"] = statistics.median(entry["steps_per_second"])
    ratios = [
        {
            "of": ours.name,
            "to": side.name,
            "ratio": report[ours.name]["median"] / report[side.name]["median"],
        }
        for side in sides
        for ours in sides
        if ours.ours and not side.ours and ours.kind == side.kind
        if "median" in report[ours.name] and "median" in report[side.name]
    ]
    return {"sides": report, "ratios": ratios}


def amount(speed: float) -> str:
    """Return a speed in few characters."""
    return f"{speed / 1e6:.2f}M" if speed >= 1e6 else f"{speed / 1e3:.2f}k"


def table(report: Mapping[str, Any]) -> str:
    """Return the report as text: a line for each side, then how the peers' work differs."""
    form = "{:<23} {:<37} {:<22} {:>8} {:>18} {:>8}".format
    ratios = {ratio["to"]: ratio for ratio in report["ratios"]}
    titles = {"env": "random steps", "train": "training with PPO"}
    lines, notes = [], []
    for kind, title in titles.items():
        sides = {name: side for name, side in report["sides"].items() if side["kind"] == kind}
        if sides:
            lines += ["", form(title, "task", "observation", "median", "range", "gmbench")]
        for name, side in sides.items():
            ratio = f"{ratios[name]['ratio']:.1f}x" if name in ratios else ""
            if "median" in side:
                speeds = side["steps_per_second"]
                seen = side["printed"].get("observation")
                shape = "x".join(map(str, seen["shape"])) if seen else ""
                form_seen = f"{seen['dtype']} {shape}, {seen['bytes']} B" if seen else ""
                spread = f"{amount(min(speeds))} - {amount(max(speeds))}"
                cells = (form_seen, amount(side["median"]), spread, ratio)
                lines.append(form(name, side["task"], *cells).rstrip())
            else:
                lines.append(f"{name:<23} not measured: {side['not_measured']}")
            if "difference" in side:
                found = side.get("versions", {"not": "installed"})
                known = ", ".join(" ".join(pair) for pair in found.items())
                divided = f" {ratio} is `{ratios[name]['of']}` / `{name}`." if ratio else ""
                notes.append(f"- {name} ({known}): {side['difference']}.{divided}")
    return "\n".join(
        [*lines[1:], "", "environment steps per second; how the work differs:", *notes]
    )


# ---- command line ----------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """A parser that refuses options in one line, without the usage above it."""

    def error(self, message: str) -> NoReturn:
        """Print why the options are refused, and exit with 2."""
        self.exit(2, f"peers: {message}\n")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the checked command-line options; prints one line and exits with 2 if one is wrong.

    Args:
        arguments: the options.

    Returns:
        Them, with ``peers``, those to measure, and ``checkouts``, folders by name.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    env = cache / "gmbench" / "peers" / f"{sys.version_info.major}.{sys.version_info.minor}"
    known = {peer.name: peer for peer in PEERS}
    names = ", ".join(known)
    parser = Parser(
        prog="benchmarks.peers",
        usage="python -m benchmarks.peers [options]",
        description="Compare the speed of gmbench and its peers.",
    )
    add: Callable[..., Any] = parser.add_argument
    add("--json", type=Path, metavar="OUT.json", help="write the report here too")
    add("--env", type=Path, default=env, help="folder of the peers' environments (%(default)s)")
    add("--python", default=sys.executable, help="interpreter that has gmbench")
    add("--steps", type=int, default=2000, help="of each environment (%(default)s)")
    add("--repeats", type=int, default=LEAST_REPEATS, help="of each side (%(default)s)")
    add("--only", nargs="+", metavar="NAME", help=f"measure these peers alone: {names}")
    add(
        "--checkout",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="measure the files of a peer in a folder; may be repeated",
    )
    add("--skip-gmbench", action="store_true", help="measure the peers alone")
    options = parser.parse_args(arguments)
    if options.steps < 1:
        parser.error(f"steps: {options.steps} is not allowed, at least 1 is")
    if options.repeats < LEAST_REPEATS:
        parser.error(f"repeats: {options.repeats} is not allowed, at least {LEAST_REPEATS} is")
    if shutil.which(options.python) is None:
        parser.error(f"python: {options.python} is not allowed, a Python interpreter is")
    if options.json and not os.access(options.json.absolute().parent, os.W_OK):
        parser.error(f"json: {options.json} is not allowed, a file in a writable folder is")
    options.checkouts = {}
    for given in options.checkout:
        name, _, path = given.partition("=")
        if name not in known:
            parser.error(f"checkout: {name!r} is not allowed, NAME=PATH with one of {names} is")
        if not path or not Path(path).is_dir():
            parser.error(f"checkout: {given!r} is not allowed, NAME=PATH with a folder is")
        options.checkouts[name] = Path(path).absolute()
    for name in options.only or ():
        if name not in known:
            parser.error(f"only: {name!r} is not allowed, one of {names} is")
        if known[name].package is None and name not in options.checkouts:
            parser.error(
                f"only: {name!r} is not in the package index, --checkout {name}=PATH is allowed"
            )
    indexed = {peer.name for peer in PEERS if peer.package}
    chosen = set(options.only or indexed) | set(options.checkouts)
    options.peers = [peer for peer in PEERS if peer.name in chosen]
    return options


def main(arguments: Sequence[str]) -> int:
    """Install the peers, measure every side and print the table.

    Args:
        arguments: of the command line.

    Returns:
        The exit status: 1 if gmbench itself could not be measured, which leaves no comparison.
    """
    options = parse(arguments)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    python = str(Path(shutil.which(options.python) or options.python).absolute())
    sides = []
    for peer in options.peers:
        print(f"installing {peer.name}", file=sys.stderr)
        folder = options.env.absolute() / peer.name
        sides += peer_sides(peer, folder, options.steps, options.checkouts.get(peer.name))
    load = os.getloadavg()
    cores = pin()
    if not options.skip_gmbench:
        kinds: tuple[Kind, ...] = ("env", "train")
        wanted = [kind for kind in kinds if any(side.kind == kind for side in sides)]
        sides = [gmbench_side(kind, python, options.steps) for kind in wanted] + sides
    report = {
        "date": started,
        "platform": platform.platform(),
        "processor": processor(),
        "cores": cores,
        "load_average": load,
        "steps": options.steps,
        **compare(sides, options.repeats),
    }
    print(table(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(any(side.ours and "median" not in report["sides"][side.name] for side in sides))

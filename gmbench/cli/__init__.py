"""The command line. Only what a command needs is imported, so ``--help`` answers at once."""

import contextlib
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import tyro

from gmbench.cli import (
    audit,
    catalogue,
    completion,
    develop,
    explore,
    export,
    figure,
    leaderboard,
    mistakes,
    organism,
    questions,
    submit,
    sweep,
    train,
    zoo,
)
from gmbench.cli.inputs import NUMBERS
from gmbench.core import checks

COMMANDS: dict[str, Callable[..., Any]] = {
    "list": catalogue.ListAll,
    "show": catalogue.Show,
    "play": catalogue.Play,
    "watch": catalogue.Watch,
    "train": train.Train,
    "eval": train.Evaluate,
    "export": export.Export,
    "run": train.RunSuite,
    "sweep": sweep.RunSweep,
    "status": sweep.SweepStatus,
    "query": sweep.Query,
    "figure": figure.ReproduceFigure,
    "explore": explore.Explore,
    "organism": organism.Organism,
    "submit": submit.Submit,
    "leaderboard": leaderboard.Leaderboard,
    "audit": audit.AuditCommand,
    "zoo": zoo.ZooCommand,
    "pages": develop.Pages,
    "schema": develop.Schema,
    "validate": develop.Validate,
    "bench": develop.Bench,
    "doctor": catalogue.Doctor,
    "completion": completion.Completion,
}
"""Commands by name; each question (:mod:`gmbench.analyses`) is one more."""

ABOUT = """Which goal does an agent pursue once the distribution shifts? Before or after any
command, --import FILE runs a Python file that registers tasks, agents and so on."""
IMPORT = "--import"
"""A Python file to run before anything else, for tasks and agents that no package brings."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; an invalid input is one line on stderr and exit status 2."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] in (["--version"], ["version"]):
        print(f"gmbench {metadata.version('gmbench')}")
        return
    try:
        given = _asked_for_help(_imported(given))
        commands = COMMANDS | questions.commands(given[0])
        if not given[0].startswith("-"):
            checks.known("command", given[0], commands)
        command = given[0] if given[0] in commands else ""
        with NUMBERS, mistakes.in_a_line(command):
            parsed: Any = tyro.extras.subcommand_cli_from_dict(
                commands,
                args=given,
                prog="gmbench",
                description=ABOUT,
                config=(tyro.conf.OmitArgPrefixes,),
            )
        from gmbench.runs.machine import use_cache, use_cores

        use_cores(len(os.sched_getaffinity(0)))
        use_cache()
        with _left_in_order():
            questions.run(parsed) if questions.is_question(parsed) else parsed.run()
    except checks.Refused as refusal:
        _fail(str(refusal))
    except BrokenPipeError:  # such as `gmbench list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        what = error.filename or "the results"
        _fail(f"out: cannot write {what} ({error.strerror or checks.one_line(error)})")
    except KeyboardInterrupt:
        print("gmbench: interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


def _asked_for_help(given: list[str]) -> list[str]:
    """Return what is asked, as ``--help`` where nothing is, or ``help`` and perhaps a command."""
    if given[:1] == ["help"]:
        return [*given[1:2], "--help"]
    return given or ["--help"]


def _imported(given: list[str]) -> list[str]:
    """Run the files that ``--import FILE`` names, which may register anything; return the rest."""
    rest = list(given)
    while IMPORT in rest:
        place = rest.index(IMPORT)
        path = Path((rest[place + 1 : place + 2] or [""])[0])
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise checks.Refused(f"import: {str(path)!r} is not a Python file")
        sys.modules[path.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[path.stem])
        del rest[place : place + 2]
    return rest


@contextlib.contextmanager
def _left_in_order() -> Iterator[None]:
    """Let SIGTERM end the command as an error would, so that bars give the terminal back."""
    came: list[int] = []

    def leave(number: int, frame: Any) -> None:
        del frame
        came.append(number)
        sys.exit(128 + number)

    if threading.current_thread() is threading.main_thread():  # no other can set handlers
        signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except Exception:
        if came:  # what was compiling made another error of it
            sys.exit(128 + came[0])
        raise


def _fail(message: str) -> None:
    print(f"gmbench: {message}", file=sys.stderr)
    sys.exit(2)

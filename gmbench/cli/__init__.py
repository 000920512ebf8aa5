"""The command line. Only what a command needs is imported, so ``--help`` answers at once."""

import errno
import os
import sys
from collections.abc import Callable
from typing import Any

import tyro

from gmbench.cli import catalogue, develop, questions, sweep, train
from gmbench.core.checks import Refused

COMMANDS: dict[str, Callable[..., Any]] = {
    "list": catalogue.ListAll,
    "show": catalogue.Show,
    "play": catalogue.Play,
    "train": train.Train,
    "eval": train.Evaluate,
    "run": train.RunSuite,
    "sweep": sweep.RunSweep,
    "status": sweep.SweepStatus,
    "query": sweep.Query,
    "pages": develop.Pages,
    "bench": develop.Bench,
    "doctor": catalogue.Doctor,
}
"""Commands by name; each question (:mod:`gmbench.analyses`) is one more."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; an invalid input is one line on stderr and exit status 2."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        parsed: Any = tyro.extras.subcommand_cli_from_dict(
            COMMANDS | questions.commands(given[0] if given else ""),
            args=arguments,
            prog="gmbench",
            description="Which goal does an agent pursue once the distribution shifts?",
            config=(tyro.conf.OmitArgPrefixes,),
        )
        from gmbench.runs.cores import use_cores

        use_cores(len(os.sched_getaffinity(0)))
        questions.run(parsed) if questions.is_question(parsed) else parsed.run()
    except Refused as refusal:
        _fail(str(refusal))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        _fail(f"out: cannot write {error.filename or 'the results'} ({error.strerror})")
    except KeyboardInterrupt:
        print("gmbench: interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


def _fail(message: str) -> None:
    print(f"gmbench: {message}", file=sys.stderr)
    sys.exit(2)

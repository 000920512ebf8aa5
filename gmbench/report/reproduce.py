"""Reproduce a published figure: train its sweep, ask its question, keep the numbers that are read.

Interrupted at any moment the same command goes on: runs are those of a sweep's folder. A result is
a small JSON file, from which picture, table of numbers, verdicts and page are made; it can be
committed, and read again without the runs.
"""

import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gmbench.core import checks, files, registry
from gmbench.report import ask, sweeps
from gmbench.report import document as documents
from gmbench.report.published import CPU, PAPER, SCALES, SLOW, Figure, Number, by_key
from gmbench.runs import grouping
from gmbench.runs.group import Watch
from gmbench.sweeps import driver, engines

SCHEMA = 1
"""Version of the layout of a result."""
COMPILE = 15.0
"""Seconds of one core that compiling a program and measuring its agents takes, about."""
LARGEST = 2**22
"""Bytes of the largest result that is read."""


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was found for a figure.

    Attributes:
        schema: version of this layout.
        figure: its name.
        scale: at which it was run.
        origin: in words where the numbers come from.
        date: when they were read.
        numbers: the numbers.
    """

    schema: int
    figure: str
    scale: str
    origin: str
    date: str
    numbers: list[Number]


class Cost(NamedTuple):
    """What a figure takes at a scale.

    Attributes:
        runs: agents that are trained.
        steps: environment steps, of all.
        hours: of one core, about.
    """

    runs: int
    steps: int
    hours: float

    @property
    def words(self) -> str:
        """In one line."""
        took = f"{self.hours:,.0f} core hours"
        if self.hours < 2:
            took = f"{max(1, round(60 * self.hours))} core minutes"
        return f"{self.runs} runs, {self.steps:,} environment steps, about {took}"


def find(name: str) -> Figure:
    """Return a figure.

    Raises:
        Refused: for an unknown name, offering the nearest.
    """
    figure: Figure = registry.FIGURES.get(name)
    return figure


@functools.cache
def cost(name: str, scale: str) -> Cost:
    """Return what a figure takes, before anything is started."""
    figure = find(name)
    sweep = figure.sweeps[scale]
    seeds = sweep.seeds if isinstance(sweep.seeds, int) else len(sweep.seeds)
    plans = driver.plans_of(msgspec.structs.replace(sweep, seeds=1))  # seeds cost alike
    steps = seeds * sum(plan.updates * plan.needs.steps_per_update for plan in plans)
    speed = SLOW if scale == PAPER else figure.speed
    seconds = steps / speed + COMPILE * len(grouping.programs(plans))
    return Cost(seeds * len(plans), steps, seconds / 3600)


def run(name: str, scale: str, folder: Path, watch: Watch) -> tuple[Result, list[str]]:
    """Train what is not finished yet, ask, and return what was read, and what went wrong.

    Raises:
        Refused: for a folder that is another sweep's, or in which no run finished.
    """
    figure, runs = find(name), folder / "runs"
    sweep = figure.sweeps[scale]
    errors = sweeps.run(sweep, runs, lambda: engines.connect("local", {}, None), None, False, ())
    question = registry.make_question(figure.question)(folder=runs, **figure.options)
    found = ask.ask(question, watch)
    took = cost(name, scale)
    origin = f"{took.runs} agents trained by this figure's command, {took.steps:,} steps in all"
    return read(name, scale, documents.plain(found), origin), [*errors, *found.problems]


def stored(name: str, docs: Path) -> Result:
    """Return what a committed answer to the figure's question says; nothing is trained.

    Raises:
        Refused: if the figure has none, or it cannot be read.
    """
    figure = find(name)
    if not figure.stored:
        raise checks.Refused(f"stored: {name} has no committed answer; without --stored it trains")
    path = docs / figure.stored
    try:
        answer = msgspec.json.decode(files.read(path, "stored"))
    except msgspec.DecodeError as error:
        words = checks.one_line(error)
        raise checks.Refused(f"stored: {str(path)!r} is no answer ({words})") from error
    origin = f"the committed answer of `gmbench {figure.question}`, {figure.stored}"
    return read(name, CPU, answer, origin)


def read(name: str, scale: str, answer: Any, origin: str) -> Result:
    """Read a figure's numbers off the answer to its question, as its JSON file holds it.

    Raises:
        Refused: if the answer is another question's.
    """
    try:
        numbers = list(find(name).read(answer))
    except (msgspec.ValidationError, KeyError, TypeError, IndexError) as error:
        words = checks.one_line(error)
        raise checks.Refused(
            f"figure: the answer is not one that {name} reads ({words})"
        ) from error
    if not numbers:
        raise checks.Refused(f"figure: the answer holds no number of {name}")
    if len(by_key(numbers)) < len(numbers):
        raise checks.Refused(f"figure: {name} reads two numbers of one name")
    return Result(SCHEMA, name, scale, origin, time.strftime("%Y-%m-%d", time.gmtime()), numbers)


# ---- on disk -------------------------------------------------------------------------------------


def encode(result: Result) -> bytes:
    """Return a result as indented JSON, with a line end."""
    return msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n"


def load(path: Path) -> Result:
    """Read a result.

    Raises:
        Refused: in one line that names the file and what does not fit.
    """
    try:
        found = msgspec.json.decode(files.read(path, "figure", LARGEST), type=Result)
    except msgspec.DecodeError as error:
        words = checks.one_line(error)
        raise checks.Refused(f"figure: {str(path)!r} is no result ({words})") from error
    if found.schema != SCHEMA:
        raise checks.Refused(f"figure: {str(path)!r} has schema {found.schema}, allowed: {SCHEMA}")
    find(found.figure)
    checks.known("scale", found.scale, SCALES)
    return found


def load_all(folder: Path) -> Sequence[Result]:
    """Read the results in a folder, in the order of their names.

    Raises:
        Refused: for the first that is none.
    """
    return [load(path) for path in sorted(folder.glob("*.json"))]

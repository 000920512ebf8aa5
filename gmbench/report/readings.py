"""What published figures read off the answers to questions, as their JSON files hold them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from gmbench.report.published import Number, Place
from gmbench.report.records import ResultRow
from gmbench.stats.estimate import Estimate, estimate
from gmbench.stats.rates import Rate

T = TypeVar("T")
SIGNED = {"choice", "gmi_adjusted"}
"""Scores that lie between -1 and 1."""
NO_INTERVAL = "the table holds no interval"


def rows(answer: Any, task: str, **static: int | str) -> list[ResultRow]:
    """Return the rows of a task and shape in the answer of `gmbench report`, by alpha."""
    found = msgspec.convert(answer, list[ResultRow])
    own = [row for row in found if row.task == task and static.items() <= row.static.items()]
    return sorted(own, key=lambda row: row.params.get("alpha", 0.0))


def score(row: ResultRow, name: str, series: str, at: Place) -> Number:
    """Return one of a row's scores, or with ``ended_goal`` and so on how episodes ended."""
    if name in row.scores:
        return Number(series, at, row.scores[name], row.competent)
    if name in row.by_seed:
        return Number(series, at, estimate(row.by_seed[name]), row.competent)
    mean = row.outcomes[name.removeprefix("ended_")]
    return Number(series, at, Estimate(mean, None, row.competent.n, why=NO_INTERVAL), row.competent)


def table(answer: Any, title: str) -> list[dict[str, Any]]:
    """Return the lines of one of the tables that an answer consists of, by column."""
    return [line for line in answer if line["table"] == title]


def cell(value: Any) -> Estimate:
    """Return a mean in a line of a table."""
    return msgspec.convert(value, Estimate)


def counted(value: Any) -> Rate:
    """Return a rate in a line of a table, given as ``k/n`` or by its parts."""
    if isinstance(value, str):
        k, n = value.split("/")
        return Rate(int(k), int(n))
    return Rate(value["k"], value["n"])


def grouped(answer: Sequence[Mapping[str, T]], by: str) -> Iterator[tuple[T, list[Any]]]:
    """Yield the agents of an answer that gives one record an agent, by what one field says."""
    for value in dict.fromkeys(each[by] for each in answer):
        yield value, [each for each in answer if each[by] == value]


def able(agents: Sequence[Mapping[str, Any]]) -> Rate:
    """Return how many of some agents are competent."""
    return Rate(sum(bool(each["competent"]) for each in agents), len(agents))

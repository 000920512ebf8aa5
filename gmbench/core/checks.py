"""Refusals: every invalid value is answered by one line that says what would have been valid."""

import difflib
import importlib
import math
from collections.abc import Iterable
from typing import Any


class Refused(ValueError):
    """An invalid input: one line that names the field, the value and what is allowed."""


def one_line(error: BaseException) -> str:
    """Return what an error of another package says, as one line of bounded length."""
    return " ".join(str(error).split())[:200]


def need(package: str, extra: str, field: str) -> Any:
    """Return an optional package.

    Raises:
        Refused: naming the field that asks for it, and the extra that brings it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise Refused(
            f"{field}: {package} is not installed; pip install 'gmbench[{extra}]' brings it"
        ) from error


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known name most like ``name``, else ``""``."""
    by_folded = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_folded, n=1, cutoff=0.4)
    return f"; did you mean {by_folded[close[0]]!r}?" if close else ""


def known(field: str, name: str, names: Iterable[str]) -> str:
    """Return ``name`` if it is one of ``names``.

    Raises:
        ValueError: naming the field, the value, the nearest known name and all that are allowed.
    """
    names = sorted(names)
    if name in names:
        return name
    allowed = ", ".join(names) or "none are registered"
    raise Refused(f"{field}: unknown {name!r}{nearest(name, names)} (allowed: {allowed})")


def number(field: str, value: Any, low: int | float, high: int | float = math.inf) -> float:
    """Return ``value`` if it lies in ``[low, high]``.

    Raises:
        ValueError: naming the field, the value and the range, also for NaN and for non-numbers.
    """
    span = f"at least {low:g}" if high == math.inf else f"in [{low:g}, {high:g}]"
    try:
        valid = not isinstance(value, bool | str) and low <= float(value) <= high
    except (TypeError, ValueError):
        valid = False
    if not valid or math.isinf(float(value)):
        raise Refused(f"{field}: {value!r} is not a number {span}")
    return float(value)


def integer(field: str, value: Any, low: int, high: int | float = math.inf) -> int:
    """Return ``value`` as an ``int`` if it is a whole number in ``[low, high]``.

    Raises:
        ValueError: naming the field, the value and the range.
    """
    number(field, value, low, high)
    if int(value) != value:
        raise Refused(f"{field}: {value!r} is not a whole number")
    return int(value)


def probability(field: str, value: Any) -> float:
    """Return ``value`` if it is a probability.

    Raises:
        ValueError: naming the field, the value and the range ``[0, 1]``.
    """
    return number(field, value, 0.0, 1.0)

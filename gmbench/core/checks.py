"""Refusals: every invalid value is answered by one line that says what would have been valid."""

import difflib
import importlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

LONGEST = 1000
"""Characters of a refusal; of a longer one the middle is left out."""
EXACT = 2**53
"""Below this every whole number is a float too, and JSON of any reader holds it."""


class Refused(ValueError):
    """An invalid input: one line that names the field, the value and what is allowed."""

    def __init__(self, message: str) -> None:
        """Make one line of bounded length of it, whatever the value refused contains."""
        line = "".join(c if c.isprintable() else " " for c in message)
        cut = len(line) > LONGEST
        super().__init__(f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}" if cut else line)


def one_line(error: BaseException) -> str:
    """Return what an error of another package says, as one line of bounded length."""
    return " ".join(str(error).split())[:200]


def scalar(field: str, value: Any, finite: bool = True) -> int | float | str:
    """Return a setting as Python's own number or text, the same for all that are equal.

    A whole number is an ``int`` whatever it came as (``1e6``, ``np.int64(3)``, ``jnp.int32(3)``).

    Args:
        field: what to call it in a refusal.
        value: the setting.
        finite: whether to refuse NaN and infinities here, rather than by a range later on.

    Raises:
        Refused: naming the field, for anything else: bool, None, a list.
    """
    if isinstance(value, str):
        return str(value)
    if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        # The decimals of a narrow float are its own: float32(0.3) means 0.3.
        item = value.item()
        value = float(str(value)) if isinstance(item, float) else item
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"{field}: {value!r} is not a number or a word")
    huge = isinstance(value, int) and abs(value) >= EXACT
    if not huge and not finite and not math.isfinite(value):
        return value
    if huge or not math.isfinite(value):
        raise Refused(f"{field}: {value!r} is not a number below 2**53")
    return int(value) if value == int(value) and abs(value) < EXACT else value


def scalars(field: str, values: Any, finite: bool = True) -> dict[str, Any]:
    """Return a mapping of settings as a dictionary, each as :func:`scalar` returns it.

    Raises:
        Refused: for anything else than a mapping, and for names that are not words.
    """
    if not isinstance(values, Mapping):
        raise Refused(f"{field}: {values!r} is not a mapping of names to values")
    for name in values:
        if not isinstance(name, str) or not name:
            raise Refused(f"{field}: {name!r} is not the name of a setting")
    return {name: scalar(f"{field}.{name}", value, finite) for name, value in values.items()}


def text(field: str, value: Any) -> str:
    """Return ``value`` if it is text.

    Raises:
        Refused: naming the field and the value.
    """
    if not isinstance(value, str):
        raise Refused(f"{field}: {value!r} is not text")
    return str(value)


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
        found = scalar(field, value)
    except Refused:
        found = ""
    if isinstance(found, str) or not low <= found <= high:
        raise Refused(f"{field}: {value!r} is not a number {span}")
    return float(found)


def integer(field: str, value: Any, low: int | float, high: int | float = math.inf) -> int:
    """Return ``value`` as an ``int`` if it is a whole number in ``[low, high]``.

    Raises:
        ValueError: naming the field, the value and the range.
    """
    found = number(field, value, low, high)
    if int(found) != found:
        raise Refused(f"{field}: {value!r} is not a whole number")
    return int(found)


def switch(field: str, value: Any) -> bool:
    """Return ``value`` if it is true or false, in words too (``True``, ``false``).

    Raises:
        Refused: naming the field, the value and what is allowed.
    """
    words = str(value).lower()
    if words not in ("true", "false"):
        raise Refused(f"{field}: {value!r} is neither true nor false")
    return words == "true"


def probability(field: str, value: Any) -> float:
    """Return ``value`` if it is a probability.

    Raises:
        ValueError: naming the field, the value and the range ``[0, 1]``.
    """
    return number(field, value, 0.0, 1.0)

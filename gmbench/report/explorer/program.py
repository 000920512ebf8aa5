"""A JAX function written down as data, for an interpreter that has no JAX.

A program is a list of operations in the order in which they are run, each on numbered arrays: those
of the function's own jaxpr, laid open. There are some forty of them, each a page of text or less in
``operations.js``; whatever needs another is refused. So the page does not know environments or
networks: what it runs is what Python runs.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from gmbench.core import checks, jaxpr

DTYPES = ("bool", "int8", "int16", "int32", "uint8", "float32")
"""What the interpreter computes with."""
PLAIN = {
    *("neg", "sign", "abs", "floor", "not", "exp", "log", "log1p", "expm1", "tanh", "logistic"),
    *("sqrt", "rsqrt", "square", "is_finite", "add", "sub", "mul", "div", "rem", "max", "min"),
    *("pow", "and", "or", "xor", "eq", "ne", "lt", "le", "gt", "ge", "select_n"),
    "convert_element_type",
    "reshape",
}
"""Operations on each element, which have no settings."""
SHAPED = {"reshape", "squeeze", "expand_dims"}
"""Operations that only name the axes anew."""


class Program(NamedTuple):
    """A function as data.

    Attributes:
        values: ``[dtype, shape]`` of each numbered array.
        given: the number of each input, by its name.
        literals: numbers of arrays that hold one number, and it.
        constants: numbers of arrays that are part of the function, and their names.
        operations: ``{"op", "in": numbers, "out": number, ...}``, in order.
        returned: the number of each output, by its name.
    """

    values: list[list[Any]]
    given: dict[str, int]
    literals: list[list[Any]]
    constants: list[list[Any]]
    operations: list[dict[str, Any]]
    returned: dict[str, int]


def written(
    function: Callable[[dict[str, Any]], dict[str, Any]], given: Mapping[str, Any]
) -> tuple[Program, dict[str, np.ndarray]]:
    """Write down a function from named arrays to named arrays; return it with its constants.

    Args:
        function: jittable.
        given: arrays such as it takes, or their shapes and dtypes.

    Raises:
        Refused: for an operation or a dtype that the interpreter does not know.
    """
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(dict(given))
    flat = jaxpr.laid_open(closed)
    program = Program(
        [[str(aval.dtype), [int(size) for size in aval.shape]] for aval in flat.avals],
        # Names are sorted, as the leaves of a dictionary are.
        dict(zip(sorted(given), flat.inputs, strict=True)),
        [[n, _told(array.item())] for n, array in flat.constants.items() if array.size == 1],
        [[n, f"constant {n}"] for n, array in flat.constants.items() if array.size != 1],
        [_operation(step) for step in flat.steps],
        dict(zip(sorted(shapes), flat.outputs, strict=True)),
    )
    return program, {name: flat.constants[n] for n, name in program.constants}


def _operation(step: jaxpr.Step) -> dict[str, Any]:
    """Return one operation."""
    _refuse_unknown(step)
    settings = SETTINGS[step.op](step.params) if step.op in SETTINGS else {}
    name = "reshape" if step.op in SHAPED else step.op
    return {"op": name, "in": [*step.given], "out": step.results[0], **settings}


def _refuse_unknown(step: jaxpr.Step) -> None:
    """Refuse an operation that the interpreter does not know, or a result that it cannot hold."""
    op, dtype = step.op, str(step.makes[0].dtype)
    if op not in PLAIN | SHAPED and op not in SETTINGS:
        hint = " (try JAX_PLATFORMS=cpu)" if op == "conv_general_dilated" else ""
        raise checks.Refused(f"explore: the agent computes {op!r}, which the page cannot{hint}")
    if dtype not in DTYPES:
        raise checks.Refused(f"explore: {op!r} computes in {dtype} (allowed: {', '.join(DTYPES)})")


def _told(value: bool | int | float) -> bool | int | float | str:
    """Return a number as JSON can hold it; of those that it cannot, the name in JavaScript."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _whole(numbers: Iterable[Any]) -> list[int]:
    return [int(number) for number in numbers]


def _reduced(params: Mapping[str, Any]) -> dict[str, Any]:
    return {"axes": _whole(params["axes"])}


def _sliced(params: Mapping[str, Any]) -> dict[str, Any]:
    start = _whole(params["start_indices"])
    return {"start": start, "step": _whole(params["strides"] or [1] * len(start))}


def _padded(params: Mapping[str, Any]) -> dict[str, Any]:
    margins = params["padding_config"]
    if any(low < 0 or high < 0 or inside for low, high, inside in margins):
        raise checks.Refused("explore: the agent cuts or spreads an array by padding it")
    return {"low": [int(low) for low, _, _ in margins]}


def _multiplied(params: Mapping[str, Any]) -> dict[str, Any]:
    over, batch = params["dimension_numbers"]
    return {"over": [_whole(axes) for axes in over], "batch": [_whole(axes) for axes in batch]}


SETTINGS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "broadcast_in_dim": lambda params: {"axes": _whole(params["broadcast_dimensions"])},
    "transpose": lambda params: {"axes": _whole(params["permutation"])},
    "concatenate": lambda params: {"axis": int(params["dimension"])},
    "stack": lambda params: {"axis": int(params["axis"])},
    "iota": lambda params: {"axis": int(params["dimension"])},
    "slice": _sliced,
    "pad": _padded,
    "integer_pow": lambda params: {"power": int(params["y"])},
    "dot_general": _multiplied,
    "argmax": _reduced,
    "name": lambda params: {"name": str(params["name"])},
    **{f"reduce_{kind}": _reduced for kind in ("sum", "max", "min", "and", "or")},
}
"""Operations with settings, and how they are read."""

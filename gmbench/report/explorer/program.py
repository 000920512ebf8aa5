"""A JAX function written down as data, for an interpreter that has no JAX.

A program is a list of operations in the order in which they are run, each on numbered arrays:
those of the function's own jaxpr, laid open; a loop has programs of its own. There are some fifty
of them, each a page of text or less in ``operations.js``; whatever needs another is refused. So the
page does not know environments or networks: what it runs is what Python runs.
"""

import base64
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from gmbench.core import checks, jaxpr
from gmbench.runs import arrays

DTYPES = ("bool", "int8", "int16", "int32", "uint8", "uint32", "float32")
"""What the interpreter computes with."""
PLAIN = {
    *("neg", "sign", "abs", "floor", "not", "exp", "log", "log1p", "expm1", "tanh", "logistic"),
    *("sqrt", "rsqrt", "square", "is_finite", "add", "sub", "mul", "div", "rem", "max", "min"),
    *("pow", "and", "or", "xor", "eq", "ne", "lt", "le", "gt", "ge", "select_n"),
    *("shift_left", "shift_right_logical", "shift_right_arithmetic", "population_count"),
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
        given: the number of each input that is read, by its name.
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
    held: dict[str, np.ndarray] = {}
    read = flat.read
    # Names are sorted, as the leaves of a dictionary are.
    inputs = zip(sorted(given), flat.inputs, strict=True)
    program = Program(
        **_parts(flat, held),
        given={name: number for name, number in inputs if number in read},
        returned=dict(zip(sorted(shapes), flat.outputs, strict=True)),
    )
    return program, held


def plain(program: Program, constants: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return a program as the page reads it."""
    packed = base64.b64encode(arrays.encode_named(constants)).decode()
    return {**program._asdict(), "arrays": packed}


def _parts(flat: jaxpr.Flat, held: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return what a program and a loop's have in common; constants are added to the arrays."""
    literals, constants = [], []
    for number, array in flat.constants.items():
        if array.size == 1:
            literals.append([number, _told(array.item())])
        else:
            constants.append([number, name := f"constant {len(held)}"])
            held[name] = array
    return {
        "values": [[str(aval.dtype), [int(size) for size in aval.shape]] for aval in flat.avals],
        "literals": literals,
        "constants": constants,
        "operations": [_operation(step, held) for step in flat.steps],
    }


def _operation(step: jaxpr.Step, held: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return one operation."""
    _refuse_unknown(step)
    told: dict[str, Any] = {"op": step.op, "in": [*step.given]}
    if step.op in LOOPS:
        counts, inner = LOOPS[step.op]
        told |= {name: int(step.params[name]) for name in counts}
        told |= {name: _looped(step.params[name], held) for name in inner}
    if step.op in MANY:
        told["outs"] = [*step.results]
    else:
        told["out"] = step.results[0]
    if step.op in SETTINGS:
        told |= SETTINGS[step.op](step.params)
    return told | ({"op": "reshape"} if step.op in SHAPED else {})


def _looped(inner: Any, held: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return a program that a loop repeats; what it takes and returns has an order, not names."""
    flat = jaxpr.laid_open(inner)
    return {**_parts(flat, held), "given": flat.inputs, "returned": flat.outputs}


def _refuse_unknown(step: jaxpr.Step) -> None:
    """Refuse an operation that the interpreter does not know, or a result that it cannot hold."""
    if step.op not in PLAIN | SHAPED | LOOPS.keys() | SETTINGS.keys():
        hint = " (try JAX_PLATFORMS=cpu)" if step.op == "conv_general_dilated" else ""
        raise checks.Refused(f"explore: {step.op!r} is computed, which the page cannot{hint}")
    for aval in step.makes:
        if str(aval.dtype) not in DTYPES:
            allowed = ", ".join(DTYPES)
            message = f"explore: {step.op!r} computes in {aval.dtype} (allowed: {allowed})"
            raise checks.Refused(message)


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


def _gathered(params: Mapping[str, Any]) -> dict[str, Any]:
    numbers = params["dimension_numbers"]
    return {
        "offset": _whole(numbers.offset_dims),
        "collapsed": _whole(numbers.collapsed_slice_dims),
        "map": _whole(numbers.start_index_map),
        "batched": _whole(numbers.operand_batching_dims),
        "batches": _whole(numbers.start_indices_batching_dims),
        "sizes": _whole(params["slice_sizes"]),
    }


def _summed(params: Mapping[str, Any]) -> dict[str, Any]:
    return {"axis": int(params["axis"]), "reverse": bool(params["reverse"])}


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
    "cumsum": _summed,
    "gather": _gathered,
    "sort": lambda params: {"axis": int(params["dimension"]), "keys": int(params["num_keys"])},
    "name": lambda params: {"name": str(params["name"])},
    **{f"reduce_{kind}": _reduced for kind in ("sum", "max", "min", "and", "or")},
}
"""Operations with settings, and how they are read."""
LOOPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "while": (("cond_nconsts", "body_nconsts"), ("cond_jaxpr", "body_jaxpr")),
    "scan": (("num_consts", "num_carry", "length", "reverse"), ("jaxpr",)),
}
"""Operations that repeat programs: their counts, and the programs."""
MANY = {"sort", *LOOPS}
"""Operations with more than one result."""

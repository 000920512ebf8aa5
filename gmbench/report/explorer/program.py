"""A JAX function written down as data, for an interpreter that has no JAX.

A program is a list of operations in the order in which they are run, each on numbered arrays: those
of the function's own jaxpr, with what it calls laid open, and without what no output needs. There
are some forty of them, each a page of text or less in ``operations.js``; whatever needs another is
refused. So the page does not know environments or networks: what it runs is what Python runs.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core as jaxprs

from gmbench.core import checks

DTYPES = ("bool", "int8", "int16", "int32", "uint8", "float32")
"""What the interpreter computes with."""
CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vmap_call": "call",
}
"""Operations that only call a function, and where they keep it."""
PLAIN = {
    *("neg", "sign", "abs", "floor", "not", "exp", "log", "log1p", "expm1", "tanh", "logistic"),
    *("sqrt", "rsqrt", "square", "is_finite", "add", "sub", "mul", "div", "rem", "max", "min"),
    *("pow", "and", "or", "xor", "eq", "ne", "lt", "le", "gt", "ge", "select_n"),
    "convert_element_type",
    "reshape",
}
"""Operations on each element, which have no settings."""
SAME = {"copy", "copy_p", "stop_gradient", "optimization_barrier"}
"""Operations that change nothing."""
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
    writer = _Writer()
    names = sorted(given)  # the order of a dictionary's leaves
    inputs = [writer.value(variable.aval) for variable in closed.jaxpr.invars]
    consts = [writer.constant(np.asarray(const)) for const in closed.consts]
    outputs = writer.run(closed.jaxpr, consts, inputs)
    returned = dict(zip(sorted(shapes), outputs, strict=True))
    operations = _needed(writer.operations, set(outputs))
    for each in operations:
        _refuse_unknown(each["op"], writer.values[each["out"]][0])
    read = {number for each in operations for number in each["in"]} | set(outputs)
    program = Program(
        writer.values,
        dict(zip(names, inputs, strict=True)),
        [each for each in writer.literals if each[0] in read],
        [each for each in writer.constants if each[0] in read],
        operations,
        returned,
    )
    return program, {name: writer.arrays[name] for _, name in program.constants}


def _needed(operations: list[dict[str, Any]], read: set[int]) -> list[dict[str, Any]]:
    """Return the operations that something depends on."""
    kept = []
    for each in reversed(operations):
        if each["out"] in read:
            read.update(each["in"])
            kept.append(each)
    return kept[::-1]


class _Writer:
    """Numbers arrays, and collects operations on them."""

    def __init__(self) -> None:
        self.values: list[list[Any]] = []
        self.literals: list[list[Any]] = []
        self.constants: list[list[Any]] = []
        self.arrays: dict[str, np.ndarray] = {}
        self.operations: list[dict[str, Any]] = []

    def value(self, aval: Any) -> int:
        """Return the number of a new array."""
        self.values.append([str(aval.dtype), [int(size) for size in aval.shape]])
        return len(self.values) - 1

    def constant(self, array: np.ndarray) -> int:
        """Return the number of an array that is part of the function."""
        number = self.value(array)
        if array.size == 1:
            self.literals.append([number, _told(array.item())])
            return number
        name = f"constant {len(self.arrays)}"
        self.arrays[name] = array
        self.constants.append([number, name])
        return number

    def add(self, op: str, inputs: list[int], aval: Any, **settings: Any) -> int:
        """Append an operation; return the number of its result."""
        out = self.value(aval)
        self.operations.append({"op": op, "in": inputs, "out": out, **settings})
        return out

    def run(self, jaxpr: Any, consts: list[int], inputs: list[int]) -> list[int]:
        """Append a function's operations; return the numbers of its results."""
        numbers: dict[Any, int] = dict(zip(jaxpr.constvars, consts, strict=True))
        numbers.update(zip(jaxpr.invars, inputs, strict=True))

        def read(atom: Any) -> int:
            if isinstance(atom, jaxprs.Literal):
                aval: Any = atom.aval
                return self.constant(np.asarray(atom.val, aval.dtype))
            return numbers[atom]

        for equation in jaxpr.eqns:
            results = self.equation(equation, [read(atom) for atom in equation.invars])
            numbers.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def equation(self, equation: Any, inputs: list[int]) -> list[int]:
        """Append what one equation does; return the numbers of its results."""
        op, params = equation.primitive.name, equation.params
        if op in SAME:
            return inputs
        if op in CALLS:
            inner = params[CALLS[op]]
            consts = [self.constant(np.asarray(const)) for const in inner.consts]
            return self.run(inner.jaxpr, consts, inputs)
        avals: list[Any] = [variable.aval for variable in equation.outvars]
        if op == "split":
            return self.split(inputs, avals, params["axis"])
        name = "reshape" if op in SHAPED else op
        settings = SETTINGS[op](params) if op in SETTINGS else {}
        return [self.add(name, inputs, aval, **settings) for aval in avals]

    def split(self, inputs: list[int], avals: list[Any], axis: int) -> list[int]:
        """Append a slice for each part."""
        numbers, begin = [], 0
        for aval in avals:
            start = [begin if place == axis else 0 for place in range(len(aval.shape))]
            numbers.append(self.add("slice", inputs, aval, start=start, step=[1] * len(start)))
            begin += aval.shape[axis]
        return numbers


def _refuse_unknown(op: str, dtype: str) -> None:
    """Refuse an operation that the interpreter does not know, or a result that it cannot hold."""
    if op not in PLAIN and op not in SETTINGS:
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

"""A JAX function laid open: one list of operations on numbered arrays, for where there is no JAX.

What a function calls is part of the list, what changes nothing or is not needed is not, and a split
is a slice for each part. Loops are left whole: what they repeat is laid open by whoever reads them.
What is written down in a form of its own begins here: :mod:`gmbench.core.graph`, for ONNX and
NumPy, and the programs of the explorer's page.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.extend import core as jaxprs

CALLS = {"jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "custom_vmap_call"}
CALLS |= {"remat", "checkpoint"}
"""Primitives that only call a function."""
INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr", "call")
"""Where they keep it."""
SAME = {"copy", "copy_p", "stop_gradient", "optimization_barrier"}
"""Primitives that change nothing."""


class Step(NamedTuple):
    """One operation.

    Attributes:
        op: name of the primitive.
        params: its settings, as JAX has them.
        given: numbers of what it takes.
        results: numbers of what it makes.
        takes: shape and dtype of what it takes.
        makes: the same of what it makes.
    """

    op: str
    params: Mapping[str, Any]
    given: Sequence[int]
    results: Sequence[int]
    takes: Sequence[Any]
    makes: Sequence[Any]


class Flat(NamedTuple):
    """A function as a list.

    Attributes:
        avals: shape and dtype of each numbered array.
        inputs: numbers of what the function takes.
        constants: arrays that are part of the function, by number.
        steps: the operations that an output needs, in order.
        outputs: numbers of what it returns.
    """

    avals: list[Any]
    inputs: list[int]
    constants: dict[int, np.ndarray]
    steps: list[Step]
    outputs: list[int]

    @property
    def read(self) -> set[int]:
        """Numbers of all that a step takes or the function returns."""
        return {number for step in self.steps for number in step.given} | set(self.outputs)


def laid_open(closed: Any) -> Flat:
    """Return a closed jaxpr as a list; an open one is one without constants."""
    walk = _Walk()
    inner, consts = _parts(closed)
    inputs = [walk.value(variable.aval) for variable in inner.invars]
    outputs = walk.run(inner, consts, inputs)
    flat = Flat(walk.avals, inputs, walk.constants, _needed(walk.steps, set(outputs)), outputs)
    read = flat.read
    held = {number: array for number, array in flat.constants.items() if number in read}
    return flat._replace(constants=held)


def _parts(function: Any) -> tuple[Any, Sequence[Any]]:
    """Return a jaxpr and its constants."""
    return getattr(function, "jaxpr", function), getattr(function, "consts", ())


def _needed(steps: list[Step], read: set[int]) -> list[Step]:
    """Return the operations that something depends on."""
    kept = []
    for step in reversed(steps):
        if read.intersection(step.results):
            read.update(step.given)
            kept.append(step)
    return kept[::-1]


class _Walk:
    """Numbers arrays, and collects operations on them."""

    def __init__(self) -> None:
        self.avals: list[Any] = []
        self.constants: dict[int, np.ndarray] = {}
        self.steps: list[Step] = []

    def value(self, aval: Any) -> int:
        """Return the number of a new array."""
        self.avals.append(aval)
        return len(self.avals) - 1

    def constant(self, array: Any, aval: Any) -> int:
        """Return the number of an array that is part of the function."""
        number = self.value(aval)
        self.constants[number] = np.asarray(array, aval.dtype)
        return number

    def run(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[int]) -> list[int]:
        """Append a function's operations; return the numbers of its results."""
        numbers: dict[Any, int] = dict(zip(jaxpr.invars, inputs, strict=True))
        for variable, const in zip(jaxpr.constvars, consts, strict=True):
            numbers[variable] = self.constant(const, variable.aval)

        def read(atom: Any) -> int:
            if isinstance(atom, jaxprs.Literal):
                return self.constant(atom.val, atom.aval)
            return numbers[atom]

        for equation in jaxpr.eqns:
            results = self.equation(equation, [read(atom) for atom in equation.invars])
            numbers.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def equation(self, equation: Any, given: list[int]) -> list[int]:
        """Append what one equation does; return the numbers of its results."""
        op, params = equation.primitive.name, equation.params
        if op in SAME:
            return given
        if op in CALLS:
            called = next(params[key] for key in INNER if key in params)
            return self.run(*_parts(called), given)
        makes = [variable.aval for variable in equation.outvars]
        if op == "split":
            return self.split(given, makes, params["axis"])
        return self.step(op, params, given, makes)

    def step(
        self, op: str, params: Mapping[str, Any], given: list[int], makes: Sequence[Any]
    ) -> list[int]:
        """Append one operation; return the numbers of its results."""
        results = [self.value(aval) for aval in makes]
        takes = [self.avals[number] for number in given]
        self.steps.append(Step(op, params, given, results, takes, makes))
        return results

    def split(self, given: list[int], makes: Sequence[Any], axis: int) -> list[int]:
        """Append a slice for each part."""
        results, begin = [], 0
        for aval in makes:
            start = [begin if place == axis else 0 for place in range(len(aval.shape))]
            limit = [at + size for at, size in zip(start, aval.shape, strict=True)]
            params = {"start_indices": start, "limit_indices": limit, "strides": None}
            results += self.step("slice", params, given, [aval])
            begin += aval.shape[axis]
        return results

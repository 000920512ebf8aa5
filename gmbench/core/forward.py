"""A policy's forward pass in NumPy, from a file that ``gmbench export numpy`` wrote.

    import policy
    act = policy.load("policy.npz")
    log_probs = act(observation)  # u8 or bool, [rows, cols, channels] or a batch of them, in front

This file stands alone: it needs NumPy and nothing else. What it reads is data, a list of operations
by name on arrays by name; only the operations listed here are done, and no code is run.
"""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

VERSION = 1
PROGRAM = "program"
"""Name of the program, as JSON in bytes, among the arrays of a file."""


def _pad(x: Any, fill: Any, widths: Any) -> Any:
    return np.pad(x, widths, constant_values=fill)


def _part(x: Any, start: Any, stop: Any, step: Any) -> Any:
    return x[tuple(map(slice, start, stop, step))]


OPERATIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "add": np.add,
    "and": np.logical_and,
    "broadcast": lambda x, shape: np.broadcast_to(x, shape),
    "cast": lambda x, dtype: x.astype(dtype),
    "concatenate": lambda *x, axis: np.concatenate(x, axis),
    "div": np.divide,
    "einsum": lambda x, y, equation: np.einsum(equation, x, y, optimize=True),
    "eq": np.equal,
    "exp": np.exp,
    "ge": np.greater_equal,
    "gt": np.greater,
    "is_finite": np.isfinite,
    "le": np.less_equal,
    "log": np.log,
    "logistic": lambda x: 0.5 * np.tanh(0.5 * x) + 0.5,
    "lt": np.less,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "ne": np.not_equal,
    "neg": np.negative,
    "not": np.logical_not,
    "or": np.logical_or,
    "pad": _pad,
    "pow": np.power,
    "reduce_max": lambda x, axes: np.max(x, tuple(axes)),
    "reduce_min": lambda x, axes: np.min(x, tuple(axes)),
    "reduce_sum": lambda x, axes: np.sum(x, tuple(axes)),
    "reshape": lambda x, shape: np.reshape(x, shape),
    "sign": np.sign,
    "slice": _part,
    "sqrt": np.sqrt,
    "sub": np.subtract,
    "tanh": np.tanh,
    "transpose": lambda x, axes: np.transpose(x, axes),
    "where": np.where,
}
"""What programs are made of."""


def run(program: Mapping[str, Any], held: Mapping[str, Any], observations: Any) -> Any:
    """Do a program's operations on a batch.

    Args:
        program: ``operations``, each ``[name, operands, result, settings]``; ``input`` and
            ``output``, names of values. A size ``-k`` in settings is ``k`` times the batch.
        held: constants by name.
        observations: ``u8[batch, rows, cols, channels]``.

    Returns:
        The output.

    Raises:
        ValueError: for an operation that is not in :data:`OPERATIONS`.
    """
    batch = len(observations)
    values = {**held, program["input"]: observations}
    with np.errstate(all="ignore"):
        for name, operands, result, settings in program["operations"]:
            if name not in OPERATIONS:
                raise ValueError(f"operation: unknown {name!r} (allowed: {', '.join(OPERATIONS)})")
            whole = {key: sized(value, batch) for key, value in settings.items()}
            values[result] = OPERATIONS[name](*(values[each] for each in operands), **whole)
    return values[program["output"]]


def sized(setting: Any, batch: int) -> Any:
    """Return a setting with its sizes of a batch filled in."""
    if not isinstance(setting, list):
        return setting
    return [-each * batch if isinstance(each, int) and each < 0 else each for each in setting]


def policy(program: Mapping[str, Any], held: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Return ``observation -> log-probabilities f32[actions]``; batches have a leading axis.

    What it returns raises a ValueError for observations of another shape, and for any that are not
    booleans or whole numbers.
    """
    shape = tuple(program["shape"])

    def act(observation: Any) -> Any:
        seen = np.asarray(observation)
        single = seen.shape == shape
        if not single and seen.shape[1:] != shape:
            raise ValueError(f"observation: its shape is {seen.shape}, {shape} is needed")
        if seen.dtype.kind not in "bui":
            raise ValueError(f"observation: {seen.dtype} is not a kind of whole number")
        found = run(program, held, (seen[None] if single else seen).astype(np.uint8))
        return found[0] if single else found

    return act


def load(path: str | Path) -> Callable[[Any], Any]:
    """Return the policy in a file; see :func:`policy`."""
    with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as file:
        held = {name: file[name] for name in file.files}
    program = json.loads(held.pop(PROGRAM).tobytes())
    if program["version"] != VERSION:
        raise ValueError(f"version: {program['version']} is not {VERSION}")
    return policy(program, held)

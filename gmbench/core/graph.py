"""A policy's forward pass as a list of operations, read off its jaxpr: for where there is no JAX.

The operations are those of :mod:`gmbench.core.forward`, a closed set that every memoryless network
here is made of, and that other formats have too. What depends on weights alone is worked out
beforehand, what the output does not depend on is left out.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gmbench.core import checks, forward, jaxpr, keys
from gmbench.core.env import Environment
from gmbench.core.policy import Policy

BATCH = 1_000_003
"""The batch in the traced program. It is prime and larger than any other size, so that a size is a
multiple of the batch exactly if it is divisible by this. Nothing of that size is ever computed."""

Graph = tuple[dict[str, Any], dict[str, np.ndarray]]
"""A program (:func:`gmbench.core.forward.run`) and its constants."""

SAME = {"abs", "add", "and", "div", "eq", "exp", "ge", "gt", "is_finite", "le", "log", "logistic"}
SAME |= {"lt", "max", "min", "mul", "ne", "neg", "not", "or", "pow", "sign", "sqrt", "sub", "tanh"}
"""Primitives of JAX that are operations of the same name, without settings."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def of_policy(env: Environment[Any, Any], policy: Policy) -> Graph:
    """Return the program of a policy's log-probabilities.

    Args:
        env: the environment it acts in.
        policy: one without memory that acts on observations alone.

    Returns:
        A program from ``u8[batch, rows, cols, channels]`` to ``f32[batch, actions]``.

    Raises:
        Refused: for a policy with memory, one that reads the state, or one with anything in it
            that is not in the closed set.
    """
    if not policy.memoryless:
        raise checks.Refused("policy: it has a memory, only policies without one are exported")

    def act(state: Any, seen: Any) -> Any:
        memory = policy.begin(state.level)
        seen = seen.astype(env.observation_dtype)
        return jax.vmap(lambda one: policy.act(memory, state, one)[0])(seen)

    def begun() -> Any:
        return env.start(env.sample_level(keys.key(0), env.default_params))

    shape = env.observation_shape
    state = jax.eval_shape(begun)
    traced = jax.make_jaxpr(act)(state, jax.ShapeDtypeStruct((BATCH, *shape), jnp.uint8))
    flat = jaxpr.laid_open(traced)
    if flat.read.intersection(flat.inputs[:-1]):
        raise checks.Refused(
            "policy: it reads the state, only policies of observations are exported"
        )
    return _Builder().built(flat, shape)


class _Builder:
    """Operations and constants so far; values have names."""

    def __init__(self) -> None:
        self.operations: list[list[Any]] = []
        self.held: dict[str, np.ndarray] = {}
        self.count = 0

    def fresh(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def constant(self, value: Any) -> str:
        name = self.fresh()
        self.held[name] = np.asarray(value)
        return name

    def emit(self, name: str, *operands: str, **settings: Any) -> str:
        """Add an operation, or do it at once if all that it takes is known."""
        settings = {key: _plain(value) for key, value in settings.items()}
        of_batch = any(forward.sized(s, 2) != s for s in settings.values())
        if not of_batch and all(operand in self.held for operand in operands):
            taken = (self.held[operand] for operand in operands)
            with np.errstate(all="ignore"):
                return self.constant(forward.OPERATIONS[name](*taken, **settings))
        result = self.fresh()
        self.operations.append([name, list(operands), result, settings])
        return result

    def built(self, flat: jaxpr.Flat, shape: tuple[int, ...]) -> Graph:
        """Return the program and constants of a function whose last input is the observation."""
        names = {number: self.fresh() for number in flat.inputs}
        names |= {number: self.constant(array) for number, array in flat.constants.items()}
        for step in flat.steps:
            results = self.translated(step, [names[number] for number in step.given])
            names |= zip(step.results, results, strict=True)
        (output,) = (names[number] for number in flat.outputs)
        program = {
            "version": forward.VERSION,
            "shape": list(shape),
            "input": names[flat.inputs[-1]],
            "output": output,
            "operations": self.operations,
        }
        needed = {output, *(each for _, operands, *_ in self.operations for each in operands)}
        return program, {name: array for name, array in self.held.items() if name in needed}

    def translated(self, step: jaxpr.Step, operands: list[str]) -> list[str]:
        """Add the operations that one step is made of; return the names of its results."""
        if step.op in SAME:
            return [self.emit(step.op, *operands)]
        if step.op not in TRANSLATED:
            known = ", ".join(sorted(SAME | TRANSLATED.keys()))
            raise checks.Refused(
                f"policy: its network uses {step.op}, which cannot be exported (allowed: {known}); "
                "with JAX_PLATFORMS=cpu convolutions are matrix products"
            )
        return [TRANSLATED[step.op](self, step, *operands)]


def _plain(value: Any) -> Any:
    """Return a setting as JSON holds it, with multiples of the batch as negative numbers."""
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return value
    return -(value // BATCH) if value and value % BATCH == 0 else int(value)


# ---- primitives -----------------------------------------------------------------------------


def _shape(step: jaxpr.Step) -> tuple[int, ...]:
    return step.makes[0].shape


def _reshape(to: _Builder, step: jaxpr.Step, x: str) -> str:
    return to.emit("reshape", x, shape=_shape(step))


def _broadcast(to: _Builder, step: jaxpr.Step, x: str) -> str:
    """Axes of one in place of those that are new, then all to their sizes."""
    given, placed = step.takes[0].shape, step.params["broadcast_dimensions"]
    ones = [1] * len(_shape(step))
    for axis, size in zip(placed, given, strict=True):
        ones[axis] = size
    return to.emit("broadcast", to.emit("reshape", x, shape=ones), shape=_shape(step))


def _slice(to: _Builder, step: jaxpr.Step, x: str) -> str:
    start, stop = step.params["start_indices"], step.params["limit_indices"]
    strides = step.params["strides"] or [1] * len(start)
    return to.emit("slice", x, start=start, stop=stop, step=strides)


def _stack(to: _Builder, step: jaxpr.Step, *x: str) -> str:
    shape, axis = list(_shape(step)), step.params["axis"]
    shape[axis] = 1
    return to.emit("concatenate", *(to.emit("reshape", each, shape=shape) for each in x), axis=axis)


def _pad(to: _Builder, step: jaxpr.Step, x: str, fill: str) -> str:
    widths = step.params["padding_config"]
    if any(low < 0 or high < 0 or inside for low, high, inside in widths):
        raise checks.Refused(f"policy: its network pads by {widths}, only margins are exported")
    return to.emit("pad", x, fill, widths=[(low, high) for low, high, _ in widths])


def _einsum(to: _Builder, step: jaxpr.Step, x: str, y: str) -> str:
    """A product of two arrays: axes in both that are kept come first, then the others' of each."""
    (left, right), (left_kept, right_kept) = step.params["dimension_numbers"]
    letters = iter(LETTERS)
    first = [next(letters) for _ in step.takes[0].shape]
    second = [next(letters) for _ in step.takes[1].shape]
    for one, other in zip((*left, *left_kept), (*right, *right_kept), strict=True):
        second[other] = first[one]
    both = [first[axis] for axis in left_kept]
    alone = [first[a] for a in range(len(first)) if a not in (*left, *left_kept)]
    alone += [second[a] for a in range(len(second)) if a not in (*right, *right_kept)]
    equation = f"{''.join(first)},{''.join(second)}->{''.join(both + alone)}"
    return to.emit("einsum", x, y, equation=equation)


def _cast(to: _Builder, step: jaxpr.Step, x: str) -> str:
    return to.emit("cast", x, dtype=str(np.dtype(step.params["new_dtype"])))


def _power(to: _Builder, step: jaxpr.Step, x: str) -> str:
    if step.params["y"] == 2:
        return to.emit("mul", x, x)
    return to.emit("pow", x, to.constant(np.asarray(step.params["y"], step.takes[0].dtype)))


def _inverse_root(to: _Builder, step: jaxpr.Step, x: str) -> str:
    one = to.constant(np.ones((), step.takes[0].dtype))
    return to.emit("div", one, to.emit("sqrt", x))


def _select(to: _Builder, step: jaxpr.Step, which: str, *cases: str) -> str:
    if len(cases) != 2 or step.takes[0].dtype != np.bool_:
        raise checks.Refused(
            "policy: its network selects among more than two, one of two is allowed"
        )
    return to.emit("where", which, cases[1], cases[0])


def _reduced(name: str) -> Callable[..., str]:
    return lambda to, step, x: to.emit(name, x, axes=step.params["axes"])


TRANSLATED: dict[str, Callable[..., str]] = {
    "broadcast_in_dim": _broadcast,
    "clamp": lambda to, step, low, x, high: to.emit("min", to.emit("max", x, low), high),
    "concatenate": lambda to, step, *x: to.emit("concatenate", *x, axis=step.params["dimension"]),
    "convert_element_type": _cast,
    "dot_general": _einsum,
    "expand_dims": _reshape,
    "integer_pow": _power,
    "pad": _pad,
    "reduce_max": _reduced("reduce_max"),
    "reduce_min": _reduced("reduce_min"),
    "reduce_sum": _reduced("reduce_sum"),
    "reshape": _reshape,
    "rsqrt": _inverse_root,
    "select_n": _select,
    "slice": _slice,
    "square": lambda to, step, x: to.emit("mul", x, x),
    "squeeze": _reshape,
    "stack": _stack,
    "transpose": lambda to, step, x: to.emit("transpose", x, axes=step.params["permutation"]),
}
"""How the primitives with settings are made of operations."""

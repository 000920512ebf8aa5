"""A policy's forward pass as a list of operations, read off its jaxpr: for where there is no JAX.

The operations are those of :mod:`gmbench.core.forward`, a closed set that every memoryless network
here is made of, and that other formats have too. What depends on weights alone is worked out
beforehand, what the output does not depend on is left out.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gmbench.core import checks, forward, keys
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
INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr", "call")
"""Where a primitive that only calls a function keeps it."""
CALLS = {"jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "custom_vmap_call"}
CALLS |= {"remat", "checkpoint"}
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
    builder = _Builder()
    *hidden, given = (builder.fresh() for _ in traced.jaxpr.invars)
    (output,) = builder.inline(traced.jaxpr, traced.consts, [*hidden, given])
    program, held, needed = builder.finished(given, output, shape)
    if needed.intersection(hidden):
        raise checks.Refused(
            "policy: it reads the state, only policies of observations are exported"
        )
    return program, held


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

    def inline(self, jaxpr: Any, consts: Sequence[Any], operands: Sequence[str]) -> list[str]:
        """Add a jaxpr's operations; return the names of what it returns."""
        names: dict[Any, str] = dict(zip(jaxpr.invars, operands, strict=True))
        names |= {var: self.constant(c) for var, c in zip(jaxpr.constvars, consts, strict=True)}

        def read(atom: Any) -> str:
            if hasattr(atom, "val"):
                return self.constant(np.asarray(atom.val, atom.aval.dtype))
            return names[atom]

        for eqn in jaxpr.eqns:
            results = self.translated(eqn, [read(atom) for atom in eqn.invars])
            names |= zip(eqn.outvars, results, strict=True)
        return [read(atom) for atom in jaxpr.outvars]

    def translated(self, eqn: Any, operands: list[str]) -> list[str]:
        """Add the operations of one equation; return the names of its results."""
        name = eqn.primitive.name
        if name in CALLS:
            inner = next(eqn.params[key] for key in INNER if key in eqn.params)
            return self.inline(
                getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), operands
            )
        if name in SAME:
            return [self.emit(name, *operands)]
        if name in ("stop_gradient", "copy"):
            return operands
        if name not in TRANSLATED:
            known = ", ".join(sorted(SAME | TRANSLATED.keys()))
            raise checks.Refused(
                f"policy: its network uses {name}, which cannot be exported (allowed: {known}); "
                "with JAX_PLATFORMS=cpu convolutions are matrix products"
            )
        found = TRANSLATED[name](self, eqn, *operands)
        return found if isinstance(found, list) else [found]

    def finished(
        self, given: str, output: str, shape: tuple[int, ...]
    ) -> tuple[dict[str, Any], dict[str, np.ndarray], set[str]]:
        """Return the program and constants of an output, and names of all that it depends on."""
        needed, kept = {output}, []
        for operation in reversed(self.operations):
            if operation[2] in needed:
                needed.update(operation[1])
                kept.append(operation)
        program = {
            "version": forward.VERSION,
            "shape": list(shape),
            "input": given,
            "output": output,
            "operations": kept[::-1],
        }
        held = {name: array for name, array in self.held.items() if name in needed}
        return program, held, needed


def _plain(value: Any) -> Any:
    """Return a setting as JSON holds it, with multiples of the batch as negative numbers."""
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return value
    return -(value // BATCH) if value and value % BATCH == 0 else int(value)


# ---- primitives -----------------------------------------------------------------------------


def _shape(eqn: Any) -> tuple[int, ...]:
    return eqn.outvars[0].aval.shape


def _reshape(to: _Builder, eqn: Any, x: str) -> str:
    return to.emit("reshape", x, shape=_shape(eqn))


def _broadcast(to: _Builder, eqn: Any, x: str) -> str:
    """Axes of one in place of those that are new, then all to their sizes."""
    given, placed = eqn.invars[0].aval.shape, eqn.params["broadcast_dimensions"]
    ones = [1] * len(_shape(eqn))
    for axis, size in zip(placed, given, strict=True):
        ones[axis] = size
    return to.emit("broadcast", to.emit("reshape", x, shape=ones), shape=_shape(eqn))


def _slices(to: _Builder, eqn: Any, x: str) -> list[str]:
    """The parts of a split along one axis."""
    shape, axis = eqn.invars[0].aval.shape, eqn.params["axis"]
    begin, parts = 0, []
    for size in eqn.params["sizes"]:
        start, stop = [0] * len(shape), list(shape)
        start[axis], stop[axis] = begin, begin + size
        parts.append(to.emit("slice", x, start=start, stop=stop, step=[1] * len(shape)))
        begin += size
    return parts


def _slice(to: _Builder, eqn: Any, x: str) -> str:
    start, stop = eqn.params["start_indices"], eqn.params["limit_indices"]
    step = eqn.params["strides"] or [1] * len(start)
    return to.emit("slice", x, start=start, stop=stop, step=step)


def _stack(to: _Builder, eqn: Any, *x: str) -> str:
    shape, axis = list(_shape(eqn)), eqn.params["axis"]
    shape[axis] = 1
    return to.emit("concatenate", *(to.emit("reshape", each, shape=shape) for each in x), axis=axis)


def _pad(to: _Builder, eqn: Any, x: str, fill: str) -> str:
    widths = eqn.params["padding_config"]
    if any(low < 0 or high < 0 or inside for low, high, inside in widths):
        raise checks.Refused(f"policy: its network pads by {widths}, only margins are exported")
    return to.emit("pad", x, fill, widths=[(low, high) for low, high, _ in widths])


def _einsum(to: _Builder, eqn: Any, x: str, y: str) -> str:
    """A product of two arrays: axes in both that are kept come first, then the others' of each."""
    (left, right), (left_kept, right_kept) = eqn.params["dimension_numbers"]
    letters = iter(LETTERS)
    first = [next(letters) for _ in eqn.invars[0].aval.shape]
    second = [next(letters) for _ in eqn.invars[1].aval.shape]
    for one, other in zip((*left, *left_kept), (*right, *right_kept), strict=True):
        second[other] = first[one]
    both = [first[axis] for axis in left_kept]
    alone = [first[a] for a in range(len(first)) if a not in (*left, *left_kept)]
    alone += [second[a] for a in range(len(second)) if a not in (*right, *right_kept)]
    equation = f"{''.join(first)},{''.join(second)}->{''.join(both + alone)}"
    return to.emit("einsum", x, y, equation=equation)


def _cast(to: _Builder, eqn: Any, x: str) -> str:
    return to.emit("cast", x, dtype=str(np.dtype(eqn.params["new_dtype"])))


def _power(to: _Builder, eqn: Any, x: str) -> str:
    if eqn.params["y"] == 2:
        return to.emit("mul", x, x)
    return to.emit("pow", x, to.constant(np.asarray(eqn.params["y"], eqn.invars[0].aval.dtype)))


def _inverse_root(to: _Builder, eqn: Any, x: str) -> str:
    one = to.constant(np.ones((), eqn.invars[0].aval.dtype))
    return to.emit("div", one, to.emit("sqrt", x))


def _select(to: _Builder, eqn: Any, which: str, *cases: str) -> str:
    if len(cases) != 2 or eqn.invars[0].aval.dtype != np.bool_:
        raise checks.Refused(
            "policy: its network selects among more than two, one of two is allowed"
        )
    return to.emit("where", which, cases[1], cases[0])


def _reduced(name: str) -> Callable[..., str]:
    return lambda to, eqn, x: to.emit(name, x, axes=eqn.params["axes"])


TRANSLATED: dict[str, Callable[..., Any]] = {
    "broadcast_in_dim": _broadcast,
    "clamp": lambda to, eqn, low, x, high: to.emit("min", to.emit("max", x, low), high),
    "concatenate": lambda to, eqn, *x: to.emit("concatenate", *x, axis=eqn.params["dimension"]),
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
    "split": _slices,
    "square": lambda to, eqn, x: to.emit("mul", x, x),
    "squeeze": _reshape,
    "stack": _stack,
    "transpose": lambda to, eqn, x: to.emit("transpose", x, axes=eqn.params["permutation"]),
}
"""How the primitives with settings are made of operations."""

"""``EnvParams``: the traced scalars of an environment, each with its range.

A distribution shift is another value of these fields, never another class: one compiled program
serves training and every shift.
"""

import dataclasses
from typing import Any, TypeVar

import jax
import numpy as np
from flax import struct

from gmbench.core import checks
from gmbench.core.pytree import pytree

Params = TypeVar("Params", bound="EnvParams")


def param(default: int | float, low: int | float, high: int | float, doc: str) -> Any:
    """Declare a field of an ``EnvParams``; an ``int`` default makes it i32, a ``float`` f32."""
    kind = np.int32 if isinstance(default, int) else np.float32
    return struct.field(
        default=kind(default), metadata={"low": low, "high": high, "doc": doc, "kind": kind}
    )


@pytree
class EnvParams:
    """Parameters shared by all environments. Subclasses add fields with :func:`param`."""

    horizon: Any = param(64, 1, 1_000_000, "steps after which an episode is truncated")

    def override(self: Params, **values: int | float) -> Params:
        """Return a copy with fields replaced, each cast to its dtype.

        Raises:
            ValueError: for an unknown field or a value out of range (NaN included).
        """
        fields = {field.name: field for field in dataclasses.fields(self)}
        cast: dict[str, Any] = {}
        for name, value in values.items():
            checks.known("parameter", name, fields)
            if isinstance(value, jax.core.Tracer):
                raise checks.Refused(
                    f"{name}: a traced value cannot be checked; params.replace({name}=...) takes it"
                )
            meta = fields[name].metadata
            check = checks.integer if meta["kind"] is np.int32 else checks.number
            cast[name] = meta["kind"](check(name, value, meta["low"], meta["high"]))
        return dataclasses.replace(self, **cast)

    @property
    def max_steps_in_episode(self) -> Any:
        """Gymnax's name of the time limit."""
        return self.horizon

    @property
    def values(self) -> dict[str, int | float]:
        """The fields as Python's numbers, which :meth:`override` takes."""
        return checks.scalars(
            "parameter",
            {field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
        )

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return each field's value, range and meaning, for spec tables."""
        return {
            field.name: {
                "value": getattr(self, field.name).item(),
                "low": field.metadata["low"],
                "high": field.metadata["high"],
                "doc": field.metadata["doc"],
            }
            for field in dataclasses.fields(self)
        }

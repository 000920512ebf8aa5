"""The dataclass decorator of every state, level and parameter set."""

import dataclasses
import functools
from typing import Any, TypeVar, dataclass_transform

from flax import struct

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=False)
def pytree(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass that is a JAX pytree, with a ``replace`` method.

    Its annotations describe one instance; ``vmap`` rebuilds it from batched leaves, so the runtime
    type checker of the tests is told to leave construction alone.
    """
    made: Any = struct.dataclass(cls)
    made.__no_type_check__ = True
    return made


def extended(instance: Any, more: type[Any], **values: Any) -> Any:
    """Return a pytree with further fields behind its own.

    It is an instance of its old class still, so whatever reads the old fields goes on to.

    Args:
        instance: a level or a parameter set.
        more: a pytree class that declares the fields.
        values: of the fields; those left out have their defaults.
    """
    own = {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}
    return _joined(type(instance), more)(**own, **values)  # type: ignore[arg-type]


@functools.cache
def _joined(cls: Any, more: Any) -> Any:
    """Return the class with the fields of both, each time the same: JAX compares classes."""
    return pytree(type(f"{more.__name__}{cls.__name__}", (more, cls), {"__doc__": more.__doc__}))

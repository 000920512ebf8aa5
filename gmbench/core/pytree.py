"""The dataclass decorator of every state, level and parameter set."""

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

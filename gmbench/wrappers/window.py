"""``Window``: an egocentric partial view, a square of cells around the agent."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from gmbench.core import checks, registry
from gmbench.grid.batching import trailing
from gmbench.wrappers.base import View


def _from(planes: Any, offset: Any, axis: int, offsets: int, size: int) -> Any:
    """Return ``size`` rows (axis 0) or columns (1) from ``offset`` on, one of ``offsets``.

    By halves, one bit of the offset after the other: a gather takes three times as long on CPU.
    Without barriers XLA would fuse all the choices, and make each of them anew for every cell.
    """
    bits = (offsets - 1).bit_length()
    lacks = size + 2**bits - 1 - planes.shape[axis]
    planes = jnp.pad(planes, [(0, lacks if i == axis else 0) for i in range(planes.ndim)])
    for bit in reversed(range(bits)):
        step, length = 2**bit, planes.shape[axis]
        moved = jax.lax.slice_in_dim(planes, step, length, axis=axis)
        kept = jax.lax.slice_in_dim(planes, 0, length - step, axis=axis)
        chosen = jnp.where(offset & step > 0, moved, kept)
        planes = jax.lax.optimization_barrier(chosen)
    return planes


@functools.cache
def _crop(size: int) -> Callable[..., Any]:
    def native(planes: Any, position: Any) -> Any:
        rows, cols = planes.shape[:2]
        margin = [(size // 2, size // 2)] * 2 + [(0, 0)] * (planes.ndim - 2)
        row, col = position.astype(jnp.int32)
        upright = _from(jnp.pad(planes, margin), row, 0, rows, size)
        return _from(upright, col, 1, cols, size)

    return trailing(native)


@functools.cache
def _first(size: int) -> Callable[..., Any]:
    def native(planes: Any) -> Any:
        rows, cols, *rest = planes.shape
        cells = planes.reshape(rows * cols, *rest)
        missing = max(0, size * size - rows * cols)
        cells = jnp.pad(cells, [(0, missing)] + [(0, 0)] * len(rest))
        return cells[: size * size].reshape(size, size, *rest)

    return trailing(native)


@registry.view("window")
@dataclasses.dataclass(frozen=True)
class Window(View):
    """Shows only the cells around the agent, and which of them lie outside the grid.

    Planes that show no place but a number (keys held, steps left) keep their first cells; which
    planes show places, the environment's ``places`` says.

    Attributes:
        size: rows and columns of the window, an odd number.
    """

    numbered: ClassVar[bool] = True
    needs_planes: ClassVar[bool] = True

    size: int = 5

    def __post_init__(self) -> None:
        """Check the size."""
        checks.integer("window", self.size, 3)
        if self.size % 2 == 0:
            raise checks.Refused(f"window: {self.size} is even, it must be odd to have a centre")

    @property
    def observed(self) -> tuple[str, ...]:
        """Names of the channels: those of places first."""
        names = self.env.observed
        places = [name for name in names if name in self.env.places]
        return (*places, "outside", *(name for name in names if name not in places))

    @property
    def observation_shape(self) -> tuple[int, int, int]:
        """A square, and one channel more."""
        return self.size, self.size, len(self.observed)

    def observation(self, state: Any) -> Bool[Array, "size size channels"]:
        """Return the planes around the agent."""
        seen = self.env.observation(state)
        is_place = np.array([name in self.env.places for name in self.env.observed])
        inside = jnp.ones((*seen.shape[:2], 1), bool)
        places = jnp.concatenate([seen[:, :, np.flatnonzero(is_place)], inside], axis=2)
        places = _crop(self.size)(places, self.env.centre(state))
        numbers = _first(self.size)(seen[:, :, np.flatnonzero(~is_place)])
        return jnp.concatenate([places[:, :, :-1], ~places[:, :, -1:], numbers], axis=2)

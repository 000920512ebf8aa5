"""Layers of networks for small grids, over batches on any number of TRAILING axes.

Layers compute in the precision of their weights: pass f32 weights, or cast ones.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, UInt8

Observation = (
    Bool[Array, "rows cols channels *batch"]
    | UInt8[Array, "rows cols channels *batch"]
    | Float[Array, "rows cols channels *batch"]
)
Outputs = tuple[Float[Array, "actions *batch"], Float[Array, "*batch"]]


def convolve_by_matmul(
    planes: Float[Array, "channels rows cols *batch"], kernel: Float[Array, "3 3 channels features"]
) -> Float[Array, "features rows cols *batch"]:
    """Convolve 3x3 with zero padding: nine shifted copies, then one matrix product.

    The patches are reshaped to a matrix first: contracting them as they are, over several batch and
    grid axes, trains two to four times slower on CPU.
    """
    _, rows, cols, *batch = planes.shape
    padded = jnp.pad(planes, [(0, 0), (1, 1), (1, 1), *[(0, 0)] * len(batch)])
    shifted = [
        padded[:, row : row + rows, col : col + cols] for row in range(3) for col in range(3)
    ]
    weights = kernel.reshape(-1, kernel.shape[-1])
    patches = jnp.concatenate(shifted).reshape(weights.shape[0], -1)
    return (weights.T @ patches).reshape(-1, rows, cols, *batch)


def convolve_by_library(
    planes: Float[Array, "channels rows cols *batch"], kernel: Float[Array, "3 3 channels features"]
) -> Float[Array, "features rows cols *batch"]:
    """Convolve 3x3 with zero padding by the platform's own convolution."""
    joined = planes.reshape(*planes.shape[:3], -1)
    layout = ("CHWN", "HWIO", "CHWN")
    features = lax.conv_general_dilated(joined, kernel, (1, 1), "SAME", dimension_numbers=layout)
    return features.reshape(-1, *planes.shape[1:])


def convolve_constant(
    values: Float[Array, "channels *batch"],
    kernel: Float[Array, "3 3 channels features"],
    rows: int,
    cols: int,
) -> Float[Array, "features rows cols *batch"]:
    """Convolve planes that are the same everywhere, of two rows and columns or more.

    At most nine values of each feature differ: at the border some weights lie outside the grid.
    """
    taps = kernel.transpose(3, 0, 1, 2).reshape(-1, kernel.shape[2])
    each = (taps @ values.reshape(len(values), -1)).reshape(-1, 3, 3, *values.shape[1:])
    for axis, side in ((1, rows), (2, cols)):
        first, last = (lax.slice_in_dim(each, start, start + 2, axis=axis) for start in (1, 0))
        first, inner, last = (jnp.sum(some, axis, keepdims=True) for some in (first, each, last))
        each = jnp.concatenate([first, jnp.repeat(inner, side - 2, axis), last], axis)
    return each


def max_pool(
    planes: Float[Array, "channels rows cols *batch"],
) -> Float[Array, "channels half_rows half_cols *batch"]:
    """Take the maximum over 3x3 windows at stride 2, padded by one: sides halve, rounded up.

    Written as maxima of strided slices, because the gradient of a window reduction is a scatter.
    Where values tie, they share the gradient.
    """
    for axis in (1, 2):
        margin = [(0, 0)] * planes.ndim
        margin[axis] = (1, 1)
        padded = jnp.pad(planes, margin, constant_values=-jnp.inf)
        side = planes.shape[axis]
        before, centre, after = (
            lax.slice_in_dim(padded, start, start + side, 2, axis) for start in range(3)
        )
        planes = jnp.maximum(jnp.maximum(before, centre), after)
    return planes


def initial_weights(gain: float) -> Any:
    """Normal weights of variance ``gain^2 / inputs``.

    Not the customary orthogonal ones: their QR decomposition is a LAPACK call, and batched LAPACK
    calls on several host devices wait for each other for ever (jaxlib 0.10).
    """
    return nn.initializers.variance_scaling(gain**2, "fan_in", "truncated_normal")


class Conv3x3(nn.Module):
    """A 3x3 convolution with zero padding and a bias, over ``[channels, rows, cols, *batch]``.

    XLA's convolutions are slow on CPU inside a loop, so there it is a matrix product. Weights fit
    every platform: ``kernel f32[3, 3, channels, features]``, ``bias f32[features]``, as in
    ``flax.linen.Conv``. The platform is JAX's default when the call is traced: a
    ``lax.platform_dependent`` would be a conditional, under which vmap moves the batch to the front
    and the gradient keeps what both branches need. Either way is right on every platform.

    Attributes:
        features: number of output channels.
    """

    features: int

    @nn.compact
    def __call__(
        self, *parts: Float[Array, "_ rows cols *batch"] | Float[Array, "_ *batch"]
    ) -> Float[Array, "features rows cols *batch"]:
        """Convolve planes, or the channels of several parts on top of each other.

        A part without rows and columns is the same everywhere on the grid, which is cheap; one that
        is given twice (the same array) is convolved once, with the sum of its weights.

        Args:
            parts: the first of them planes.
        """
        channels = sum(part.shape[0] for part in parts)
        shape = (3, 3, channels, self.features)
        kernel = self.param("kernel", initial_weights(1.0), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        on_cpu = jax.default_backend() == "cpu"
        convolve = convolve_by_matmul if on_cpu else convolve_by_library
        planes, weights, constants = _gathered(parts, kernel)
        features = convolve(planes, weights) + bias.reshape(-1, *[1] * (planes.ndim - 1))
        for constant, own in constants:
            features = features + convolve_constant(constant, own, *planes.shape[1:3])
        return features


def _gathered(
    parts: Sequence[Array], kernel: Array
) -> tuple[Array, Array, list[tuple[Array, Array]]]:
    """Return the planes of some parts, each once, with their weights, and the constant parts."""
    ends = itertools.accumulate(part.shape[0] for part in parts)
    owns = [kernel[:, :, end - part.shape[0] : end] for end, part in zip(ends, parts, strict=True)]
    spread: dict[int, tuple[Array, Array]] = {}
    constants = []
    for part, own in zip(parts, owns, strict=True):
        if part.ndim < parts[0].ndim:
            constants.append((part.astype(kernel.dtype), own))
        elif id(part) in spread:
            spread[id(part)] = part, spread[id(part)][1] + own
        else:
            spread[id(part)] = part, own
    planes, weights = zip(*spread.values(), strict=True)
    joined = jnp.concatenate([each.astype(kernel.dtype) for each in planes])
    return joined, jnp.concatenate(weights, axis=2), constants


class Dense(nn.Module):
    """An affine map of the leading axis: ``[inputs, *batch]`` to ``[features, *batch]``.

    Attributes:
        features: number of outputs.
        scale: gain of the initial weights; biases begin at zero.
    """

    features: int
    scale: float = 2**0.5

    @nn.compact
    def __call__(self, inputs: Float[Array, "inputs *batch"]) -> Float[Array, "features *batch"]:
        """Apply the map."""
        size, *batch = inputs.shape
        shape = (size, self.features)
        kernel = self.param("kernel", initial_weights(self.scale), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        outputs = kernel.T @ inputs.reshape(size, -1).astype(kernel.dtype) + bias[:, None]
        return outputs.reshape(self.features, *batch)


class Heads(nn.Module):
    """The policy's logits, nearly uniform at first, and the value.

    Attributes:
        num_actions: number of logits.
    """

    num_actions: int

    @nn.compact
    def __call__(self, features: Float[Array, "features *batch"]) -> Outputs:
        """Read both heads off shared features."""
        logits = Dense(self.num_actions, scale=0.01, name="policy")(features)
        return logits, Dense(1, scale=1.0, name="value")(features)[0]


@contextlib.contextmanager
def heads_reading(change: Callable[[Array], Array]) -> Iterator[None]:
    """While inside, the heads of every network read ``change(what they would read)``."""

    def intercept(call: Any, args: Any, options: Any, context: Any) -> Any:
        if isinstance(context.module, Heads) and context.method_name == "__call__":
            args = (change(args[0]), *args[1:])
        return call(*args, **options)

    with nn.intercept_methods(intercept):
        yield


@contextlib.contextmanager
def taps_changed(change: Callable[[str, Array], Array]) -> Iterator[None]:
    """While inside, each tapped activation is ``change(its name, its values)``."""

    def intercept(call: Any, args: Any, options: Any, context: Any) -> Any:
        values = call(*args, **options)
        if isinstance(context.module, Tap) and context.method_name == "__call__":
            values = change("/".join(context.module.path), values)
        return values

    with nn.intercept_methods(intercept):
        yield


class Tap(nn.Module):
    """The identity, without weights: names an activation, so that it can be read or replaced.

    :func:`captured` reads taps; ``flax.linen.intercept_methods`` can replace what one returns.
    """

    @nn.compact
    def __call__(self, values: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the values as they are."""
        return values


def captured(
    network: nn.Module, weights: Any, *inputs: Any, **options: Any
) -> tuple[Any, dict[str, Array]]:
    """Apply a network; return its outputs, and its tapped activations by name.

    Args:
        network: any network.
        weights: its variables.
        inputs: as the network is called.
        options: of ``network.apply``, such as ``method``.
    """

    def taps(module: nn.Module, method: str) -> bool:
        return isinstance(module, Tap) and method == "__call__"

    outputs, found = network.apply(
        weights, *inputs, capture_intermediates=taps, mutable=["intermediates"], **options
    )
    leaves = jax.tree_util.tree_leaves_with_path(found.get("intermediates", {}))
    return outputs, {"/".join(str(key.key) for key in path[:-2]): leaf for path, leaf in leaves}


def as_numbers(observation: Observation) -> Float[Array, "rows cols channels *batch"]:
    """Cast an observation to f32, and bytes to [-1, 1].

    A picture is mostly floor, which is light: from 0 up, all it says rides on one large constant.
    """
    numbers = observation.astype(jnp.float32)
    return numbers / 127.5 - 1 if observation.dtype == jnp.uint8 else numbers


def flatten(planes: Float[Array, "a b c *batch"]) -> Float[Array, "features *batch"]:
    """Join the three axes of one observation."""
    return planes.reshape(-1, *planes.shape[3:])

"""The networks of gmbench as they are usually written in flax: what ours are compared with."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array


def in_linen(call: Any, given: Any, named: Any, context: nn.module.InterceptorContext) -> Any:
    """Compute a whole network by :func:`linen_network`, once it has weights."""
    network = context.module
    # The parent of a network is the scope of its weights, that of its layers the network.
    whole = hasattr(network, "num_actions") and not isinstance(network.parent, nn.Module)
    if not whole or context.method_name != "__call__" or network.is_initializing():
        return call(*given, **named)
    return linen_network(network, network.variables["params"], *given)


def linen_network(network: Any, weights: Any, observation: Array) -> tuple[Array, Array]:
    """Compute a network of ``gmbench.agents.networks`` as it is usually written in flax.

    The batch is the first axis, layers are those of ``flax.linen``. Weights have the same shapes;
    only the hidden layer behind convolutions reads its inputs in another order.

    Args:
        network: an MLP, or an Impala with its ``channels``, ``blocks`` and ``pool_above``.
        weights: its weights.
        observation: ``[rows, cols, channels, *batch]``.

    Returns:
        Logits ``f32[actions, *batch]`` and value ``f32[*batch]``.
    """
    shape = observation.shape[3:]
    planes = jnp.moveaxis(observation.reshape(*observation.shape[:3], -1), -1, 0)
    x = planes.astype(jnp.float32)
    convolutions = iter(range(len(weights)))

    def conv(x: Array, features: int) -> Array:
        named = {"params": weights[f"Conv3x3_{next(convolutions)}"]}
        return nn.Conv(features, (3, 3)).apply(named, x)  # type: ignore[return-value]

    def dense(name: str, inner: Any, x: Array) -> Array:
        layer = nn.Dense(inner[name]["bias"].size)
        return layer.apply({"params": inner[name]}, x)  # type: ignore[return-value]

    for features in getattr(network, "channels", ()):
        x = conv(x, features)
        if min(x.shape[1:3]) > network.pool_above:
            x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for _ in range(network.blocks):
            x = x + conv(nn.relu(conv(nn.relu(x), features)), features)
    if hasattr(network, "channels"):
        x = nn.relu(x)
    x = x.reshape(x.shape[0], -1)
    for name in sorted(name for name in weights if name.startswith("Dense")):
        x = nn.relu(dense(name, weights, x))
    heads = weights["Heads_0"]
    logits = dense("policy", heads, x).T.reshape(-1, *shape)
    return logits, dense("value", heads, x)[:, 0].reshape(shape)

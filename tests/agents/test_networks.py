import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents import layers, networks

from gmbench.core import registry
from tests.marks import by_day

ACTIONS = 5
# Every kind of layer, and few enough of each to compile quickly.
TINY = {
    "mlp": networks.MLP(ACTIONS, hidden=(8, 6)),
    "impala": networks.Impala(ACTIONS, channels=(4, 6), hidden=8, blocks=1, pool_above=4),
}
tiny = pytest.mark.parametrize("network", TINY.values(), ids=TINY)
CONVOLUTIONS = [layers.convolve_by_matmul, layers.convolve_by_library]


def normal(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def observations(*shape: int) -> jax.Array:
    return normal(0, *shape) > 0.3


def random_weights(network: nn.Module, observation: jax.Array, *seeds: int) -> Any:
    """Weights and biases, all large enough for every layer to show in the output."""
    shapes = jax.eval_shape(network.init, jax.random.key(0), observation)
    leaves, structure = jax.tree.flatten(shapes)
    scale = [0.5 / np.prod(leaf.shape[:-1]) ** 0.5 for leaf in leaves]
    drawn = [normal(n, *seeds, *leaf.shape) for n, leaf in enumerate(leaves)]
    return structure.unflatten([s * x for s, x in zip(scale, drawn, strict=True)])


def close(actual: Any, expected: Any, tolerance: float = 1e-5) -> None:
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance),
        actual,
        expected,
    )


def reference_convolution(planes: jax.Array, kernel: jax.Array) -> jax.Array:
    """The definition, in NumPy, for ``[channels, rows, cols, batch]``."""
    _, rows, cols, _ = planes.shape
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1), (0, 0)))
    result = np.zeros((kernel.shape[-1], rows, cols, planes.shape[-1]))
    for row, col in np.ndindex(rows, cols):
        window = padded[:, row : row + 3, col : col + 3]
        result[:, row, col] = np.einsum("crkb,rkcf->fb", window, kernel)
    return result


@pytest.mark.parametrize("convolve", CONVOLUTIONS)
def test_a_convolution_is_its_definition(convolve):
    planes, kernel = normal(0, 3, 5, 7, 2), normal(1, 3, 3, 3, 4)
    close(convolve(planes, kernel), reference_convolution(planes, kernel))


@functools.partial(jax.jit, static_argnums=0)
def pulled(function: Any, cotangent: jax.Array, *inputs: jax.Array) -> Any:
    """What a function gives, and what its gradient makes of a cotangent."""
    outputs, pull = jax.vjp(function, *inputs)
    return outputs, pull(cotangent)


@pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
def test_both_convolutions_agree_and_so_do_their_gradients(batch):
    planes, kernel = normal(0, 3, 7, 5, *batch), normal(1, 3, 3, 3, 6) / 5
    cotangent = normal(2, 6, 7, 5, *batch)
    close(*(pulled(convolve, cotangent, planes, kernel) for convolve in CONVOLUTIONS))


@pytest.mark.parametrize(("rows", "cols", "batch"), [(2, 5, ()), (4, 3, (4,)), (7, 7, (2, 3))])
def test_parts_are_convolved_as_planes_on_top_of_each_other(rows, cols, batch):
    one, two = normal(0, 3, rows, cols, *batch), normal(1, 2, rows, cols, *batch)
    constant = normal(2, 4, *batch)
    spread = jnp.broadcast_to(constant[:, None, None], (4, rows, cols, *batch))
    whole = jnp.concatenate([one, two, one, spread])
    layer = layers.Conv3x3(6)
    weights = random_weights(layer, whole)
    close(layer.apply(weights, one, two, one, constant), layer.apply(weights, whole))


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_conv3x3_takes_the_weights_of_a_flax_convolution(platform, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    images = normal(0, 4, 5, 6, 3)
    flax_conv = nn.Conv(8, (3, 3))
    weights = random_weights(flax_conv, images)
    ours = layers.Conv3x3(8)
    planes = jnp.transpose(images, (3, 1, 2, 0))

    expected = jnp.transpose(flax_conv.apply(weights, images), (3, 1, 2, 0))
    close(ours.apply(weights, planes), expected)
    assert jax.tree.map(jnp.shape, ours.init(jax.random.key(0), planes)) == jax.tree.map(
        jnp.shape, weights
    )


@pytest.mark.parametrize(("platform", "library"), [("cpu", False), ("gpu", True), ("tpu", True)])
def test_the_platform_decides_how_to_convolve(platform, library, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    planes = normal(0, 3, 5, 5)
    traced = str(jax.make_jaxpr(lambda x: layers.Conv3x3(2).init(jax.random.key(0), x))(planes))
    assert ("conv_general_dilated" in traced) is library


@pytest.mark.parametrize("side", by_day([5, 8, 13], 8))
def test_max_pool_is_a_window_maximum_with_its_gradient(side):
    planes = normal(0, 2, side, side + 1, 3)

    def reference(planes: jax.Array) -> jax.Array:
        images = jnp.transpose(planes, (3, 1, 2, 0))
        pooled = nn.max_pool(images, (3, 3), (2, 2), ((1, 1), (1, 1)))
        return jnp.transpose(pooled, (3, 1, 2, 0))

    cotangent = normal(1, 2, (side + 1) // 2, (side + 2) // 2, 3)
    close(pulled(layers.max_pool, cotangent, planes), pulled(reference, cotangent, planes))


@tiny
def test_any_trailing_batch_gives_what_single_observations_give(network):
    batch = observations(5, 7, 3, 2, 3)
    weights = random_weights(network, batch[..., 0, 0])
    apply = jax.jit(network.apply)

    logits, value = apply(weights, batch)
    assert logits.shape == (ACTIONS, 2, 3)
    assert value.shape == (2, 3)
    for index in np.ndindex(2, 3):
        single = apply(weights, batch[(..., *index)])
        assert single[0].shape == (ACTIONS,)
        assert single[1].shape == ()
        close(single, (logits[(..., *index)], value[index]))


@tiny
@pytest.mark.parametrize(("dtype", "one", "none"), [(jnp.uint8, 255, -1), (jnp.float32, 1, 0)])
def test_planes_are_cast_and_bytes_reach_from_minus_one_to_one(network, dtype, one, none):
    planes = observations(5, 5, 2)
    weights = random_weights(network, planes)
    outputs = jax.jit(network.apply)(weights, planes.astype(dtype) * dtype(one))
    assert {output.dtype for output in outputs} == {jnp.dtype(jnp.float32)}
    read = jnp.where(planes, jnp.float32(1), jnp.float32(none))
    close(outputs, jax.jit(network.apply)(weights, read))


@tiny
def test_vmap_over_the_trailing_axis_changes_no_value_and_no_gradient(network):
    batch = observations(5, 5, 3, 4)
    weights = random_weights(network, batch[..., 0])

    def loss(weights: Any, apply: Any) -> jax.Array:
        logits, value = apply(weights, batch)
        return jnp.mean(jax.nn.logsumexp(logits, axis=0)) + jnp.mean(jnp.square(value))

    vmapped = jax.vmap(network.apply, in_axes=(None, -1), out_axes=-1)
    gradient = jax.jit(jax.value_and_grad(loss), static_argnums=1)
    close(gradient(weights, vmapped), gradient(weights, network.apply), 1e-4)


@tiny
def test_seeds_are_vmapped_over_a_leading_axis(network):
    batch = observations(2, 5, 5, 3, 4)
    weights = random_weights(network, batch[0, ..., 0], 2)

    def loss(weights: Any, batch: jax.Array) -> jax.Array:
        logits, value = network.apply(weights, batch)
        return jnp.mean(jnp.square(logits)) + jnp.mean(jnp.square(value))

    gradient = jax.jit(jax.grad(loss))
    together = jax.jit(jax.vmap(jax.grad(loss)))(weights, batch)
    weights, together = jax.device_get((weights, together))
    for seed in range(2):
        alone = gradient(jax.tree.map(lambda leaf, s=seed: leaf[s], weights), batch[seed])
        close(jax.tree.map(lambda leaf, s=seed: leaf[s], together), alone, 1e-4)


@tiny
def test_every_cell_and_channel_reaches_both_outputs(network):
    observation = normal(0, 9, 8, 3)
    weights = random_weights(network, observation)
    jacobians = jax.jit(jax.jacrev(lambda seen: network.apply(weights, seen)))(observation)
    for jacobian in jacobians:
        assert np.all(np.any(np.abs(jacobian.reshape(-1, 9, 8, 3)) > 0, axis=0))


@pytest.mark.parametrize("name", by_day(registry.network_names(), "mlp"))
def test_a_new_policy_is_nearly_uniform_and_its_value_moderate(name):
    network = registry.make_network(name)(ACTIONS)
    batch = observations(13, 13, 3, 16)
    weights = jax.jit(network.init)(jax.random.key(0), batch[..., 0])
    logits, value = jax.jit(network.apply)(weights, batch)
    assert np.max(np.abs(jax.nn.softmax(logits, axis=0) - 1 / ACTIONS)) < 0.03
    assert 0.01 < np.sqrt(np.mean(np.square(value))) < 5


def test_weights_begin_with_the_variance_of_their_gain_and_biases_at_zero():
    network = networks.MLP(ACTIONS)
    weights = jax.jit(network.init)(jax.random.key(0), observations(7, 7, 3))["params"]
    layers = {
        "first": (weights["Dense_0"], 2.0),
        "policy": (weights["Heads_0"]["policy"], 0.01**2),
        "value": (weights["Heads_0"]["value"], 1.0),
    }
    for layer, gain in layers.values():
        kernel = np.asarray(layer["kernel"])
        # The standard error of a variance is sqrt(2 / n) of it; four of them are allowed.
        error = 4 * np.sqrt(2 / kernel.size)
        assert abs(kernel.var() * kernel.shape[0] / gain - 1) < error
        assert not np.any(layer["bias"])


@pytest.mark.parametrize(
    ("name", "side", "flat"),
    [
        ("impala_small", 7, 7 * 7 * 32),
        ("impala_small", 8, 8 * 8 * 32),
        ("impala_small", 13, 7 * 7 * 32),
        ("impala_large", 7, 1 * 1 * 32),
        ("impala_large", 13, 2 * 2 * 32),
    ],
)
def test_pooling_depends_on_the_size_of_the_grid(name, side, flat):
    network = registry.make_network(name)(ACTIONS)
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((side, side, 3), bool))
    assert shapes["params"]["Dense_0"]["kernel"].shape == (flat, 256)


def test_settings_change_the_network():
    network = registry.make_network("impala_small")(ACTIONS, channels=(8,), hidden=32)
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((5, 5, 2), bool))["params"]
    assert {name for name in shapes if name.startswith("Conv3x3")} == {
        "Conv3x3_0",
        "Conv3x3_1",
        "Conv3x3_2",
    }
    assert shapes["Conv3x3_0"]["kernel"].shape == (3, 3, 2, 8)
    assert shapes["Dense_0"]["kernel"].shape == (5 * 5 * 8, 32)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"network: unknown 'impala_smal'.*'impala_small'"):
        registry.make_network("impala_smal")

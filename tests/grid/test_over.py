"""Numbers over a grid are numpy's, for one grid and under one vmap or two."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.grid import over

GRIDS = jax.random.randint(jax.random.key(0), (4, 6, 3, 5), -9, 9, jnp.int32).astype(jnp.int16)
"""Grids of 4 x 6 cells, in a batch of 3 x 5."""


@pytest.mark.parametrize(
    ("ours", "numpys"),
    [
        (over.least, np.min),
        (over.greatest, np.max),
        (lambda grid: over.count(grid > 2), lambda grid, axis: np.sum(grid > 2, axis)),
        (lambda grid: over.anywhere(grid > 7), lambda grid, axis: np.any(grid > 7, axis)),
        (
            lambda grid: over.read(grid, grid % 2 == 0),
            lambda grid, axis: np.where(grid % 2 == 0, grid, -1).max(axis),
        ),
    ],
)
def test_numbers_over_a_grid(ours, numpys):
    expected = numpys(np.asarray(GRIDS), axis=(0, 1))
    np.testing.assert_array_equal(ours(GRIDS[:, :, 0, 0]), expected[0, 0])
    np.testing.assert_array_equal(ours(GRIDS), expected)
    inner = jax.vmap(ours, in_axes=-1, out_axes=-1)
    np.testing.assert_array_equal(inner(GRIDS[:, :, 0]), expected[0])
    np.testing.assert_array_equal(jax.vmap(inner, in_axes=2)(GRIDS), expected)


def test_a_platform_with_reductions_of_its_own_gives_the_same(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    np.testing.assert_array_equal(over.count(GRIDS > 2), np.sum(np.asarray(GRIDS) > 2, (0, 1)))
    assert over.count(GRIDS > 2).dtype == jnp.int16

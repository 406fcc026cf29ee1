"""Spherical harmonics and Clebsch-Gordan products: exact under rotations, and lie-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eqviz.equivariance import assert_equivariant
from eqviz.errors import ConfigError
from eqviz.groups.composite import direct_sum
from eqviz.groups.rotations import so3
from eqviz.layers.sphere import (
    CGLayer,
    analyse_grid,
    grid_directions,
    product_table,
    spherical_harmonics,
)


def functions(degree):
    return direct_sum(*(so3().irrep(l) for l in range(degree + 1)))  # noqa: E741


def test_harmonics_turn_with_the_irreps():
    assert_equivariant(
        lambda n: spherical_harmonics(torch.as_tensor(n), 8).numpy(),
        so3().defining,
        functions(8),
        x=directions(5).numpy(),
        rtol=1e-12,
    )


def directions(n):
    vectors = torch.tensor(np.random.default_rng(0).normal(size=(n, 3)))
    return vectors / vectors.norm(dim=1, keepdim=True)


def test_analysis_by_lie_learn_finds_the_coefficients():
    """Our harmonics, sampled on lie-learn's grid, analysed by its quadrature and its harmonics."""
    pytest.importorskip("lie_learn", reason="lie-learn is not installed")
    grid, flow = grid_directions(5), spherical_harmonics(directions(9), 5).sum(0).numpy()
    samples = spherical_harmonics(torch.tensor(grid.reshape(-1, 3)), 5).numpy() @ flow
    np.testing.assert_allclose(analyse_grid(samples.reshape(grid.shape[:2]), 5), flow, atol=1e-10)


@pytest.mark.parametrize("out_degree", [0, 3])
def test_layers_are_equivariant_under_all_rotations(out_degree):
    torch.manual_seed(0)
    layer = CGLayer(3, out_degree, 2, 4).double()
    layer(torch.randn(6, 2, 16).double())
    layer.eval()
    assert_equivariant(
        lambda x: layer(torch.as_tensor(x)).numpy(),
        functions(3),
        functions(out_degree),
        x=np.random.default_rng(1).normal(size=(5, 2, 16)),
        rtol=1e-9,
    )


def test_products_of_one_function_are_symmetric_and_complete():
    matrix, counts = product_table(2, 2)
    assert counts == (3, 2, 4)  # to l = 0: 00 11 22; to 1: 01 12; to 2: 02 11 12 22
    assert matrix.shape == (81, 3 + 2 * 3 + 4 * 5)
    x = np.random.default_rng(0).normal(size=9)
    assert (np.abs(np.outer(x, x).ravel() @ matrix) > 1e-9).all()


def test_output_degree_is_checked():
    with pytest.raises(ConfigError, match="output degree of 0 to 2, got 3"):
        CGLayer(2, 3, 1, 1)

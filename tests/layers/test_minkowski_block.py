"""One block: scalars stay, vectors turn along; exactly in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eqviz.kinematics import random_lorentz
from eqviz.layers.minkowski_block import MinkowskiBlock, pair_features
from eqviz.ops.pairs import PairLayout


@pytest.fixture
def event():
    rng = np.random.default_rng(0)
    p3 = rng.normal(0, 30, size=(9, 3))
    x = np.column_stack([np.linalg.norm(p3, axis=1), p3])
    return (
        PairLayout.build(torch.tensor([5, 4])),
        torch.from_numpy(x),
        torch.from_numpy(rng.normal(size=(9, 6))),
    )


def block(**options):
    torch.manual_seed(0)
    made = MinkowskiBlock(6, 2, 5e-3, True, **options).double().eval()
    for parameter in made.coordinate.parameters():
        torch.nn.init.normal_(parameter)
    return made


def run(made, layout, x, h):
    features = pair_features(x, layout, torch.float64, "matrix")
    with torch.no_grad():
        return made(h, x, h[:, :2], features, layout)


def test_lorentz_equivariance(event):
    layout, x, h = event
    made = block()
    h_new, x_new = run(made, layout, x, h)
    assert float((x_new - x).abs().max()) > 1e-2  # the update does something
    for seed in range(3):
        matrix = torch.from_numpy(random_lorentz(np.random.default_rng(seed), 10.0))
        h_turned, x_turned = run(made, layout, x @ matrix.T, h)
        torch.testing.assert_close(h_turned, h_new, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(x_turned, x_new @ matrix.T, rtol=1e-9, atol=1e-9)


def test_permutation_equivariance(event):
    layout, x, h = event
    made = block()
    order = torch.tensor([3, 1, 0, 4, 2, 8, 6, 7, 5])
    h_new, x_new = run(made, layout, x, h)
    h_moved, x_moved = run(made, layout, x[order], h[order])
    torch.testing.assert_close(h_moved, h_new[order], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(x_moved, x_new[order], rtol=1e-12, atol=1e-12)


def test_a_clamp_that_never_bites_changes_nothing_and_one_that_does_breaks_the_symmetry(event):
    layout, x, h = event
    expected = run(block(), layout, x, h)[1]
    torch.testing.assert_close(run(block(clamp=1e9), layout, x, h)[1], expected, rtol=1e-12, atol=1e-12)
    matrix = torch.from_numpy(random_lorentz(np.random.default_rng(0), 10.0))
    clamped = block(clamp=1.0)
    moved, turned = run(clamped, layout, x @ matrix.T, h)[1], run(clamped, layout, x, h)[1] @ matrix.T
    assert float((moved - turned).abs().max()) > 1e-4


def test_state_dict_round_trip(event):
    layout, x, h = event
    made = block()
    other = MinkowskiBlock(6, 2, 5e-3, True).double().eval()
    other.load_state_dict(made.state_dict())
    for ours, expected in zip(run(other, layout, x, h), run(made, layout, x, h)):
        assert torch.equal(ours, expected)

"""The canonical frame: the same invariants, moderate energies, and nothing lost under boosts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eqviz.kinematics import boost_matrix, random_lorentz, transform
from eqviz.layers.canonical import canonical_frame, on_shell

METRIC = torch.diag(torch.tensor([1.0, -1, -1, -1], dtype=torch.float64))


def products(p4):
    return p4 @ METRIC @ p4.T


def event(rng, n=6):
    """Light-like particles around x and two massive reference vectors."""
    p3 = rng.uniform(10, 200, size=(n, 1)) * np.column_stack([np.ones(n), rng.normal(0, 0.2, (n, 2))])
    rows = np.vstack([np.column_stack([np.zeros(n), p3]), [[0, 0, 0, 1], [0, 0, 0, -1]]])
    mass2 = torch.tensor([0.0] * n + [1.0, 1.0], dtype=torch.float64)
    return on_shell(torch.from_numpy(rows), mass2), mass2


def canonical(p4, mass2, total_mass2=None):
    jet = torch.zeros(len(p4), dtype=torch.int64)
    total = float(products(p4).sum()) if total_mass2 is None else total_mass2
    return canonical_frame(p4, mass2, jet, torch.tensor([total], dtype=torch.float64))


@pytest.mark.parametrize("seed", range(3))
def test_invariants_and_masses_survive_and_the_sum_is_at_rest(seed):
    p4, mass2 = event(np.random.default_rng(seed))
    ours = canonical(p4, mass2)
    torch.testing.assert_close(products(ours), products(p4), rtol=1e-9, atol=1e-9)
    assert float(ours.sum(0)[1:].abs().max()) < 1e-11 * float(p4[:, 0].sum())


@pytest.mark.parametrize("gamma", [10.0, 1e3, 1e4])
def test_boosted_events_come_back_to_the_same_frame_up_to_a_rotation(gamma):
    rng = np.random.default_rng(0)
    p4, mass2 = event(rng)
    total = float(products(p4).sum())
    matrix = random_lorentz(rng, 1.5) @ boost_matrix(gamma, "x")
    boosted = on_shell(torch.from_numpy(transform(p4, matrix)), mass2)
    ours, expected = (canonical(p, mass2, total) for p in (boosted, p4))
    scale = expected[:, 0].max()
    # along the boost the plain transformation back would lose gamma^2: 1e-8 at gamma = 1e4
    assert float((ours[:, 0] - expected[:, 0]).abs().max() / scale) < 2e-15 * gamma
    assert float((products(ours) - products(expected)).abs().max() / scale**2) < 2e-15 * gamma


def test_events_without_a_rest_frame_stay():
    beam = torch.tensor([[5.0, 0, 0, 5], [3, 0, 0, 3]], dtype=torch.float64)
    light = torch.zeros(2, dtype=torch.float64)
    torch.testing.assert_close(canonical(beam, light, 0.0), beam)
    empty = canonical_frame(beam[:0], light[:0], torch.zeros(0, dtype=torch.int64), light)
    assert empty.shape == (0, 4)


def test_particle_at_rest_and_null_momentum_are_finite():
    p4 = torch.tensor([[2.0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0]], dtype=torch.float64, requires_grad=True)
    mass2 = torch.tensor([4.0, 0, 0], dtype=torch.float64)
    ours = canonical(p4.detach(), mass2)
    assert torch.isfinite(ours).all()
    torch.testing.assert_close(products(ours), products(p4.detach()), rtol=1e-12, atol=1e-12)

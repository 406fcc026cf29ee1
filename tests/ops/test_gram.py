"""Pair products: three forms of one number, and what each costs under a boost."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from eqviz.errors import ConfigError
from eqviz.kinematics import boost_matrix, on_shell, transform
from eqviz.ops.minkowski_gram import minkowski_gram
from eqviz.ops.pairs import PairLayout


def collinear_jet(rng, n=12, opening=0.3, mass=0.0):
    """Momenta of 1 to 200 GeV around the x axis."""
    p3 = rng.uniform(1, 200, size=(n, 1)) * np.column_stack([np.ones(n), rng.normal(0, opening, size=(n, 2))])
    return on_shell(np.column_stack([np.zeros(n), p3]), mass)


@pytest.mark.parametrize("mass", [0.0, 5.0])
@pytest.mark.parametrize("form", ["matrix", "difference", "direction"])
def test_forms_agree(form, mass):
    p4 = torch.from_numpy(collinear_jet(np.random.default_rng(0), mass=mass))
    layout = PairLayout.build(torch.tensor([5, 7]))
    slots = layout.to_slots(p4)
    mass2 = torch.full_like(slots[:, 0], mass**2) if form == "direction" and mass else None
    dot, norm = minkowski_gram(slots, layout, form, mass2)
    i, j = layout.pair_index
    metric = torch.tensor([1.0, -1, -1, -1], dtype=torch.float64)
    mask = layout.pair_mask
    torch.testing.assert_close(dot[mask], (slots[i] * slots[j] * metric).sum(1)[mask], rtol=1e-9, atol=1e-9)
    difference = slots[i] - slots[j]
    torch.testing.assert_close(norm[mask], (difference**2 * metric).sum(1)[mask], rtol=1e-9, atol=1e-8)


def exact_products(p4):
    """p_i.p_j of light-like momenta in rational arithmetic: E_i E_j from the exact square."""
    rows = [[Fraction(float(value)) for value in row] for row in p4[:, 1:]]
    out = np.zeros((len(rows), len(rows)))
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            cross = sum((a[k] * b[m] - a[m] * b[k]) ** 2 for k, m in ((0, 1), (0, 2), (1, 2)))
            inner = sum(x * y for x, y in zip(a, b))
            energies = float(cross + inner**2) ** 0.5  # |a| |b|, by Lagrange's identity
            out[i, j] = float(cross) / (energies + float(inner))
    return out


@pytest.mark.parametrize("gamma", [1.0, 1e2, 1e4])
def test_direction_form_loses_gamma_the_others_gamma_squared(gamma):
    p4 = on_shell(transform(collinear_jet(np.random.default_rng(1)), boost_matrix(gamma, "x")))
    exact = exact_products(p4)
    layout = PairLayout.build(torch.tensor([len(p4)]))
    mask = layout.pair_mask.numpy()

    def error(form):
        slots = layout.to_slots(torch.from_numpy(p4))
        dot = minkowski_gram(slots, layout, form)[0].numpy()
        return np.median(np.abs(dot - exact.ravel())[mask] / exact.ravel()[mask])

    assert error("direction") < 2e-15 * gamma
    if gamma > 1:
        assert error("matrix") > 1e-17 * gamma**2 > error("direction") / 10
        assert error("difference") > 20 * error("direction")


def test_rest_null_and_collinear_momenta_are_finite():
    p4 = torch.tensor([[3.0, 0, 0, 0], [0, 0, 0, 0], [5, 0, 0, 5], [7, 0, 0, 7]], dtype=torch.float64)
    mass2 = torch.tensor([9.0, 0, 0, 0], dtype=torch.float64)
    layout = PairLayout.build(torch.tensor([4]))
    dot, norm = (values.view(4, 4) for values in minkowski_gram(p4, layout, "direction", mass2))
    expected = torch.tensor([[9.0, 0, 15, 21], [0, 0, 0, 0], [15, 0, 0, 0], [21, 0, 0, 0]]).double()
    torch.testing.assert_close(dot, expected)
    torch.testing.assert_close(norm[0], torch.tensor([0.0, 9, -21, -33]).double())


@pytest.mark.parametrize("form", ["matrix", "difference", "direction"])
def test_gradcheck(form):
    p4 = torch.from_numpy(collinear_jet(np.random.default_rng(2), n=5)).requires_grad_()
    layout = PairLayout.build(torch.tensor([3, 2]))
    mass2 = layout.to_slots(torch.full((5,), 0.25, dtype=torch.float64))

    def function(p4):
        dot, norm = minkowski_gram(layout.to_slots(p4), layout, form, mass2 if form == "direction" else None)
        return dot[layout.pair_mask], norm[layout.pair_mask]

    assert torch.autograd.gradcheck(function, (p4,), rtol=1e-4)


def test_unknown_form_is_named():
    with pytest.raises(ConfigError, match="got 'naive'"):
        minkowski_gram(torch.zeros(1, 4), PairLayout.build(torch.tensor([1])), form="naive")

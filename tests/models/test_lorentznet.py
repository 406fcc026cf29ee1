"""LorentzNet: invariance, numerics, and the choices that its config offers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_helpers import jets, logits, small

from eqviz.data.jets import JetBatch
from eqviz.errors import DataError
from eqviz.kinematics import boost_matrix, from_ptetaphim, random_axis, random_lorentz
from eqviz.models import build_model


def discriminant(model, batch):
    out = logits(model, batch).double()
    return out[:, 1] - out[:, 0]


def boosts(gamma, axis, n, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([boost_matrix(gamma, random_axis(rng) if axis == "random" else axis) for _ in range(n)])


@pytest.mark.parametrize("axis", ["z", "x", "random"])
@pytest.mark.parametrize(("gamma", "median"), [(1e3, 1e-5), (1e4, 1e-4)])
def test_float32_stays_invariant_at_large_boosts(axis, gamma, median):
    torch.manual_seed(0)
    model, batch = build_model("lorentznet").eval(), jets(40, n_max=20)
    before = discriminant(model, batch)
    after = discriminant(model, batch.transformed(boosts(gamma, axis, len(batch))))
    relative = ((after - before) / before).abs()
    assert float(relative.median()) <= median
    assert float(relative.max()) < 1e-3


def test_naive_arithmetic_does_not():
    model, batch = small("lorentznet"), jets(20)
    model.stable = False
    before = discriminant(model, batch)
    after = discriminant(model, batch.transformed(boosts(1e3, "x", len(batch))))
    assert float(((after - before) / before).abs().median()) > 1e-4


def test_stable_and_naive_are_one_function():
    model, batch = small("lorentznet").double(), jets()
    stable = logits(model, batch)
    model.stable = False
    torch.testing.assert_close(logits(model, batch), stable, rtol=1e-9, atol=1e-9)


def test_fixed_reference_vectors_see_the_boost():
    model, batch = small("lorentznet").double(), jets()
    fixed = batch.transformed(boost_matrix(5.0, "z"), move_reference=False)
    assert float((logits(model, fixed) - logits(model, batch)).abs().max()) > 1e-6
    without = small("lorentznet", beams=False).double()
    torch.testing.assert_close(logits(without, fixed), logits(without, batch), rtol=1e-9, atol=1e-9)


def massive_jets():
    rng = np.random.default_rng(0)
    return JetBatch.from_arrays(
        [from_ptetaphim(rng.uniform(1, 50, 6), *rng.normal(0, 0.2, (2, 6)), m=0.5) for _ in range(4)]
    )


def test_massive_constituents_need_to_be_declared():
    batch = massive_jets()
    with pytest.raises(DataError, match=r"m / E up to .*massless=False"):
        small("lorentznet")(batch)
    model = small("lorentznet", massless=False).double()
    matrix = random_lorentz(np.random.default_rng(1), 10.0)
    before = logits(model, batch)
    torch.testing.assert_close(logits(model, batch.transformed(matrix)), before, rtol=1e-9, atol=1e-9)
    model.stable = False
    torch.testing.assert_close(logits(model, batch), before, rtol=1e-9, atol=1e-9)


def test_rounding_of_energies_is_no_input():
    batch = jets()
    p4 = batch.p4.clone()
    p4[:, 0] *= 1 + 1e-7 * torch.randn(len(p4), dtype=torch.float64)
    noisy = JetBatch(p4, batch.offsets, batch.scalars)
    model = small("lorentznet")
    assert torch.equal(logits(model, batch), logits(model, noisy))


def test_given_scalars():
    batch = jets()
    charges = torch.randn(len(batch.p4), 3, dtype=torch.float64)
    given = JetBatch(batch.p4, batch.offsets, charges)
    model = small("lorentznet", scalars="given", n_scalars=3).double()
    assert not torch.allclose(
        logits(model, given), logits(model, JetBatch(batch.p4, batch.offsets, 0 * charges))
    )
    with pytest.raises(DataError, match="expected 3 given scalars"):
        model(batch)


def test_pool_size():
    batch = jets(5)
    own, batchwise, fixed = (small("lorentznet", pool_size=size).double() for size in (None, "batch", 10))
    longest = int(batch.lengths.argmax())
    assert torch.equal(logits(own, batch)[longest], logits(batchwise, batch)[longest])
    shortest = int(batch.lengths.argmin())
    assert not torch.allclose(logits(own, batch)[shortest], logits(batchwise, batch)[shortest])
    alone = torch.cat([logits(fixed, batch.select([k])) for k in range(5)])
    torch.testing.assert_close(logits(fixed, batch), alone, rtol=1e-12, atol=1e-12)


def test_momenta_get_gradients():
    model, batch = small("lorentznet").double().eval(), jets(2, n_max=5)

    def function(p3):
        p4 = torch.cat([p3.norm(dim=1, keepdim=True), p3], dim=1)
        return model(JetBatch(p4, batch.offsets, batch.scalars))

    step = 1e-6  # GeV; longer ones meet kinks of the rectifiers
    p3 = batch.p4[:, 1:].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(p3)[:, 0].sum(), p3)
    direction = torch.randn(p3.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plus, minus = (function(p3 + sign * step * direction)[:, 0].sum() for sign in (1, -1))
    torch.testing.assert_close(
        (gradient * direction).sum(), (plus - minus) / (2 * step), rtol=1e-5, atol=1e-9
    )

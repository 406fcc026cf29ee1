"""Scalar layers."""

from __future__ import annotations

import torch

from eqviz.layers.scalar import NodeNorm, psi


def test_psi_is_odd_and_logarithmic_and_smooth_at_zero():
    x = torch.tensor([-1e6, -1.0, -1e-20, 0.0, 1e-20, 1.0, 1e6], dtype=torch.float64, requires_grad=True)
    y = psi(x)
    assert torch.equal(y, -psi(-x))
    torch.testing.assert_close(y[-2:], torch.log(1 + x[-2:]))
    y.sum().backward()
    torch.testing.assert_close(x.grad, 1 / (1 + x.detach().abs()))
    assert torch.autograd.gradcheck(psi, (x.detach()[[0, 1, 5]].requires_grad_(),), rtol=1e-4)


def test_node_norm_is_batch_norm_and_takes_single_rows():
    ours, theirs = NodeNorm(3), torch.nn.BatchNorm1d(3)
    x = torch.randn(8, 3) + 2
    torch.testing.assert_close(ours(x), theirs(x))
    before = ours.running_mean.clone()
    torch.testing.assert_close(ours(x[:1]), theirs.eval()(x[:1]))
    assert ours(x[:0]).shape == (0, 3)
    assert torch.equal(ours.running_mean, before)

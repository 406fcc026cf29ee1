"""Layers on Lorentz-invariant numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def psi(x: Tensor) -> Tensor:
    """sign(x) log(1 + |x|): tames invariants that span decades (arXiv:2201.08187, eq. 3.2)."""
    return _Psi.apply(x)


class _Psi(torch.autograd.Function):
    # By hand: autograd through sign and abs says that the slope at 0 is 0; it is 1.
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        size = x.abs()
        ctx.save_for_backward(size)
        return torch.copysign(size.log1p(), x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (size,) = ctx.saved_tensors
        return grad / (1 + size)


class NodeNorm(nn.BatchNorm1d):
    """Batch normalisation over real rows (n, C); a batch too small for statistics uses the running ones."""

    in_rep = out_rep = "scalar"

    def forward(self, input: Tensor) -> Tensor:
        if len(input) > 1:
            return super().forward(input)
        mean, variance = running_statistics(self)
        return (input - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias


def running_statistics(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Running mean and variance of a normalisation that tracks them, (C,) each."""
    assert norm.running_mean is not None and norm.running_var is not None
    return norm.running_mean, norm.running_var

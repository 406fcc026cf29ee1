"""Layers on Lorentz-invariant numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqviz.ops.psi import psi


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


__all__ = ["NodeNorm", "psi", "running_statistics"]

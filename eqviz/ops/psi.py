"""The compression of invariants that span decades."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


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
